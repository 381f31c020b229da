"""Which series and labels a query in PromQL names. It reads no more of the language than our queries use."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})


@dataclass(frozen=True)
class Query:
    """What a query names."""

    series: tuple[tuple[str, frozenset[str]], ...]
    """Each series that it selects, with the labels that it is selected by."""
    grouped_by: frozenset[str]
    """Labels that it groups or joins by."""


def parse(text: str) -> Query:
    """Read a query."""
    bare = _RANGE.sub("", _STRING.sub("", text))
    grouped = {label.strip() for found in _GROUPING.findall(bare) for label in found.split(",")}
    series = [
        (name, frozenset(_MATCHER.findall(matchers)))
        for name, matchers, call in _SELECTOR.findall(_GROUPING.sub("", bare))
        if not call and name not in _WORDS
    ]
    return Query(tuple(series), frozenset(grouped))
