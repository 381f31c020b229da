"""Which pass the running code belongs to, so that every line that it logs can say so."""

from __future__ import annotations

import itertools
from contextvars import ContextVar
from typing import NamedTuple

from rayserve_operator.engine.store import Key


class Scope(NamedTuple):
    """A pass over an object."""

    key: Key
    number: int
    """Counts the passes of this process, over all objects."""


_current: ContextVar[Scope | None] = ContextVar("scope", default=None)
_numbers = itertools.count(1)


def current() -> Scope | None:
    """The pass that is under way here, and what it has started; None outside of passes."""
    return _current.get()


def enter(key: Key) -> None:
    """A pass over this object begins in the running task."""
    _current.set(Scope(key, next(_numbers)))


def leave() -> None:
    """The running task goes on for its own sake, though a pass may have started it."""
    _current.set(None)
