"""From a field of a pod that was made back to the field of the user's manifest that it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rayserve_operator.model.problems import dotted
from rayserve_operator.planning.dry_run.drafts import Draft, Location, Source

_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_KEYS = ("name", "mountPath", "containerPort")
"""What tells the entries of a pod's lists apart."""


def origin(draft: Draft, field: str) -> str | None:
    """The path of what the user wrote; None where the operator alone has put that there.

    What is missing from the pod is missing from its template.

    Args:
        draft: the pod.
        field: as the API server names it, `spec.containers[0].resources.limits[cpu]`.
    """
    location = located(draft.manifest, field)
    found = (_from(source, draft.manifest, location) for source in draft.sources)
    return next((path for path in found if path is not None), None)


def is_made(draft: Draft, field: str) -> bool:
    """Whether a field, or what it would stand in, is in the pod as it was sent; else others have added it since."""
    value: Any = draft.manifest
    for key in located(value, field)[:-1]:
        value = _child(value, key)
    return value is not None


def located(manifest: Any, field: str) -> Location:
    """The place that a field stands for; in a list what is in brackets is a number, elsewhere a key."""
    location: list[str | int] = []
    value = manifest
    for bracketed, plain in _PART.findall(field):
        key = int(bracketed) if isinstance(value, list) and bracketed.isdecimal() else bracketed or plain
        location.append(key)
        value = _child(value, key)
    return tuple(location)


def _from(source: Source, pod: Any, location: Location) -> str | None:
    depth = len(source.prefix)
    if location[:depth] != source.prefix:
        return None
    made = pod
    for key in source.prefix:
        made = _child(made, key)
    below = _traced(source.value, made, location[depth:])
    return None if below is None else f"{source.path}{dotted(below)}"


def _traced(given: Any, made: Any, location: Location) -> Location | None:
    """The place in what was given, of which this was made; None for what was added or replaced."""
    if not location:
        return () if given == made or (isinstance(given, Mapping | list) and given) else None
    key, rest = location[0], location[1:]
    child = _child(made, key)
    if isinstance(given, list) and isinstance(key, int):
        index = _index(given, child, key)
        if index is None:
            return None
        key = index
    elif not isinstance(given, Mapping) or key not in given:
        return location if child is None else None
    below = _traced(_child(given, key), child, rest)
    return None if below is None else (key, *below)


def _index(given: list[Any], made: Any, index: int) -> int | None:
    """Which entry an entry was made from; those of the operator stand before or behind the user's."""
    order = sorted(range(len(given)), key=lambda one: one != index)
    alike: tuple[Callable[[Any], bool], ...] = (lambda one: one == made, lambda one: _is_namesake(one, made))
    return next((one for is_it in alike for one in order if is_it(given[one])), None)


def _is_namesake(one: Any, other: Any) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return False
    return any(one.get(key) is not None and one.get(key) == other.get(key) for key in _KEYS)


def _child(value: Any, key: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    # Numbers are only asked of lists, see `located`.
    return value[key] if isinstance(key, int) and key < len(value) else None
