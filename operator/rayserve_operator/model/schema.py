"""The structural schemas of the models, as CustomResourceDefinitions hold them.

Pydantic's JSON schema is not structural as Kubernetes demands it: it refers, it spells "may be absent" as a union with
null, and it carries titles and defaults that nobody asked for. Here it is flattened. Of the defaults only numbers and
words are kept, which are KubeRay's; an absent list or object stays absent.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from rayserve_operator.model.base import Model

Path: TypeAlias = tuple[str, ...]
"""Where a field stands in a schema: names of fields, and ITEM for any entry of a list or a map."""

ITEM = "[]"


def structural(model: type[Model]) -> dict[str, Any]:
    """The structural schema of a model."""
    schema = model.model_json_schema(by_alias=True)
    flat: dict[str, Any] = _flatten(schema, schema.get("$defs", {}))
    return flat


def lacking(served: Mapping[str, Any], wanted: Mapping[str, Any], at: Path = ()) -> Iterator[Path]:
    """The fields of a wanted schema that a served one drops, without those within them."""
    if served.get("x-kubernetes-preserve-unknown-fields"):
        return
    present = served.get("properties", {})
    for name, child in wanted.get("properties", {}).items():
        if name in present:
            yield from lacking(present[name], child, (*at, name))
        else:
            yield (*at, name)
    for key in ("items", "additionalProperties"):
        if isinstance(wanted.get(key), Mapping) and isinstance(served.get(key), Mapping):
            yield from lacking(served[key], wanted[key], (*at, ITEM))


def without(value: Any, dropped: Collection[Path]) -> Any:
    """A value without the fields that the API server drops."""
    if not dropped:
        return value
    if isinstance(value, list):
        return [without(item, _below(dropped, ITEM)) for item in value]
    if isinstance(value, Mapping):
        return {
            key: without(child, {*_below(dropped, key), *_below(dropped, ITEM)})
            for key, child in value.items()
            if (key,) not in dropped
        }
    return value


def _below(paths: Collection[Path], name: str) -> list[Path]:
    return [path[1:] for path in paths if path[0] == name and len(path) > 1]


def _flatten(schema: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return _flatten({**named[schema["$ref"].rpartition("/")[2]], **own}, named)
    if "anyOf" in schema:
        own = {key: value for key, value in schema.items() if key != "anyOf"}
        [only] = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
        return _flatten({**only, **own}, named)
    flat = {key: value for key, value in schema.items() if key not in ("title", "$defs", "default")}
    default = schema.get("default")
    if isinstance(default, int | str) and not isinstance(default, bool):
        flat["default"] = default
    if "const" in flat:
        flat["enum"] = [flat.pop("const")]
    if "properties" in flat:
        flat["properties"] = {name: _flatten(child, named) for name, child in flat["properties"].items()}
    for nested in flat.keys() & {"items", "additionalProperties"}:
        flat[nested] = _flatten(flat[nested], named)
    if flat.get("type") == "integer":
        flat.setdefault("format", "int32")
    return flat
