import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from rayserve_operator.engine.loop import DAWDLING, JITTER, LONGEST_DAWDLE, RUSH, Load, Loop
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
    async def look(key: Key) -> timedelta:
        return timedelta()

    loop = Loop(look)
    loop.open()
    for _ in range(RUSH + 10):
        loop.wake(KEY)
        await settle()
    assert set(delays[:RUSH]) == {0}
    assert 0 < delays[RUSH] < delays[RUSH + 5]


async def test_a_users_edit_is_followed_at_once_however_much_there_was_to_do(delays: list[float]) -> None:
    async def look(key: Key) -> timedelta:
        return timedelta()

    loop = Loop(look)
    loop.open()
    for _ in range(RUSH + 1):
        loop.wake(KEY)
        await settle()
    assert delays[-1] > 0
    loop.relent(KEY)
    loop.wake(KEY)
    await settle()
    assert delays[-1] == 0


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
