"""YAML and JSON as Kubernetes reads them, bounded: no text makes more values than its bounds allow."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from typing_extensions import override

MOST_VALUES = 200_000
"""Values of a document, once its aliases are written out."""
MOST_JSON_VALUES = 1_000_000
"""Values of a JSON document; an object as large as etcd takes, and its older self, have fewer."""
DEEPEST = 100
"""Levels of a document, once its aliases are written out."""

_YAML = "tag:yaml.org,2002:"
_INT = re.compile("[-+]?(0b[01][01_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)
_TAGS = {
    yaml.ScalarNode: {_YAML + name for name in ("str", "int", "float", "bool", "null", "merge")},
    yaml.SequenceNode: {f"{_YAML}seq"},
    yaml.MappingNode: {f"{_YAML}map"},
}


class TooLarge(yaml.YAMLError):
    """A document has more values or levels than are read."""


def read(text: str) -> Any:
    """The one document of a text as plain JSON values; None where there is none.

    Raises:
        TooLarge: if it is larger than the bounds.
        yaml.YAMLError: if it is no YAML, says what JSON cannot, or is not the only one.
    """
    root = only_node(text)
    return None if root is None else value_of(root)


def read_json(data: bytes) -> Any:
    """A JSON document; nothing is built before its size is known.

    Raises:
        TooLarge: if it is larger than the bounds.
        ValueError: if it is no JSON.
    """
    if sum(map(data.count, (b",", b"[", b"{", b":"))) >= MOST_JSON_VALUES:
        raise TooLarge(f"has more than {MOST_JSON_VALUES} values")
    try:
        return json.loads(data)
    except RecursionError as error:
        raise TooLarge("has too many levels") from error


def only_node(text: str) -> yaml.Node | None:
    """The root of the one document of a text; None where there is none.

    Raises:
        yaml.YAMLError: if it is no YAML, nested too deep, or not the only one.
    """
    _refuse_depth(text)
    root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return root


def nodes(text: str) -> Iterator[yaml.Node]:
    """The roots of the documents in a text; empty documents have none.

    Raises:
        yaml.YAMLError: if it is no YAML, or nested too deep.
    """
    _refuse_depth(text)
    for root in yaml.compose_all(text, Loader=_Loader):
        if root is not None:
            yield root


def value_of(root: yaml.Node) -> Any:
    """A document as plain JSON values; nothing is built before its size and depth are known.

    Raises:
        TooLarge: if it is larger than the bounds.
        yaml.YAMLError: if it says what JSON cannot.
    """
    extent = _extent(root, {})
    if extent.values >= MOST_VALUES or extent.depth > DEEPEST:
        raise TooLarge(f"has more than {MOST_VALUES} values or {DEEPEST} levels, its aliases (*) written out")
    loader = _Loader("")
    try:
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    """Refuse what is nested too deep, event by event: libyaml builds nodes on the C stack, which ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _refusal(f"more than {DEEPEST} levels", event)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as KubeRay reads it, and only what JSON can say.

    PyYAML's own reading takes 1e-4 for a word, and 1:30 and 2026-01-31 for a number and a date.
    """

    yaml_implicit_resolvers = {
        character: [known for known in resolvers if known[0] in (f"{_YAML}bool", f"{_YAML}null", f"{_YAML}merge")]
        for character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    @override
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            is_json = not isinstance(value, int | float) or math.isfinite(value)
        except (ArithmeticError, LookupError, ValueError):
            is_json = False
        if not is_json:
            raise _refusal(f"{node.value!s:.60} is no value of JSON", node)
        return value

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep)
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in found.items()}


_Loader.add_implicit_resolver(f"{_YAML}int", _INT, [*"-+0123456789"])
_Loader.add_implicit_resolver(f"{_YAML}float", _FLOAT, [*"-+.0123456789"])


class _Extent(NamedTuple):
    """How large a value is once every alias is written out; aliases of aliases grow without bound."""

    values: int
    depth: int


def _extent(node: yaml.Node, known: dict[int, _Extent]) -> _Extent:
    if node.tag not in _TAGS[type(node)]:
        raise _refusal(f"{node.tag.removeprefix(_YAML):.60} is nothing that JSON has", node)
    if isinstance(node, yaml.ScalarNode):
        return _Extent(1, 1)
    if id(node) not in known:
        known[id(node)] = _Extent(MOST_VALUES, DEEPEST)  # What an alias inside itself finds.
        children = node.value
        if isinstance(node, yaml.MappingNode):
            _refuse_twins(node)
            children = [child for pair in node.value for child in pair]
        extents = [_extent(child, known) for child in children]
        known[id(node)] = _Extent(
            min(MOST_VALUES, 1 + sum(extent.values for extent in extents)),
            1 + max((extent.depth for extent in extents), default=0),
        )
    return known[id(node)]


def _refuse_twins(node: yaml.MappingNode) -> None:
    """Refuse a key given twice, of which Ray would see only the last."""
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal("a key is not a word", key)
        if key.value in seen:
            raise _refusal(f"{key.value:.60} is given twice", key)
        seen.add(key.value)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
