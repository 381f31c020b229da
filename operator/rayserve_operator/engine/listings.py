"""Tells one listing of a kind from the next by the events alone, which bear no mark of it.

kopf lists a kind when it begins to watch it, and again when it has lost the watch. With many objects a listing takes
its time to be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from rayserve_operator.planning.actions import Kind

PAUSE = timedelta(seconds=10)
"""Events of one listing do not come further apart than this."""


class _Listing(NamedTuple):
    first: str
    """uid of the object that it began with."""
    told: datetime
    """When its last event came."""


@dataclass(slots=True)
class Listings:
    """The latest listing of each kind."""

    _expected: frozenset[Kind] = frozenset()
    _latest: dict[Kind, _Listing] = field(default_factory=dict)

    def expect(self, kinds: Iterable[Kind]) -> None:
        """The watches of these kinds begin now, and each with a listing that has something to tell."""
        self._expected = frozenset(kinds)

    def is_another(self, kind: Kind, uid: str, now: datetime) -> bool:
        """Whether an object that is listed now begins a listing that was not expected: a watch was lost before it."""
        known = self._latest.get(kind)
        begins = known is None or uid == known.first or now - known.told > PAUSE
        self._latest[kind] = _Listing(uid if known is None or begins else known.first, now)
        return begins and not (known is None and kind in self._expected)
