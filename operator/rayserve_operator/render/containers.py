"""Small operations on containers and on the lists in them. None changes what it is given."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]


def with_missing(entries: Sequence[Entry] | None, more: Iterable[Entry], key: str = "name") -> list[Entry]:
    """The entries, followed by those of `more` whose key none of them has."""
    kept = list(entries or ())
    present = {entry.get(key) for entry in kept}
    return [*kept, *(entry for entry in more if entry[key] not in present)]


def with_overriding(entries: Sequence[Entry] | None, more: Iterable[Entry], key: str = "name") -> list[Entry]:
    """All of `more`, after those of the entries whose key none of it has."""
    added = list(more)
    replaced = {entry[key] for entry in added}
    return [*(entry for entry in entries or () if entry.get(key) not in replaced), *added]


def without_empty(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without what is None or an empty collection or text, which a manifest leaves out."""
    return {key: value for key, value in mapping.items() if value not in (None, "", {}, [], ())}
