"""The base of every model that a user writes or reads: frozen, camelCase outside, documented in place."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict, JsonValue
from typing_extensions import override

_T = TypeVar("_T")

INT32_MAX = 2_147_483_647

OPAQUE_OBJECT: JsonDict = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

OpaqueObject = Annotated[dict[str, Any], WithJsonSchema(OPAQUE_OBJECT)]
"""A Kubernetes object (or a part of one) that the API server checks itself and we pass on as it is."""

_STRING: JsonDict = {"type": "string"}
_INTEGER: JsonDict = {"type": "integer"}
_STRINGS: JsonDict = {"type": "object", "additionalProperties": _STRING}


def _opaque(required: list[JsonValue], **properties: JsonValue) -> JsonDict:
    """An opaque object of which only what we read ourselves is declared, so that the API server warrants its shape."""
    return {**OPAQUE_OBJECT, **({"required": required} if required else {}), "properties": properties}


def _list_of(item: JsonDict, **bounds: JsonValue) -> JsonDict:
    return {"type": "array", "items": item, **bounds}


_METADATA = _opaque([], name=_STRING, namespace=_STRING, labels=_STRINGS, annotations=_STRINGS)
_CONTAINER = _opaque(
    ["name"],
    name=_STRING,
    env=_list_of(_opaque(["name"], name=_STRING)),
    ports=_list_of(_opaque(["containerPort"], containerPort=_INTEGER, name=_STRING)),
)
_POD_SPEC = _opaque(["containers"], containers=_list_of(_CONTAINER, minItems=1), initContainers=_list_of(_CONTAINER))

PodTemplate = Annotated[dict[str, Any], WithJsonSchema(_opaque(["spec"], metadata=_METADATA, spec=_POD_SPEC))]
"""A pod template. Nearly all of it is opaque, but the API server itself refuses one without a container."""

ServiceTemplate = Annotated[
    dict[str, Any],
    WithJsonSchema(
        _opaque(
            [], metadata=_METADATA, spec=_opaque([], ports=_list_of(_opaque(["port"], port=_INTEGER, name=_STRING)))
        )
    ),
]
"""A Service that the user describes and the operator completes."""


def keyed_by(field: str) -> JsonDict:
    """The schema extension of a list whose items are told apart by one of their fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}


def rule(expression: str, message: str) -> JsonDict:
    """The schema extension of a rule in CEL, with the words that the API server refuses with."""
    return rules((expression, message))


def rules(*given: tuple[str, str]) -> JsonDict:
    """The schema extension of several rules, each with its words."""
    return {"x-kubernetes-validations": [{"rule": expression, "message": words} for expression, words in given]}


_DERIVED = "_derived"
_GIVEN: set[str] = set()
"""Stands in every model for the names of the fields that were given."""


class Model(BaseModel):
    """A value of the `ray.io/v1` API.

    Fields are snake_case here and camelCase in manifests. Unknown fields are ignored, because the API server
    prunes or refuses them at the door, and a newer or older CRD must never stop the reconciler.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    @override
    def model_post_init(self, context: Any, /) -> None:
        """Drop which fields were given and which are defaults: nobody asks, and it is larger than most models."""
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN)

    def derived(self, derive: Callable[[Self], _T]) -> _T:
        """What a pure function makes of this value, computed once and kept with it."""
        kept = self.__dict__.setdefault(_DERIVED, {})
        if derive not in kept:
            kept[derive] = derive(self)
        found: _T = kept[derive]
        return found

    @override
    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, for which everything is derived anew."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop(_DERIVED, None)
        return copied

    def manifest(self) -> dict[str, Any]:
        """The value as it stands in a manifest: camelCase, without what is null or equal to its default."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
