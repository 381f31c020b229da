"""A rollout goes on whichever replica leads, and whatever becomes of it."""

from __future__ import annotations

import pytest

from rayserve_operator.engine.lease import DURATION
from rayserve_operator.planning.actions import Kind

from .client import Fault
from .manifests import merged
from .rayservice import spec
from .replicas import ReplicatedStory
from .story import SETTLED
from .virtual_time import run, wait

TAKEN_OVER = 15.0


async def begun() -> ReplicatedStory:
    story = ReplicatedStory()
    await story.__aenter__()
    story.edit(spec())
    await story.settle()
    story.assert_reached()
    return story


async def rolled_out(story: ReplicatedStory) -> None:
    await story.settle(SETTLED)
    story.assert_reached()
    await story.__aexit__(None, None, None)


def test_one_replica_acts_and_the_other_only_watches() -> None:
    async def tell() -> None:
        story = await begun()
        assert story.leaders == ["a"]
        standby = story.replicas["b"]
        assert set(standby.operator.store.uids()) == set(story.replicas["a"].operator.store.uids())
        assert standby.operator.loop.is_idle
        assert not standby.operator.passes._aims
        await rolled_out(story)

    run(tell())


@pytest.mark.parametrize("at", [0, 3, 6, 9])
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_another_replica_goes_on_where_a_leader_was_killed(at: int, fault: Fault) -> None:
    async def tell() -> None:
        story = await begun()
        await story.perform("fault", (at, fault))
        story.impatient_until(TAKEN_OVER)
        story.edit(spec(image="b", code="y"))
        await wait(60)
        assert list(story.replicas) == story.leaders == ["b"]
        await rolled_out(story)

    run(tell())


def test_another_replica_leads_within_two_seconds_when_a_leader_is_told_to_stop() -> None:
    async def tell() -> None:
        story = await begun()
        story.edit(spec(image="b", code="y"))
        await wait(3)
        leader = story.replicas["a"]
        await leader.operator.close()
        del story.replicas["a"]
        await wait(2)
        assert story.leaders == ["b"]
        await rolled_out(story)

    run(tell())


@pytest.mark.parametrize("after", [0.2, 0.8, 1.6, 2.4])
def test_a_leader_that_was_stopped_for_a_minute_harms_nothing(after: float) -> None:
    """Its process does not even end, as it would: it goes on with what it had begun."""

    async def tell() -> None:
        story = await begun()
        story.replicas["a"].election.on_loss = lambda: None
        story.edit(spec(image="b", code="y"))
        await wait(after)
        story.impatient_until(60)
        story.stop("a", 60)
        await wait(DURATION.total_seconds() + 5)
        assert story.leaders == ["b"]
        await wait(60)
        assert story.leaders == ["b"]
        await rolled_out(story)

    run(tell())


def test_a_leader_without_its_lease_makes_no_more_passes() -> None:
    async def tell() -> None:
        story = await begun()
        story.replicas["a"].election.on_loss = lambda: None
        taken = merged(story.lease, {"spec": {"holderIdentity": "somebody else", "leaseDurationSeconds": 10_000}})
        story.world.put(Kind.LEASE, taken)
        await wait(5)
        writes = story.network.writes.copy()
        story.edit(spec(image="b", code="y"))
        await wait(600)
        assert story.leaders == []
        assert story.network.writes == writes

    run(tell())
