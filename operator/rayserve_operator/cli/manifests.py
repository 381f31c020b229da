"""Manifests in files: their documents, and the lines and columns at which the paths of problems lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from rayserve_operator.advice.inspection import is_ours
from rayserve_operator.model.documents import nodes, only_node, value_of
from rayserve_operator.model.serve_parsing import PATH

_INDEX = re.compile(r"\[(\d+)\]")


class Place(NamedTuple):
    """A place in a file, both numbers counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """One document of a file."""

    value: Any
    root: yaml.Node
    lines: list[str]
    """All lines of the file."""

    def locate(self, path: str) -> Place:
        """Where the path of a problem leads, or as far as there is anything on its way."""
        outer, _, inner = path.partition(":") if path.startswith(f"{PATH}:") else (path, "", "")
        node, mark = _follow(self.root, outer)
        within = self._within(node, inner) if outer == PATH and isinstance(node, yaml.ScalarNode) else None
        return within or Place(mark.line + 1, mark.column + 1)

    def _within(self, node: yaml.ScalarNode, path: str) -> Place | None:
        """A place in the YAML that a text of the manifest holds; None where its lines are not those of the file."""
        mark = _mark_within(node.value, path)
        if node.style != "|" or mark is None:
            return None
        number = node.start_mark.line + 1 + mark.line
        inner = [*node.value.splitlines(), ""]
        if number >= len(self.lines) or mark.line >= len(inner):
            return None
        indent = max(0, len(self.lines[number]) - len(inner[mark.line]))
        return Place(number + 1, indent + mark.column + 1)


def read_documents(text: str) -> Iterator[Document]:
    """The RayServices and RayClusters of a file; of other documents nothing is asked but that they are YAML.

    Raises:
        yaml.YAMLError: if it is no YAML, or one of ours is too large or says what JSON cannot.
    """
    lines = text.splitlines()
    for root in nodes(text):
        if is_ours(_words(root)):
            yield Document(value_of(root), root, lines)


def _words(root: yaml.Node) -> dict[str, Any]:
    """What a document says by single words, before its values are read."""
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    return {key.value: value.value for key, value in pairs if isinstance(key, yaml.ScalarNode)}


def _mark_within(text: str, path: str) -> yaml.Mark | None:
    """Where a path leads in a text of YAML, or where the text is none."""
    try:
        root = only_node(text)
    except yaml.MarkedYAMLError as error:
        return error.problem_mark
    return _follow(root, path)[1] if root is not None and path else None


def _follow(node: yaml.Node, path: str) -> tuple[yaml.Node, yaml.Mark]:
    """The node to which a path leads, or the last one on its way, and where its key or itself begins."""
    mark = node.start_mark
    while path := path.removeprefix("."):
        if isinstance(node, yaml.MappingNode):
            keys = [pair for pair in node.value if _begins(path, pair[0].value)]
            if not keys:
                break
            key, node = max(keys, key=lambda pair: len(pair[0].value))
            mark, path = key.start_mark, path[len(key.value) :]
        elif isinstance(node, yaml.SequenceNode) and (index := _INDEX.match(path)) and int(index[1]) < len(node.value):
            node, path = node.value[int(index[1])], path[index.end() :]
            mark = node.start_mark
        else:
            break
    return node, mark


def _begins(path: str, key: str) -> bool:
    """Whether a path goes on with a key, which may itself hold dots."""
    return path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")
