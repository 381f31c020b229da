"""Doing something again and again, with a time in between that each round says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(slots=True)
class Rounds:
    """Rounds of something, one at a time, in the background."""

    walk: Callable[[], Awaitable[timedelta]]
    """One round. Returns the time until the next one; a failure of it ends all."""
    name: str
    """What the tasks are called."""
    _under_way: asyncio.Task[None] | None = None
    _next: asyncio.TimerHandle | None = None

    def begin(self, after: timedelta = timedelta()) -> None:
        """Begin the next round after so long."""
        self._next = asyncio.get_running_loop().call_later(after.total_seconds(), self._start)

    async def close(self) -> None:
        """End the round that is under way, and begin no other."""
        if self._next is not None:
            self._next.cancel()
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    def _start(self) -> None:
        self._under_way = asyncio.get_running_loop().create_task(self._walk(), name=self.name)

    async def _walk(self) -> None:
        self.begin(await self.walk())
