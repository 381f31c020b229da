"""What is counted and timed of rollouts, in a world whose time is known."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from typing_extensions import override

from rayserve_operator.engine.milestones import GivenUp, Milestone, Phase, PhaseEnded, Switched
from rayserve_operator.engine.operator import STUCK_AFTER
from rayserve_operator.engine.ports import Unmetered
from rayserve_operator.engine.store import Key
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.service.draining import QUIET_FOR

from .rayservice import ServiceStory, spec
from .rules import DELAY
from .virtual_time import run, wait

FIRST, ROLLED = 25.0, 150.0
UNDER_WAY = 3.0


class Notebook(Unmetered):
    """Writes all of it down."""

    def __init__(self) -> None:
        self.passes: Counter[tuple[Kind, str]] = Counter()
        self.phases: defaultdict[Phase, list[timedelta]] = defaultdict(list)
        self.switches = 0
        self.given_up: list[str] = []
        self.doubts = 0
        self.listings: Counter[str] = Counter()

    @override
    def passed(self, kind: Kind, result: str, took: timedelta) -> None:
        self.passes[kind, result] += 1

    @override
    def reached(self, milestone: Milestone) -> None:
        match milestone:
            case PhaseEnded(phase, took):
                self.phases[phase].append(took)
            case Switched():
                self.switches += 1
            case GivenUp(reason):
                self.given_up.append(reason)

    @override
    def doubted(self) -> None:
        self.doubts += 1

    @override
    def listed(self, result: str, took: timedelta) -> None:
        self.listings[result] += 1


def measured(tell: Callable[[ServiceStory], Awaitable[None]]) -> Notebook:
    """What is noted of a story whose first start is over and done with."""
    notebook = Notebook()

    async def whole() -> None:
        async with ServiceStory() as story:
            story.meter = story.operator._meter = notebook
            story.edit(spec())
            await wait(FIRST)
            await tell(story)
            story.assert_no_violation()

    run(whole())
    return notebook


async def nothing(_: ServiceStory) -> None: ...


async def blue_green(story: ServiceStory) -> None:
    story.edit(spec(image="b"))
    await wait(ROLLED)


def test_a_first_start_is_timed_and_is_no_switch_from_anything() -> None:
    notebook = measured(nothing)
    assert notebook.phases.keys() == {Phase.FIRST_START}
    [took] = notebook.phases[Phase.FIRST_START]
    assert timedelta() < took < timedelta(seconds=FIRST)
    assert notebook.given_up == []


def test_a_rollout_is_prepared_and_drained_once() -> None:
    before, after = measured(nothing), measured(blue_green)
    assert after.switches == before.switches + 1
    [prepared], [drained] = after.phases[Phase.PREPARE], after.phases[Phase.DRAIN]
    assert timedelta() < prepared < timedelta(seconds=ROLLED)
    assert drained >= max(timedelta(seconds=DELAY), QUIET_FOR)


def test_a_cluster_that_is_made_when_the_old_one_has_gone_is_no_first_start() -> None:
    async def tell(story: ServiceStory) -> None:
        story.edit(spec(image="b", strategy={"type": "Recreate"}))
        await wait(ROLLED)

    notebook = measured(tell)
    assert {phase: len(notebook.phases[phase]) for phase in (Phase.FIRST_START, Phase.PREPARE, Phase.DRAIN)} == {
        Phase.FIRST_START: 1,
        Phase.PREPARE: 1,
        Phase.DRAIN: 1,
    }


def test_an_operator_that_goes_on_with_a_rollout_counts_from_its_start() -> None:
    async def tell(story: ServiceStory) -> None:
        story.edit(spec(image="b"))
        await wait(UNDER_WAY)
        await story.perform("restart", None)
        await wait(ROLLED)

    [undisturbed] = measured(blue_green).phases[Phase.PREPARE]
    [took] = measured(tell).phases[Phase.PREPARE]
    assert took > undisturbed - timedelta(seconds=UNDER_WAY) / 2


def test_an_edit_in_place_is_timed() -> None:
    async def tell(story: ServiceStory) -> None:
        story.edit(spec(code="y"))
        await wait(FIRST)

    notebook = measured(tell)
    [took] = notebook.phases[Phase.IN_PLACE]
    assert timedelta() < took < timedelta(seconds=FIRST)


@pytest.mark.parametrize(("edit", "reason"), [({"image": "missing"}, "ImageError"), ({"code": "bad"}, "DeployFailed")])
def test_a_rollout_that_is_given_up_counts_once_by_its_reason(edit: dict[str, str], reason: str) -> None:
    async def tell(story: ServiceStory) -> None:
        story.edit(spec(**edit))  # type: ignore[arg-type]
        await wait(ROLLED)

    assert measured(tell).given_up == [reason]


def test_passes_are_counted_by_what_came_of_them() -> None:
    async def tell(story: ServiceStory) -> None:
        await story.perform("outage", 20)
        story.edit(spec(image="b"))
        await wait(ROLLED)

    results = measured(tell).passes
    assert results[Kind.RAY_SERVICE, "acted"] > 0
    assert results[Kind.RAY_CLUSTER, "rested"] > 0
    assert results[Kind.RAY_SERVICE, "Disconnected"] + results[Kind.RAY_SERVICE, "OutcomeUnknown"] > 0


def test_an_outage_is_a_doubt_until_all_was_listed() -> None:
    async def tell(story: ServiceStory) -> None:
        await story.perform("outage", 20)
        story.edit(spec(image="b"))
        await wait(10)
        assert not story.operator.is_ready
        assert story.operator.loop.load().is_held
        await wait(ROLLED)
        assert story.operator.is_ready

    notebook = measured(tell)
    assert notebook.doubts == 1
    assert notebook.listings["failed"] > 0
    assert notebook.listings["done"] > 0


def test_a_pass_that_never_ends_is_death() -> None:
    async def tell(story: ServiceStory) -> None:
        async def hang(_: Key) -> timedelta | None:
            await asyncio.Event().wait()
            return None

        story.operator.loop.run_pass = hang
        story.edit(spec(image="b"))
        await wait(STUCK_AFTER.total_seconds() - 60)
        assert story.operator.is_alive
        await wait(120)
        assert not story.operator.is_alive

    measured(tell)
