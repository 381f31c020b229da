"""The fields of a kind: its structural schema, walked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rayserve_operator.model.base import Model
from rayserve_operator.model.schema import structural

_OPAQUE = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a kind. What is opaque to the operator, such as a pod template, is one field."""

    path: str
    """Below spec or status, as `workerGroupSpecs[].replicas`; `*` stands for every key of a map."""
    schema: Mapping[str, Any]
    required: bool
    rules: tuple[str, ...]
    """In which words the API server refuses an edit of it."""

    @property
    def top(self) -> str:
        """The field of the top level that it belongs to."""
        return self.path.partition(".")[0].removesuffix("[]")

    @property
    def is_branch(self) -> bool:
        """Whether it has fields of its own in this walk."""
        return _fields_below(self.schema) is not None

    @property
    def choices(self) -> list[Any] | None:
        """All values that it can have, where these are few."""
        if self.schema["type"] == "boolean":
            return [True, False]
        return self.schema.get("enum")

    @property
    def type(self) -> str:
        """Its type in words."""
        return _type(self.schema)


def fields(model: type[Model], *, whole: frozenset[str] = frozenset()) -> tuple[Field, ...]:
    """Every field below the model, each before those below it; of the fields in `whole` nothing below."""
    return tuple(_walk(structural(model), "", whole))


def _walk(schema: Mapping[str, Any], at: str, whole: frozenset[str]) -> Iterator[Field]:
    for name, child in schema["properties"].items():
        path = f"{at}{name}"
        below = _fields_below(child)
        beside = [rule for rule in _transitions(schema) if f"self.{name}" in rule["rule"]]
        rules = [*beside, *(_transitions(child) if below is None else ())]
        yield Field(path, child, name in schema.get("required", ()), tuple(str(rule["message"]) for rule in rules))
        if below is not None and path not in whole:
            yield from _walk(below, f"{path}{_each(child)}.", whole)


def _fields_below(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    node = schema.get("items") or schema.get("additionalProperties") or schema
    return None if node.get(_OPAQUE) or "properties" not in node else node


def _each(schema: Mapping[str, Any]) -> str:
    return "[]" if schema["type"] == "array" else ".*" if "additionalProperties" in schema else ""


def _transitions(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [rule for rule in schema.get(_RULES, ()) if "oldSelf" in rule["rule"]]


def _type(schema: Mapping[str, Any]) -> str:
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {_type(schema['additionalProperties'])}"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"] if choice)
    return str(schema["type"])
