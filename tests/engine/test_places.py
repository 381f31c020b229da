import asyncio
from collections.abc import Awaitable, Callable

from rayserve_operator.engine.places import PATIENCE, Place, Places
from tests.sim.virtual_time import run, wait

LONG = 4 * PATIENCE.total_seconds()


class Crowd:
    """Those who take a place as soon as there is one, wait elsewhere, and then work."""

    def __init__(self, count: int, places: int = 2) -> None:
        self.places = Places(places, self.come)
        self.order: list[int] = []
        """Who has begun to work."""
        self.working = self.most = 0
        self.tasks: list[asyncio.Task[None]] = []
        self._count = count
        self.elsewhere: Callable[[int], Awaitable[object]] = lambda _: wait(LONG)

    def come(self) -> None:
        while self.places.is_free and len(self.tasks) < self._count:
            place = self.places.take()
            self.tasks.append(asyncio.ensure_future(self._one(len(self.tasks), place)))

    async def _one(self, number: int, place: Place) -> None:
        try:
            async with self.places.elsewhere(place):
                await self.elsewhere(number)
            self.order.append(number)
            self.working += 1
            self.most = max(self.most, self.working)
            await wait(1)
            self.working -= 1
        finally:
            self.places.leave(place)


def test_who_waits_long_keeps_nobody_out_and_comes_back_in_turn() -> None:
    async def story() -> Crowd:
        crowd = Crowd(10)
        crowd.come()
        await wait(0.99 * LONG)
        assert len(crowd.tasks) >= 6
        await wait(60)
        return crowd

    crowd = run(story())
    assert [number // 2 for number in crowd.order] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]  # Two come back together.
    assert crowd.most == 2


def test_who_waits_shortly_keeps_its_place() -> None:
    async def story() -> int:
        crowd = Crowd(10)
        crowd.elsewhere = lambda _: wait(PATIENCE.total_seconds() / 2)
        crowd.come()
        await wait(PATIENCE.total_seconds())
        begun = len(crowd.tasks)
        await wait(60)
        return begun

    assert run(story()) == 2


def test_one_for_whom_the_answer_is_a_failure_needs_a_place_too() -> None:
    async def fails(_: int) -> None:
        await wait(LONG)
        raise ConnectionError

    async def story() -> tuple[int, bool]:
        crowd = Crowd(6)
        crowd.elsewhere = fails
        crowd.come()
        await wait(60)
        gone = [type(one) for one in await asyncio.gather(*crowd.tasks, return_exceptions=True)]
        return gone.count(ConnectionError), crowd.places.is_free

    assert run(story()) == (6, True)


def test_who_ends_while_it_waits_for_a_place_leaves_it_to_others() -> None:
    async def story() -> list[int]:
        crowd = Crowd(6)
        crowd.come()
        await wait(1.3 * LONG)  # The first two work, and the next two wait for their places.
        for number in (2, 3):
            crowd.tasks[number].cancel()
        await wait(60)
        assert crowd.places.is_free
        return crowd.order

    assert sorted(run(story())) == [0, 1, 4, 5]
