import asyncio
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise

import pytest

from rayserve_operator.engine.loop import (
    AT_ONCE,
    DAWDLING,
    JITTER,
    LONGEST_DAWDLE,
    RUSH,
    YIELDS_FOR,
    Load,
    Loop,
)
from rayserve_operator.engine.places import PATIENCE
from rayserve_operator.engine.store import Key
from rayserve_operator.model.errors import Unavailable
from rayserve_operator.planning.actions import Kind
from tests.sim.virtual_time import run, wait

KEY = Key(Kind.RAY_SERVICE, "default", "demo")
OTHER = Key(Kind.RAY_SERVICE, "default", "other")


@pytest.fixture
async def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before passes that begin by themselves; none of them ever does."""
    found: list[float] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda delay, *_: found.append(delay))
    return found


async def settle() -> None:
    for _ in range(20):
        await asyncio.get_running_loop().run_in_executor(None, int)


async def test_nothing_runs_before_the_loop_is_open() -> None:
    seen: list[Key] = []

    async def look(key: Key) -> None:
        seen.append(key)

    loop = Loop(look)
    loop.wake(KEY)
    await settle()
    assert seen == []
    loop.open()
    await settle()
    assert seen == [KEY]


async def test_what_is_in_a_hurry_is_looked_at_first() -> None:
    seen: list[Key] = []

    async def look(key: Key) -> None:
        seen.append(key)

    loop = Loop(look)
    keys = [Key(Kind.RAY_SERVICE, "default", f"demo-{number}") for number in range(5)]
    for key in keys:
        loop.wake(key)
    loop.hurry([keys[2], OTHER, keys[4]])
    loop.open()
    await settle()
    assert seen == [keys[2], keys[4], keys[0], keys[1], keys[3]]


async def test_wakes_during_a_pass_lead_to_one_more() -> None:
    gate = asyncio.Event()
    seen: list[Key] = []

    async def look(key: Key) -> None:
        seen.append(key)
        await gate.wait()

    loop = Loop(look)
    loop.open()
    for _ in range(5):
        loop.wake(KEY)
        await settle()
    assert seen == [KEY]
    gate.set()
    await settle()
    assert seen == [KEY, KEY]
    assert loop.is_idle


async def test_one_object_that_hangs_keeps_no_other_waiting() -> None:
    seen: list[Key] = []

    async def look(key: Key) -> None:
        seen.append(key)
        if key == KEY:
            await asyncio.Event().wait()

    loop = Loop(look)
    loop.open()
    loop.wake(KEY)
    loop.wake(OTHER)
    await settle()
    assert seen == [KEY, OTHER]
    await loop.close()


async def test_held_it_keeps_what_was_woken() -> None:
    seen: list[Key] = []

    async def look(key: Key) -> None:
        seen.append(key)

    loop = Loop(look)
    loop.open()
    loop.hold()
    loop.wake(KEY)
    loop.wake(KEY)
    await settle()
    assert seen == []
    loop.open()
    await settle()
    assert seen == [KEY]


@pytest.mark.parametrize("error", [Unavailable("no answer"), RuntimeError("a bug")])
async def test_a_failure_is_tried_again_later_and_later(error: Exception, delays: list[float]) -> None:
    async def look(key: Key) -> None:
        raise error

    loop = Loop(look)
    loop.open()
    for _ in range(8):
        loop.wake(KEY)
        await settle()
    assert delays[0] < delays[3] < delays[5]
    assert max(delays) < 60


async def test_two_writers_that_undo_each_other_get_further_apart(delays: list[float]) -> None:
    passes = 0

    async def look(key: Key) -> timedelta:
        nonlocal passes
        passes += 1
        return timedelta()

    loop = Loop(look)
    loop.open()
    for _ in range(10):
        loop.wake(KEY)
        await settle()
    assert passes == RUSH + len(delays)
    assert 0 < delays[0] < delays[5]


async def test_a_users_edit_is_followed_at_once_however_much_there_was_to_do(delays: list[float]) -> None:
    passes = 0

    async def look(key: Key) -> timedelta:
        nonlocal passes
        passes += 1
        return timedelta()

    loop = Loop(look)
    loop.open()
    loop.wake(KEY)
    await settle()
    assert (passes, len(delays)) == (RUSH + 1, 1)
    loop.relent(KEY)
    loop.wake(KEY)
    await settle()
    assert passes > RUSH + 2


OFTEN = timedelta(seconds=0.5)


async def pauses(news: list[float]) -> list[tuple[float, float]]:
    """When an object is looked at that is woken at these seconds, with the pause after each look."""
    looks: list[float] = []
    running = asyncio.get_running_loop()

    async def look(key: Key) -> timedelta:
        looks.append(running.time())
        return OFTEN

    loop = Loop(look)
    loop.open()
    for at in news:
        await wait(at - running.time())
        loop.wake(KEY)
    await wait(1000)
    await loop.close()
    return [(at, later - at) for at, later in pairwise(looks)]


def test_what_stays_without_news_is_looked_at_less_and_less_often() -> None:
    found = run(pauses([0]))
    assert found[0][1] == OFTEN.total_seconds()
    for at, pause in found:
        longest = max(OFTEN.total_seconds(), min(at * DAWDLING, LONGEST_DAWDLE.total_seconds()))
        assert pause == pytest.approx(longest, rel=JITTER)


def test_news_make_it_looked_at_often_again() -> None:
    found = dict(run(pauses([0, 500])))
    assert found[500] == OFTEN.total_seconds()


def test_what_is_done_in_a_pass_is_news() -> None:
    answers = iter([timedelta(), OFTEN])
    looks: list[float] = []

    async def story() -> None:
        running = asyncio.get_running_loop()

        async def look(key: Key) -> timedelta:
            looks.append(running.time())
            return next(answers, OFTEN) if running.time() >= 500 else OFTEN

        loop = Loop(look)
        loop.open()
        loop.wake(KEY)
        await wait(600)
        await loop.close()

    run(story())
    done = next(number for number, at in enumerate(looks) if at >= 500)
    assert looks[done + 2] - looks[done + 1] == OFTEN.total_seconds()


def test_the_load_tells_what_runs_for_how_long_and_what_waits() -> None:
    async def look(_: Key) -> None:
        await asyncio.Event().wait()

    async def whole() -> tuple[Load, Load]:
        loop = Loop(look)
        loop.wake(KEY)
        held = loop.load()
        loop.open()
        await wait(3)
        loop.wake(OTHER)
        loop.wake(OTHER)
        await wait(2)
        busy = loop.load()
        await loop.close()
        return held, busy

    held, busy = run(whole())
    assert held == Load(running=0, waiting=1, longest=timedelta(), is_held=True)
    assert busy == Load(running=2, waiting=0, longest=timedelta(seconds=5), is_held=False)


def keys(count: int) -> list[Key]:
    return [Key(Kind.RAY_SERVICE, "default", f"demo-{number:03}") for number in range(count)]


class Busy:
    """A loop whose passes each take a while; each object's passes give the answers that are set for it, then None."""

    def __init__(self, takes: float = PATIENCE.total_seconds() / 2, *, elsewhere: bool = False) -> None:
        self._elsewhere = elsewhere
        self.loop = Loop(self._look)
        self.looks: list[Key] = []
        self.most = 0
        self.answers: dict[Key, list[timedelta]] = {}
        self._takes = takes

    async def _look(self, key: Key) -> timedelta | None:
        self.looks.append(key)
        self.most = max(self.most, self.loop.load().running)
        async with self.loop.elsewhere() if self._elsewhere else nullcontext():
            await wait(self._takes)
        answers = self.answers.get(key)
        return answers.pop(0) if answers else None


def test_no_more_passes_are_under_way_than_there_is_room_for() -> None:
    many = keys(3 * AT_ONCE)

    async def story() -> Busy:
        busy = Busy()
        busy.loop.open()
        for key in many * 3:
            busy.loop.wake(key)
        await wait(1)
        return busy

    busy = run(story())
    assert busy.most == AT_ONCE
    assert Counter(busy.looks) == Counter(many) + Counter(many[:AT_ONCE])  # Those were woken during their pass.
    assert busy.looks[: len(many)] == many
    assert busy.loop.is_idle


@pytest.mark.parametrize(("elsewhere", "begun"), [(True, 5 * AT_ONCE), (False, AT_ONCE)])
def test_passes_that_wait_long_for_others_than_the_api_server_keep_nobody_waiting(elsewhere: bool, begun: int) -> None:
    many = keys(5 * AT_ONCE)

    async def story() -> list[Key]:
        busy = Busy(takes=3600, elsewhere=elsewhere)
        busy.loop.open()
        for key in many:
            busy.loop.wake(key)
        await wait(5 * PATIENCE.total_seconds())
        await busy.loop.close()
        return busy.looks

    assert run(story()) == many[:begun]


def test_a_pass_that_took_long_counts_again_when_it_goes_on() -> None:
    async def story() -> int:
        busy = Busy(takes=2 * PATIENCE.total_seconds(), elsewhere=True)
        busy.loop.open()
        busy.answers = {KEY: [timedelta()] * 5}
        busy.loop.wake(KEY)
        await wait(20 * PATIENCE.total_seconds())
        busy._takes /= 4
        for key in keys(3 * AT_ONCE):
            busy.loop.wake(key)
        await wait(20 * PATIENCE.total_seconds())
        return busy.most

    assert run(story()) == AT_ONCE


def test_who_is_in_the_middle_of_something_goes_on_with_it() -> None:
    many = keys(2 * AT_ONCE)

    async def story() -> list[Key]:
        busy = Busy()
        busy.answers = {many[0]: [timedelta()] * 2}
        busy.loop.open()
        for key in many:
            busy.loop.wake(key)
        await wait(1)
        return busy.looks

    looks = run(story())
    assert looks[AT_ONCE] == many[0]
    assert looks.count(many[0]) == 3


async def told(others: int, for_: float = 4) -> tuple[list[Key], list[Key]]:
    """Which passes there are over one object that has a status to write among so many others, and who writes when."""
    looks: list[Key] = []
    writes: list[Key] = []

    async def look(key: Key) -> None:
        looks.append(key)
        await wait(PATIENCE.total_seconds() / 2)
        if key == KEY and loop.may_tell(key):
            writes.append(looks[-1])

    loop = Loop(look)
    loop.open()
    for key in (KEY, *keys(others)):
        loop.wake(key)
    await wait(for_)
    await loop.close()
    return looks, writes


@pytest.mark.parametrize(("others", "passes"), [(0, 1), (AT_ONCE - 1, 1), (AT_ONCE, 2), (10 * AT_ONCE, 2)])
def test_a_status_lets_others_go_first(others: int, passes: int) -> None:
    looks, writes = run(told(others))
    assert looks.count(KEY) == passes
    assert len(writes) == 1
    assert passes == 1 or looks.index(KEY, 1) == len(looks) - 1


def test_a_status_is_not_kept_back_for_ever() -> None:
    looks, writes = run(told(2000 * AT_ONCE, for_=2 * YIELDS_FOR.total_seconds()))
    assert looks.count(KEY) == 2
    assert len(writes) == 1


def test_what_is_woken_while_its_status_waits_is_looked_at_at_once_and_told_later() -> None:
    async def story() -> tuple[list[float], list[float]]:
        looks: list[float] = []
        writes: list[float] = []
        running = asyncio.get_running_loop()

        async def look(key: Key) -> None:
            if key == KEY:
                looks.append(running.time())
            await wait(PATIENCE.total_seconds() / 2)
            if key == KEY and loop.may_tell(key):
                writes.append(running.time())

        loop = Loop(look)
        loop.open()
        for key in (KEY, *keys(2000 * AT_ONCE)):
            loop.wake(key)
        await wait(1)
        loop.wake(KEY)
        loop._due.move_to_end(KEY, last=False)
        await wait(2 * YIELDS_FOR.total_seconds())
        return looks, writes

    looks, writes = run(story())
    first, woken, told_at = looks
    assert first == 0
    assert woken == pytest.approx(1, abs=PATIENCE.total_seconds())
    assert told_at == pytest.approx(YIELDS_FOR.total_seconds(), abs=2 * PATIENCE.total_seconds())
    assert len(writes) == 1


def test_it_is_calm_when_nobody_waits_for_a_turn() -> None:
    async def story() -> tuple[float, float]:
        running = asyncio.get_running_loop()
        busy = Busy()
        busy.loop.open()
        await busy.loop.calm()
        began = running.time()
        for key in keys(3 * AT_ONCE):
            busy.loop.wake(key)
        await busy.loop.calm()
        return running.time() - began, PATIENCE.total_seconds()

    took, patience = run(story())
    assert took == pytest.approx(patience)


def test_it_is_calm_when_it_is_held() -> None:
    async def story() -> float:
        running = asyncio.get_running_loop()
        busy = Busy(takes=3600)
        busy.loop.open()
        for key in keys(3 * AT_ONCE):
            busy.loop.wake(key)
        await busy.loop.close()
        busy.loop.wake(KEY)
        await busy.loop.calm()
        return running.time()

    assert run(story()) == 0
