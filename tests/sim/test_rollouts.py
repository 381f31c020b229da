"""Single stories of a RayService, each about one thing, and every small rollout with a blow at any of its writes.

Of the pairs of a write and a blow a few are tried, the same ones always. SIMULATIONS=100 tries so many of each rollout,
EVERY_WRITE=1 all of them; pytest says in the end how many they were.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

from .conftest import STATES
from .manifests import name_of
from .rayservice import ServiceStory, spec
from .rollouts import BY_ROUTE, ROLLOUTS, STEPS, TWO, UNDER_WAY, roll_out, states
from .rules import DELAY, SERVE_SERVICE
from .serve import as_written
from .virtual_time import run, wait

SAMPLE = None if os.environ.get("EVERY_WRITE") else int(os.environ.get("SIMULATIONS") or 2)
SHOWN = 3
"""Failures that are told in full."""
QUIET = 40.0
"""Long enough for anything smaller, with a retry."""


def told(tell: Callable[[ServiceStory], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of a story."""

    async def whole() -> None:
        async with ServiceStory() as story:
            await tell(story)
            story.assert_no_violation()

    def test() -> None:
        run(whole())

    return test


@pytest.mark.parametrize("name", ROLLOUTS)
def test_a_rollout_ends_as_it_must_whatever_befalls_one_of_its_writes(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    rollout = ROLLOUTS[name]
    chosen = states(name, run(roll_out(rollout)).writes, SAMPLE)
    record_property(STATES, len(chosen))
    failures = []
    for at, blow in chosen:
        try:
            run(roll_out(rollout, at, blow))
        except AssertionError as failure:
            failure.add_note(f"--- {blow} at write {at}")
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(chosen)} states", failures[:SHOWN])


@told
async def test_a_rollout_that_was_given_up_is_tried_again_when_a_user_asks_for_it(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    story.edit(spec(image="missing"))
    await story.settle(UNDER_WAY)
    assert story.condition("Stalled", "reason") == "ImageError"
    made = story.network.writes["create RayCluster"]
    newest = max(story.world.all(Kind.REVISION), key=lambda found: int(found["revision"]))
    story.note(Kind.REVISION, newest, {labels.FAILED: None, labels.STARTED_AT: None})
    await wait(20)
    assert story.condition("Stalled") is None
    assert len(story.clusters) == 2
    await story.settle(UNDER_WAY)
    assert story.condition("Stalled", "reason") == "ImageError"
    assert story.network.writes["create RayCluster"] == made + 1


@told
async def test_a_new_cluster_waits_for_its_user(story: ServiceStory) -> None:
    by_hand = {"autoPromotion": False, "pauseAtPercent": 40}
    story.edit(spec(groups=(("cpu", 2, 1, 3),), strategy=by_hand))
    await story.settle(QUIET)
    [old] = story.clusters
    story.edit(spec(image="b", groups=(("cpu", 2, 1, 3),), strategy=by_hand))
    await story.settle(UNDER_WAY)
    assert story.condition("Reconciling", "reason") == "AwaitingPromotion"
    [new] = set(story.clusters) - {old}
    behind = story.world.endpoints(SERVE_SERVICE)
    assert (len(behind & story.world.serving_pods(old)), len(behind & story.world.serving_pods(new))) == (3, 2)
    await story.assert_survives_a_restart()
    cluster = story.world.find(Kind.RAY_CLUSTER, new)
    assert cluster is not None
    story.note(Kind.RAY_CLUSTER, cluster, {labels.PROMOTE: "true"})
    await story.settle(UNDER_WAY)
    story.assert_reached()
    assert not any(labels.TRAFFIC in pod["metadata"]["labels"] for pod in story.world.all(Kind.POD))
    assert {labels.SHARE, labels.PROMOTE}.isdisjoint(story.world.all(Kind.RAY_CLUSTER)[0]["metadata"]["annotations"])


@told
async def test_a_route_of_the_users_is_divided_and_given_back(story: ServiceStory) -> None:
    options = STEPS["clusterUpgradeOptions"] | {"httpRoute": "mine"}
    mine = STEPS | {"clusterUpgradeOptions": options}
    theirs = {"backendRefs": [{"name": "shop", "port": 80, "weight": 1}]}
    ours = {"backendRefs": [{"name": SERVE_SERVICE, "port": 8000, "weight": 1}]}
    before = {"metadata": {"name": "mine"}, "spec": {"parentRefs": [{"name": "front"}], "rules": [theirs, ours]}}
    story.world.put(Kind.SERVICE, {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}}})
    written = story.world.put(Kind.HTTP_ROUTE, before)
    story.edit(spec(groups=TWO, strategy=mine))
    await story.settle(QUIET)
    story.assert_reached()
    [old] = story.clusters
    story.edit(spec(image="b", groups=TWO, strategy=mine))
    seen: list[tuple[int, int]] = []
    for _ in range(120):
        await wait(0.5)
        [new] = set(story.clusters) - {old} or {""}
        weights = story.world.led_to()
        share = (weights.get(old, 0), weights.get(new, 0))
        seen += [share] if seen[-1:] != [share] else []
        if story.condition("Reconciling") == "False" and len(seen) > 1:
            break
    assert seen == [(0, 0), (100, 0), (80, 20), (50, 50), (0, 0)]
    await story.settle(UNDER_WAY)
    story.assert_reached()
    route = story.world.find(Kind.HTTP_ROUTE, "mine")
    assert route is not None
    assert route["spec"] == written["spec"]


@told
async def test_without_the_gateway_api_a_rollout_waits_until_it_is_installed(story: ServiceStory) -> None:
    story.world.has_gateways = False
    story.edit(spec(groups=TWO, strategy=BY_ROUTE))
    await story.settle(QUIET)
    assert story.condition("RouteReady", "reason") == "GatewayAPIMissing"
    assert story.condition("Ready") == "True"
    [old] = story.clusters
    story.edit(spec(image="b", groups=TWO, strategy=BY_ROUTE))
    await story.settle(UNDER_WAY)
    assert story.condition("Reconciling", "reason") == "RouteNotReady"
    assert story.world.endpoints(SERVE_SERVICE) == story.world.serving_pods(old)
    await story.assert_stays(60)
    story.world.has_gateways = True
    await story.settle(UNDER_WAY)
    story.assert_reached()


@pytest.mark.parametrize("seed", range(3))
def test_a_quiet_rollout_is_reached_and_stays(seed: int) -> None:
    async def tell() -> None:
        async with ServiceStory(seed) as story:
            story.edit(spec())
            await wait(20)
            story.edit(spec(image="b", code="y"))
            await story.settle()
            story.assert_reached()
            await story.assert_stays()
            await story.assert_survives_a_restart()

    run(tell())


@told
async def test_formatting_alone_is_sent_to_nobody(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    story.network.writes.clear()
    story.edit(spec() | {"serveConfigV2": f"# a comment\n{spec()['serveConfigV2']}"})
    await story.settle(QUIET)
    assert set(story.network.writes) == {"status RayService"}


@told
async def test_a_serve_edit_is_made_in_place(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    before = story.clusters
    story.edit(spec(replicas=2))
    await story.settle(QUIET)
    assert story.clusters == before
    story.assert_reached()


@told
async def test_a_revert_in_the_middle_of_a_rollout_makes_no_third_cluster(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    [first] = story.clusters
    story.edit(spec(image="b"))
    await wait(2)
    assert len(story.clusters) == 2
    story.edit(spec())
    await story.settle(QUIET)
    assert story.clusters == [first]
    story.assert_reached()


@told
async def test_a_revert_long_after_is_a_rollout_like_any_other(story: ServiceStory) -> None:
    for code in ("x", "y"):
        story.edit(spec(code=code))
        await story.settle(2000)
    story.edit(spec(code="x"))
    await story.settle(QUIET)
    story.assert_reached()


@told
async def test_what_was_given_up_is_tried_again_when_it_is_given_more_time(story: ServiceStory) -> None:
    story.edit(spec())
    await story.settle(QUIET)
    for seconds in (60, 120):
        story.edit(spec(image="huge", strategy={"progressDeadlineSeconds": seconds}))
        await wait(10)
        assert len(story.clusters) == 2
        await story.settle(200)
        story.assert_given_up("ProgressDeadlineExceeded", story.rules.wishes[0])


@pytest.mark.parametrize("image", ["missing", "huge"])
def test_a_bad_edit_in_place_that_a_failing_rollout_overtakes_is_taken_back(image: str) -> None:
    @told
    async def story_of(story: ServiceStory) -> None:
        story.edit(spec())
        await story.settle(QUIET)
        story.edit(spec(code="bad"))
        await wait(3)
        story.edit(spec(image=image, code="bad", strategy={"progressDeadlineSeconds": 90}))
        await story.settle(200)
        reason = {"missing": "ImageError", "huge": "ProgressDeadlineExceeded"}[image]
        story.assert_given_up(reason, story.rules.wishes[0])

    story_of()


@told
async def test_an_invalid_edit_leaves_the_last_valid_revision_looked_after(story: ServiceStory) -> None:
    story.edit(spec(code="y"))
    await story.settle(QUIET)
    await story.perform("break the spec", 0)
    await story.settle(QUIET)
    [cluster] = story.clusters
    [head] = story.world.pods(cluster, labels.HEAD)
    story.world.end(Kind.POD, name_of(head))
    await story.perform("restart", None)
    await story.settle(2 * QUIET)
    assert story.world.runs(cluster) == story.rules.wishes[-1].config.applications
    assert story.condition("SpecValid") == "False"
    assert story.condition("Ready") == "True"


@told
async def test_a_cluster_made_again_has_a_name_of_its_own(story: ServiceStory) -> None:
    names: list[str] = []
    for image, code in (("a", "x"), ("b", "x"), ("a", "x"), ("b", "x"), ("a", "y")):
        story.edit(spec(image=image, code=code))
        await story.settle(120)
        names += story.clusters
    assert len(set(names)) == len(names) == 5


@told
async def test_of_many_revisions_those_in_use_and_the_newest_are_left(story: ServiceStory) -> None:
    for code in "uvwxyz":
        story.edit(spec(code=code, strategy={"revisionHistoryLimit": 2}))
        await story.settle(QUIET)
    numbers = sorted(int(found["revision"]) for found in story.world.all(Kind.REVISION))
    assert numbers == [4, 5, 6]
    story.assert_reached()
    await story.assert_stays(60)


@told
async def test_a_service_of_the_users_is_left_alone(story: ServiceStory) -> None:
    theirs = story.world.put(
        Kind.SERVICE, {"metadata": {"name": SERVE_SERVICE}, "spec": {"selector": {"app": "theirs"}}}
    )
    story.edit(spec())
    await story.settle(QUIET)
    assert story.condition("ServiceConflict") == "True"
    assert story.world.find(Kind.SERVICE, SERVE_SERVICE) == theirs
    await story.assert_stays(60)
    story.world.end(Kind.SERVICE, SERVE_SERVICE)
    await story.settle(QUIET)
    assert story.condition("ServiceConflict") is None
    story.assert_reached()


@told
async def test_a_label_that_the_watch_goes_by_is_put_back_once(story: ServiceStory) -> None:
    story.edit(spec(autoscaling=True))
    await story.settle(QUIET)
    [role] = story.world.all(Kind.ROLE)
    labelled = role["metadata"]["labels"]
    story.network.writes.clear()
    unlabelled = {key: value for key, value in labelled.items() if key != labels.FROM_CRD}
    story.world.put(Kind.ROLE, {**role, "metadata": {**role["metadata"], "labels": unlabelled}})
    await story.settle(QUIET)
    assert story.network.writes["apply Role"] == 1
    [role] = story.world.all(Kind.ROLE)
    assert role["metadata"]["labels"] == labelled


@told
async def test_a_role_of_the_users_is_left_alone(story: ServiceStory) -> None:
    theirs = story.world.put(Kind.ROLE, {"metadata": {"name": "own"}, "rules": []})
    story.edit(spec())
    config = spec(autoscaling=True)["rayClusterConfig"]
    story.world.put(Kind.RAY_CLUSTER, {"apiVersion": "ray.io/v1", "metadata": {"name": "own"}, "spec": config})
    await story.settle(QUIET)
    found = story.world.find(Kind.RAY_CLUSTER, "own")
    assert found is not None
    [failure] = [c for c in found["status"]["conditions"] if c["type"] == "ReplicaFailure"]
    assert (failure["status"], failure["reason"]) == ("True", "ActionRefused")
    assert failure["message"].startswith("Role own is there already and not this RayCluster's")
    assert story.world.find(Kind.ROLE, "own") == theirs
    story.world.end(Kind.ROLE, "own")
    await story.settle(QUIET)
    found = story.world.find(Kind.RAY_CLUSTER, "own")
    assert found is not None
    assert [c for c in found["status"]["conditions"] if c["type"] == "ReplicaFailure"] == []
    assert story.world.find(Kind.ROLE_BINDING, "own") is not None


@told
async def test_the_old_cluster_stays_whole_while_the_endpoint_slices_name_it(story: ServiceStory) -> None:
    old, pods = await in_the_middle(story, strategy={"drainTimeoutSeconds": 0})
    await story.perform("hold the slices", 200.0)
    await wait(190)
    assert pods <= story.world.serving_pods(old)
    await story.settle(2 * DELAY)
    story.assert_reached()


@told
async def test_where_metrics_say_nothing_the_drain_takes_as_long_as_it_may(story: ServiceStory) -> None:
    old, pods = await in_the_middle(story, strategy={"drainTimeoutSeconds": 150})
    await story.perform("mute", 1000.0)
    await wait(140)
    assert pods <= story.world.serving_pods(old)
    await wait(60)
    assert old not in story.clusters
    await story.settle()
    story.assert_reached()


@told
async def test_while_rays_control_plane_hangs_traffic_stays_where_it_is(story: ServiceStory) -> None:
    old, pods = await in_the_middle(story)
    await story.perform("freeze", 100.0)
    await wait(90)
    assert story.world.endpoints(SERVE_SERVICE) == pods == story.world.serving_pods(old)
    assert story.condition("Ready") == "True"
    await story.settle(UNDER_WAY)
    story.assert_reached()


@told
async def test_while_no_cluster_can_be_made_the_one_that_serves_is_looked_after(story: ServiceStory) -> None:
    story.edit(spec(code="x"))
    await story.settle(QUIET)
    [cluster], [served] = story.clusters, story.rules.wishes
    story.network.forbidden = "create RayCluster"
    story.edit(spec(image="b", code="y"))
    await wait(QUIET)
    await story.perform("point elsewhere", 1)
    await story.perform("lose the head", 0)
    await wait(QUIET)
    assert "is forbidden" in (story.condition("Reconciling", "message") or "")
    assert story.world.endpoints(SERVE_SERVICE) == story.world.serving_pods(cluster) != frozenset()
    assert as_written(story.world.runs(cluster) or {}) == as_written(served.config.applications)
    story.network.forbidden = None
    await story.settle()
    story.assert_reached()


@told
async def test_a_head_that_is_lost_in_the_middle_of_a_rollout_delays_it(story: ServiceStory) -> None:
    await in_the_middle(story)
    for index in (0, 1):
        await story.perform("lose the head", index)
        await wait(5)
    await story.settle(UNDER_WAY + DELAY)
    story.assert_reached()


async def in_the_middle(story: ServiceStory, **changed: Any) -> tuple[str, frozenset[str]]:
    """Begin a rollout: the old cluster, and its pods that take traffic."""
    story.edit(spec())
    await story.settle(QUIET)
    [old] = story.clusters
    pods = story.world.serving_pods(old)
    story.edit(spec(image="b", code="y", **changed))
    await wait(2)
    return old, pods
