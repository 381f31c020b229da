"""Room for so many at a time. Who waits long for others gives up its place, and has one again before it goes on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

PATIENCE = timedelta(seconds=0.25)
"""Who waits longer than this keeps no place meanwhile."""


@dataclass(slots=True)
class Place:
    """What one has of the room."""

    is_held: bool = True
    """Whether it counts."""
    waits: int = 0
    """For how many answers of others it is waited."""
    patience: asyncio.TimerHandle | None = None
    """Runs while it is."""


@dataclass(slots=True)
class Places:
    """So many places.

    Args:
        count: how many there are.
        on_free: is called when one may be free that nobody comes back to.
    """

    count: int
    on_free: Callable[[], None]
    _held: int = 0
    _returning: deque[asyncio.Future[None]] = field(default_factory=deque)
    """Those who wait for a place to go on, the first who came in front."""

    @property
    def is_free(self) -> bool:
        """Whether one may be taken."""
        return self._held < self.count

    def take(self) -> Place:
        """Have a place from now on, which must be free."""
        self._held += 1
        return Place()

    def leave(self, place: Place) -> None:
        """Need the place no more."""
        if place.is_held:
            place.is_held = False
            self._free()

    @asynccontextmanager
    async def elsewhere(self, place: Place) -> AsyncIterator[None]:
        """Lasts as long as it is waited for others."""
        if place.waits == 0:
            place.patience = asyncio.get_running_loop().call_later(PATIENCE.total_seconds(), self.leave, place)
        place.waits += 1
        try:
            yield
        except Exception:
            await self._return(place)
            raise
        except BaseException:
            # Who is ended goes on with nothing.
            self._came_back(place)
            raise
        await self._return(place)

    def _came_back(self, place: Place) -> None:
        place.waits -= 1
        if place.waits == 0 and place.patience is not None:
            place.patience.cancel()

    async def _return(self, place: Place) -> None:
        """Have a place again: who has something under way goes before who has yet to begin."""
        self._came_back(place)
        if place.waits or place.is_held:
            return
        if self.is_free:
            self._held += 1
        else:
            turn = asyncio.get_running_loop().create_future()
            self._returning.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    # The place has come at the very moment at which nobody needs it any more.
                    self._free()
                raise
        place.is_held = True

    def _free(self) -> None:
        self._held -= 1
        while self._returning and self.is_free:
            turn = self._returning.popleft()
            if not turn.done():
                self._held += 1
                turn.set_result(None)
        if self.is_free:
            self.on_free()
