"""Stories of pods that the API server does not take, or says nothing about."""

from __future__ import annotations

from rayserve_operator.engine.dry_runs import PATIENCE
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

from .manifests import name_of
from .rayservice import ServiceStory, spec
from .test_rollouts import QUIET, told
from .virtual_time import wait


@told
async def test_nothing_is_made_of_a_template_that_makes_no_pods(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    made, clusters = story.network.writes.copy(), story.clusters
    story.edit(spec(image="refused", code="y"), is_valid=False)
    await story.settle(QUIET)
    assert story.clusters == clusters
    assert {write for write in story.network.writes - made if "create" in write} == {"create Event"}
    assert story.condition("SpecValid", "reason") == "InvalidRayServiceSpec"
    assert "headGroupSpec.template.spec.containers[0].image" in str(story.condition("SpecValid", "message"))
    assert story.condition("Ready") == "True"
    story.edit(spec(image="b", code="y"))
    await story.settle()
    story.assert_reached()


@told
async def test_a_first_start_waits_for_a_template_that_makes_pods(story: ServiceStory) -> None:
    story.edit(spec(image="refused"), is_valid=False)
    await story.settle(QUIET)
    assert story.condition("SpecValid", "reason") == "InvalidRayServiceSpec"
    assert not story.clusters
    assert not story.world.all(Kind.REVISION)
    story.edit(spec())
    await story.settle()
    story.assert_reached()


@told
async def test_pods_are_tried_once_for_a_revision_and_once_more_after_a_restart(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    assert story.network.dry_runs == 2
    story.edit(spec(image="refused"), is_valid=False)
    await story.settle(QUIET)
    story.edit({**spec(image="refused"), "rayClusterDeletionDelaySeconds": 9}, is_valid=False)
    await story.settle(QUIET)
    assert story.network.dry_runs == 4
    await story.assert_survives_a_restart()
    assert story.network.dry_runs == 6
    assert story.condition("SpecValid", "reason") == "InvalidRayServiceSpec"


@told
async def test_pods_of_what_runs_are_made_without_a_try(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    await story.perform("lose the head", 0)
    await story.settle(QUIET)
    story.edit(spec(replicas=2))
    await story.settle(QUIET)
    story.assert_reached()
    assert story.network.dry_runs == 2


@told
async def test_what_serves_is_looked_after_while_the_template_is_bad(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    story.edit(spec(image="refused"), is_valid=False)
    await story.settle(QUIET)
    [cluster] = story.clusters
    await story.perform("lose the head", 0)
    await story.settle(QUIET)
    [head] = story.world.pods(cluster, labels.HEAD)
    assert story.world.is_up(head), name_of(head)
    assert story.condition("Ready") == "True"


@told
async def test_a_try_without_an_answer_holds_no_rollout_up(story: ServiceStory) -> None:
    story.network.undecided_until = 1_000
    story.edit(spec())
    await story.settle(QUIET)
    story.edit(spec(image="b"))
    await wait(2 * PATIENCE.total_seconds())
    assert len(story.clusters) == 2
    await story.settle()
    story.assert_reached()
