import asyncio
from collections.abc import Awaitable

from benchmarks.views import View
from benchmarks.world import World, each


def _exists(view: View) -> bool:
    return view.exists


def _show(world: World, name: str, at: float) -> None:
    manifest = {"metadata": {"name": name, "namespace": "bench", "generation": 1}}
    world.saw("rayservices", "ADDED", manifest, at)


async def test_an_effect_is_timed_when_its_event_arrives() -> None:
    world = World()
    awaited = world.await_(["a", "b"], _exists)
    _show(world, "a", 5.0)
    _show(world, "other", 6.0)
    assert awaited.missing == {"b"}
    _show(world, "b", 7.0)
    _show(world, "a", 8.0)
    assert await awaited.within(0) == {"a": 5.0, "b": 7.0}


async def test_what_never_comes_is_waited_for_no_longer_than_told() -> None:
    awaited = World().await_(["a"], _exists)
    assert await awaited.within(0.001) == {}
    assert awaited.missing == {"a"}


async def test_what_is_so_already_is_seen_at_once() -> None:
    world = World()
    _show(world, "a", 5.0)
    assert not world.await_(["a"], _exists).missing


async def test_no_more_is_done_at_once_than_told() -> None:
    under_way, most = 0, 0

    async def act(_name: str) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        pause: Awaitable[None] = asyncio.to_thread(lambda: None)
        await pause
        under_way -= 1

    begun = await each("abcdef", act, at_once=2)
    assert set(begun) == set("abcdef")
    assert most == 2
