"""The base of every model that a user writes or reads: frozen, camelCase outside, documented in place."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

INT32_MAX = 2_147_483_647

OPAQUE_OBJECT = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

OpaqueObject = Annotated[dict[str, Any], WithJsonSchema(OPAQUE_OBJECT)]
"""A Kubernetes object (or a part of one) that the API server checks itself and we pass on as it is."""


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

    def manifest(self) -> dict[str, Any]:
        """The value as it stands in a manifest: camelCase, without what is null or equal to its default."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
