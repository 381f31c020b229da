"""Equal parts of plain JSON, held once: the operator's memory goes with the number of objects, which say much alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

LATELY = 8192
"""Strings that are remembered: more than one RayService has, with all that belongs to it. Python's own table is not
used, because Python 3.12 never forgets what is in it."""


def interned(value: Any) -> Any:
    """The value, each string of which (keys included) is the one that was lately seen to be equal.

    It is a copy, so that nothing else of the manifest that it stood in is held with it.
    """
    if type(value) is str:
        return _one(value)
    if type(value) is dict:
        return {_one(key): interned(child) for key, child in value.items()}
    if type(value) is list:
        return [interned(child) for child in value]
    return value


@lru_cache(LATELY)
def _one(text: str) -> str:
    return text


def shared(value: Any, known: Any) -> Any:
    """The value, with the parts of a known one in place of those that say the same at the same place.

    A flag is no number here, though for Python 1 equals True.
    """
    if type(value) is not type(known):
        return value
    if isinstance(value, dict):
        parts: Any = {key: shared(child, known.get(key)) for key, child in value.items()}
        is_known = parts.keys() == known.keys() and all(child is known[key] for key, child in parts.items())
        return known if is_known else parts
    if isinstance(value, list):
        parts = [shared(child, known[place] if place < len(known) else None) for place, child in enumerate(value)]
        is_known = len(parts) == len(known) and all(one is other for one, other in zip(parts, known, strict=True))
        return known if is_known else parts
    return known if value == known else value
