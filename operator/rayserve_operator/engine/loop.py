"""Which object is looked at when: one pass at a time per object, and only so many at once as one process can do."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from rayserve_operator.engine import scope
from rayserve_operator.engine.places import Place, Places
from rayserve_operator.engine.store import Key
from rayserve_operator.model.errors import OperatorError

logger = logging.getLogger(__name__)

UNEXPECTED_FIRST_RETRY = timedelta(seconds=1)
UNEXPECTED_LAST_RETRY = timedelta(seconds=30)
JITTERED_FROM = timedelta(seconds=5)
JITTER = 0.2

AT_ONCE = 16
"""Passes that are under way at a time. What is woken while it waits for its turn is looked at once for all that has
come until then, so that the more there is to do, the fewer passes it takes."""

YIELDS_FOR = timedelta(seconds=5)
"""For how long a status that only tells how things are lets those go first who have something to do."""

DAWDLING = 1 / 20
"""What is looked at again and again without any news is looked at less and less often: after this part of the time that
it has been without news, so that whatever comes in the end is seen later by no more than that part of the wait."""
LONGEST_DAWDLE = timedelta(seconds=10)

RUSH = 30
"""Passes in a row that each had something to do. More of them than any rollout needs means that two writers undo each
other's work, or that an answer never matches what was asked for: then they get further and further apart."""
RUSH_FIRST_DELAY = timedelta(milliseconds=100)
RUSH_LAST_DELAY = timedelta(seconds=30)

Pass = Callable[[Key], Awaitable[timedelta | None]]
"""Looks at one object and says when to look again, or None to wait for something to wake it."""


class Load(NamedTuple):
    """How busy the loop is."""

    running: int
    """Passes under way."""
    waiting: int
    """Objects that are due and have no pass under way: their turn has not come, or the loop is held."""
    longest: timedelta
    """How long the oldest of the passes under way has been so."""
    is_held: bool


@dataclass(slots=True)
class _Turn:
    """What is known of one object's turns."""

    task: asyncio.Task[None] | None = None
    began_at: float = 0.0
    """When the pass under way began, by the loop's clock."""
    is_due_again: bool = False
    """Whether it was woken during the pass under way."""
    place: Place | None = None
    """Of the pass under way, among those for which there is room."""
    timer: asyncio.TimerHandle | None = None
    yields: bool = False
    """Whether the pass under way leaves its status to another one."""
    failures: int = 0
    rush: int = 0
    news_at: float = 0.0
    """When something last woke the object, or was done in a pass of it; by the loop's clock."""


@dataclass(slots=True)
class Loop:
    """Runs passes. A wake-up during a pass leads to one more pass, however many there were."""

    run_pass: Pass
    chance: random.Random = field(default_factory=random.Random)
    _turns: dict[Key, _Turn] = field(default_factory=dict)
    _due: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    """What waits for its turn, in that order."""
    _telling: OrderedDict[Key, float] = field(default_factory=OrderedDict)
    """What has a status to write that lets others go first, and since when, by the loop's clock."""
    _places: Places = field(init=False)
    _is_open: bool = False
    _calm: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether no pass that could begin waits for its turn."""

    def __post_init__(self) -> None:
        self._places = Places(AT_ONCE, self._begin)
        self._calm.set()

    def open(self) -> None:
        """Run passes, beginning with everything that was woken while the loop was closed."""
        self._is_open = True
        self._begin()

    def hold(self) -> None:
        """Begin no more passes until the loop is opened again; those under way go on."""
        self._is_open = False
        self._calm.set()

    async def close(self) -> None:
        """End the passes under way; what they had planned is planned again by the next operator."""
        self.hold()
        tasks = [turn.task for turn in self._turns.values() if turn.task is not None]
        for turn in self._turns.values():
            if turn.timer is not None:
                turn.timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self, key: Key) -> None:
        """See to it that a pass of this object starts now, or once more when the one under way ends."""
        turn = self._turns.setdefault(key, _Turn())
        turn.news_at = asyncio.get_running_loop().time()
        self._start(key, turn)

    def hurry(self, keys: Iterable[Key]) -> None:
        """Look at these before all others that are due."""
        for key in [key for key in keys if key in self._due][::-1]:
            self._due.move_to_end(key, last=False)

    def relent(self, key: Key) -> None:
        """Forget how often there was something to do: there is now because a user has asked for it."""
        if key in self._turns:
            self._turns[key].rush = 0

    def _start(self, key: Key, turn: _Turn, *, first: bool = False) -> None:
        if turn.task is not None:
            turn.is_due_again = True
            return
        if turn.timer is not None:
            turn.timer.cancel()
            turn.timer = None
        self._due[key] = None
        if first:
            self._due.move_to_end(key, last=False)
        self._begin()

    def _begin(self) -> None:
        """Begin passes over what is due, as long as there is room for more."""
        running = asyncio.get_running_loop()
        while self._is_open and self._places.is_free and (key := self._next()) is not None:
            turn = self._turns[key]
            self._due.pop(key, None)
            turn.is_due_again = turn.yields = False
            turn.began_at = running.time()
            turn.place = self._places.take()
            turn.task = running.create_task(self._run(key, turn), name=f"{key.kind} {key.name}")
        if self._due and self._is_open:
            self._calm.clear()
        else:
            self._calm.set()

    def _next(self) -> Key | None:
        """Whose turn it is, None where nobody waits for one."""
        key = next((key for key in self._telling if self._turns[key].task is None), None)
        if key is not None and (not self._due or self._has_yielded(key)):
            return key
        return next(iter(self._due), None)

    def _has_yielded(self, key: Key) -> bool:
        now = asyncio.get_running_loop().time()
        return now - self._telling.get(key, now) >= YIELDS_FOR.total_seconds()

    def may_tell(self, key: Key) -> bool:
        """Whether the pass under way may write a status that only tells how things are.

        If not, another pass comes that may: when nobody has something to do, or after a while. By then there is often
        more to tell.
        """
        self._turns[key].yields = yields = bool(self._due) and not self._has_yielded(key)
        if yields:
            self._telling.setdefault(key, asyncio.get_running_loop().time())
        return not yields

    async def calm(self) -> None:
        """Wait until no pass that could begin waits for its turn."""
        await self._calm.wait()

    @asynccontextmanager
    async def elsewhere(self) -> AsyncIterator[None]:
        """Lasts as long as the running pass waits for anybody but the API server: a Ray that hangs takes nobody's turn.

        So many that come back from there together are again no more at a time than there is room for.
        """
        under_way = scope.current()
        turn = None if under_way is None else self._turns.get(under_way.key)
        if turn is None or turn.place is None:
            yield
            return
        async with self._places.elsewhere(turn.place):
            yield

    def forget(self, key: Key) -> None:
        """Drop what is known of an object that is gone."""
        turn = self._turns.get(key)
        if turn is not None and turn.task is None and turn.timer is None and not self._waits(key):
            del self._turns[key]

    def _waits(self, key: Key) -> bool:
        return key in self._due or key in self._telling

    @property
    def is_idle(self) -> bool:
        """Whether no pass runs; timers may wait."""
        return all(turn.task is None for turn in self._turns.values())

    def load(self) -> Load:
        """How busy the loop is now."""
        begun = [turn.began_at for turn in self._turns.values() if turn.task is not None]
        now = asyncio.get_running_loop().time()
        longest = timedelta(seconds=now - min(begun, default=now))
        return Load(len(begun), len({*self._due, *self._telling}), longest, not self._is_open)

    async def _run(self, key: Key, turn: _Turn) -> None:
        scope.enter(key)
        again = await self._attempt(key, turn)
        place, turn.task, turn.place = turn.place, None, None
        if not turn.yields:
            self._telling.pop(key, None)
        if again == timedelta():
            # Who is in the middle of something goes on with it.
            self._start(key, turn, first=True)
        elif turn.is_due_again and turn.failures == 0 and turn.rush <= RUSH:
            self._start(key, turn)
        elif again is not None and not turn.yields:
            turn.timer = asyncio.get_running_loop().call_later(again.total_seconds(), self._on_time, key, turn)
        else:
            self.forget(key)
        if place is not None:
            self._places.leave(place)
        self._begin()

    def _on_time(self, key: Key, turn: _Turn) -> None:
        turn.timer = None
        self._start(key, turn)

    async def _attempt(self, key: Key, turn: _Turn) -> timedelta | None:
        try:
            again = await self.run_pass(key)
        except OperatorError as error:
            turn.failures += 1
            delay = self._backoff(turn.failures, error.first_retry, error.last_retry)
            # A single failure is everyday life: two writers met, or an answer was lost.
            level = logging.DEBUG if turn.failures == 1 else logging.INFO
            logger.log(level, "%s; next try in %.1f s", error, delay.total_seconds())
            return delay
        except Exception:
            turn.failures += 1
            delay = self._backoff(turn.failures, UNEXPECTED_FIRST_RETRY, UNEXPECTED_LAST_RETRY)
            logger.exception("Unexpected failure; next try in %.1f s", delay.total_seconds())
            return delay
        turn.failures = 0
        if again == timedelta():
            turn.rush += 1
            turn.news_at = asyncio.get_running_loop().time()
        else:
            turn.rush = 0
        if turn.rush > RUSH:
            delay = self._backoff(turn.rush - RUSH, RUSH_FIRST_DELAY, RUSH_LAST_DELAY)
            logger.warning("%d passes in a row found something to do", turn.rush)
            return delay
        return None if again is None else self._spread(self._dawdled(again, turn))

    @staticmethod
    def _dawdled(again: timedelta, turn: _Turn) -> timedelta:
        """The pause, longer where there has been no news for long."""
        without_news = timedelta(seconds=asyncio.get_running_loop().time() - turn.news_at)
        return max(again, min(DAWDLING * without_news, LONGEST_DAWDLE)) if again else again

    def _spread(self, pause: timedelta) -> timedelta:
        """The pause, a little longer or shorter if it is long, so that not all objects are looked at together."""
        return pause * (1 + JITTER * (self.chance.random() - 0.5)) if pause >= JITTERED_FROM else pause

    def _backoff(self, failures: int, first: timedelta, last: timedelta) -> timedelta:
        doubled: timedelta = min(first * 2 ** min(failures - 1, 16), last)
        return doubled * (1 + JITTER * self.chance.random())
