"""The requests of a scenario, several kinds at once, each with a record of its own."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from scenarios.harness.asking import GREET, Question
from scenarios.harness.keepalive import KeptAlive
from scenarios.harness.load import TIMEOUT, Load, Record
from scenarios.harness.waiting import until

NEW = "short GETs on new connections"
KEPT = "short GETs on kept connections"
HELD = "GETs of 3 minutes, each on its own connection"
POSTS = "short POSTs on kept connections (no promise)"
"""Clients may not repeat them, so one that meets a closing connection is lost."""

HELD_AT_ONCE = 10
"""Very long requests, sent one a second."""

NEW_RATE, KEPT_RATE, LONG_RATE, POST_RATE = 4.8, 4.0, 0.2, 1.0
"""Requests a second: ten in all."""
LASTING = (30.0, 60.0)
"""Seconds that a long request takes."""
SHORT = (10.0, 20.0)
"""The same where time is short."""


@dataclass
class LongLoad(Load):
    """Long requests, each on a connection of its own, that the echo application holds."""

    question: Question = GREET
    lasting: tuple[float, float] = LASTING
    """Seconds that the shortest and the longest of them take."""

    def __post_init__(self) -> None:
        self.patience = self.lasting[1] + TIMEOUT

    def next_question(self) -> Question:
        """A request that takes any time between the shortest and the longest."""
        seconds = random.SystemRandom().uniform(*self.lasting)
        return Question(f"/?sleep={seconds:.1f}")


class Mix:
    """Ten requests a second to the echo application."""

    def __init__(self, url: str) -> None:
        self.kinds: dict[str, Load | KeptAlive] = {
            NEW: Load(url, GREET, NEW_RATE),
            KEPT: KeptAlive(url, GREET, KEPT_RATE),
            POSTS: KeptAlive(url, Question("/", {"hello": "world"}), POST_RATE, clients=2),
        }
        self._url = url

    def with_long(self, lasting: tuple[float, float] = LASTING) -> "Mix":
        """Add long requests, that take so many seconds."""
        kind = f"GETs of {lasting[0]:g} to {lasting[1]:g} s, each on its own connection"
        self.kinds[kind] = LongLoad(self._url, rate=LONG_RATE, lasting=lasting)
        return self

    def with_held(self, seconds: float = 180.0) -> "Mix":
        """Add very long requests, sent only when `hold` is called."""
        self._held = LongLoad(self._url, rate=1.0, most=0, lasting=(seconds, seconds))
        self.kinds[HELD] = self._held
        return self

    def hold(self) -> None:
        """Send some very long requests in the next seconds."""
        assert self._held.most is not None
        self._held.most += HELD_AT_ONCE

    @contextmanager
    def running(self) -> Iterator["Mix"]:
        """Run all; the end waits for the long requests first, the short ones going on."""
        with ExitStack() as stack:
            for load in self.kinds.values():
                stack.enter_context(load.running())
            until(lambda: self.kinds[NEW].sent > 10, "the load runs", 10)
            for record in self.kinds.values():
                record.mark()
            yield self

    @property
    def promised(self) -> Mapping[str, Record]:
        """The kinds of which no request may fail."""
        return {kind: record for kind, record in self.kinds.items() if kind != POSTS}

    @property
    def by_cluster(self) -> Counter[str]:
        """Good answers by the Ray cluster that gave them."""
        return sum((record.by_cluster for record in self.kinds.values()), Counter())

    def assert_none_lost(self) -> None:
        """Every request that may not fail had a good answer."""
        lost = {kind: r.explain() for kind, r in self.promised.items() if r.failed}
        assert not lost, lost
