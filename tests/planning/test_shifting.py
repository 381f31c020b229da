"""When a new cluster takes traffic, and how much."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.planning.actions import Announcement
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service import shifting
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.share import pods_of
from rayserve_operator.render import labels

from ..builders import (
    NAME,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
    announced,
    answer,
    cluster,
    cluster_config,
    head,
    in_words,
    pod,
    revision,
    service_spec,
    side,
    world,
)

OLD = aim_at(service_spec())
OPTIONS: dict[str, Any] = {"steps": [20, 50], "intervalSeconds": 60}
IN_STEPS = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": OPTIONS}
BY_HAND = {"autoPromotion": False}


def goal(**strategy: Any) -> Any:
    return aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy=strategy or IN_STEPS))


def noted(percent: int, since: float) -> dict[str, str]:
    return {labels.SHARE: json.dumps({"percent": percent, "since": ago(since)})}


def plan(aim: Any, old: ObservedCluster, new: ObservedCluster, **fields: Any) -> Any:
    revisions = (revision(OLD), revision(aim, 2, started=600))
    return plan_service(world(aim, old, new, active=old, revisions=revisions, **fields), aim, NOW)


def words(aim: Any, takes: tuple[int, int], notes: dict[str, str], **fields: Any) -> list[str]:
    old = side("demo-a", OLD, takes[0], routed=600)
    new = side("demo-b", aim, takes[1], notes=notes, created=300, **({"routed": 60} if takes[1] else {}))
    return in_words(plan(aim, old, new, **fields))


def shared(result: Any) -> dict[str, Any]:
    """The share that is noted by the plan."""
    found = [a.annotations for a in actions_of(result) if getattr(a, "annotations", None)]
    return dict(json.loads(next(a[labels.SHARE] for a in found if labels.SHARE in a)))


def test_without_steps_all_the_traffic_moves_at_once() -> None:
    assert "point demo-serve-svc at demo-b" in words(goal(type="NewCluster"), (0, 0), {})


def test_the_serving_pods_are_labelled_before_anything_moves() -> None:
    opening = plan(goal(), side("demo-a", OLD, routed=600), side("demo-b", goal(), created=300))
    assert (in_words(opening), announced(opening)) == (["note share on demo-b"], [])
    opened = words(goal(), (0, 0), noted(0, 0))
    assert opened == [f"note traffic on demo-a-{index}" for index in range(4)]


@pytest.mark.parametrize(("since", "expected"), [(1.9, []), (2, ["point demo-serve-svc at the shares of demo-a"])])
def test_the_service_selects_by_label_a_moment_after_the_labels(since: float, expected: list[str]) -> None:
    assert words(goal(), (4, 0), noted(0, since)) == expected


def test_the_service_waits_for_a_label_that_is_missing() -> None:
    assert words(goal(), (3, 0), noted(0, 60)) == ["note traffic on demo-a-3"]


@pytest.mark.parametrize(
    ("takes", "percent", "since", "expected"),
    [
        ((4, 0), 0, 0, 20),
        ((4, 1), 20, 59.9, None),
        ((4, 1), 20, 60, 50),
        ((4, 0), 20, 61, None),
    ],
)
def test_each_share_is_kept_for_the_interval(
    takes: tuple[int, int], percent: int, since: float, expected: int | None
) -> None:
    old = side("demo-a", OLD, takes[0], routed=600)
    new = side("demo-b", goal(), takes[1], notes=noted(percent, since), routed=60, created=300)
    result = plan(goal(), old, new, shared=True)
    if expected is None:
        assert not any("note share" in found for found in in_words(result))
    else:
        assert shared(result) == {"percent": expected, "since": NOW.isoformat()}
        told = Announcement("ShiftingTraffic", f"demo-b is to take {expected}% of the traffic")
        assert told in announced(result)


def test_a_pod_that_does_not_serve_at_the_moment_holds_no_share_up() -> None:
    old = side("demo-a", OLD, 4, routed=600)
    new = side("demo-b", goal(), 4, notes=noted(20, 60), routed=60, created=300)
    away, *others = new.pods[1:]
    new = replace(new, pods=(new.pods[0], pod(away.meta.name, "demo-b", ready=False, traffic=True), *others))
    takes = pods_of(NAME, old, new, 20)
    others = [pod(one.meta.name, "demo-b", traffic=one.meta.name in takes) for one in others]
    assert shared(plan(goal(), old, replace(new, pods=(*new.pods[:2], *others)), shared=True))["percent"] == 50


@pytest.mark.parametrize("percent", [1, 20])
def test_while_traffic_is_shared_a_label_that_is_missing_moves_no_service(percent: int) -> None:
    assert words(goal(), (3, 1), noted(percent, 30), shared=True) == ["note traffic on demo-a-3"]


def test_who_goes_over_to_pods_in_the_middle_has_their_labels_first() -> None:
    assert words(goal(), (3, 1), noted(20, 30)) == ["note traffic on demo-a-3"]
    assert words(goal(), (4, 1), noted(20, 30)) == ["point demo-serve-svc at the shares of demo-a"]


def test_a_pod_that_fails_for_a_moment_keeps_its_label() -> None:
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 1, notes=noted(20, 30), routed=60)
    silent = pod("demo-a-3", traffic=True, ready=False)
    old = type(old)(old.cluster, (*old.pods[:-1], silent), old.serve, old.assigned)
    result = plan(goal(), old, new, shared=True)
    assert in_words(result) == []
    assert result.status.num_serve_endpoints == 4


def labelled(name: str, **fields: Any) -> ObservedCluster:
    """A cluster whose pods all bear the label, of which one is not ready and one on its way out."""
    pods = (
        pod(f"{name}-well", name, traffic=True),
        pod(f"{name}-silent", name, traffic=True, ready=False),
        pod(f"{name}-going", name, traffic=True, leaving=True),
    )
    return cluster(name, pods=(head(name), *pods), serve=answer(proxies=[f"ip-{name}-well"]), **fields)


def test_where_nothing_is_shared_the_labels_go_after_the_service() -> None:
    active, left = labelled("demo-a", routed=600), labelled("demo-c", routed=900, retired=1)
    shared = plan_service(world(OLD, active, left, active=active, shared=True), OLD, NOW)
    assert in_words(shared) == ["point demo-serve-svc at demo-a"]
    assert shared.status.num_serve_endpoints == 1
    labels_go = [f"note not traffic on {name}-{pod}" for name in ("demo-a", "demo-c") for pod in ("well", "silent")]
    assert in_words(plan_service(world(OLD, active, left, active=active), OLD, NOW)) == labels_go


def test_a_share_that_is_taken_back_is_told_no_more() -> None:
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 1, notes={labels.PAUSE: "true"}, routed=60)
    result = plan(goal(), old, new, shared=True)
    assert in_words(result) == ["point demo-serve-svc at demo-a"]
    assert result.status.active_service_status.traffic_routed_percent is None


@pytest.mark.parametrize("first", [1, 20])
def test_the_first_share_marks_the_cluster_as_routed(first: int) -> None:
    steps = {"steps": [first], "intervalSeconds": 60}
    aim = goal(type="NewClusterWithIncrementalUpgrade", clusterUpgradeOptions=steps)
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", aim, notes=noted(0, 3), created=300)
    result = plan(aim, old, new, shared=True)
    assert in_words(result) == ["note share, routed-at on demo-b"]
    assert announced(result) == [Announcement("ShiftingTraffic", f"demo-b is to take {first}% of the traffic")]


def test_the_last_step_is_the_switch() -> None:
    found = words(goal(), (4, 4), noted(50, 61), shared=True)
    assert found[-2:] == ["point demo-serve-svc at demo-b", "point demo-head-svc at demo-b"]


def test_what_shared_the_traffic_is_forgotten_once_the_switch_is_seen() -> None:
    old = side("demo-a", OLD, 4, routed=600, retired=5)
    notes = {labels.PROMOTE: "true", labels.PAUSE: "false", labels.MEASURED: "{}", labels.SMOKE_SINCE: ago(9)}
    new = side("demo-b", goal(), 4, notes={**noted(50, 61), **notes}, routed=60)
    found = in_words(plan_service(world(goal(), old, new, active=new, revisions=(revision(goal(), 2),)), goal(), NOW))
    labelled = {f"note not traffic on demo-{name}-{index}" for name in "ab" for index in range(4)}
    assert set(found) == labelled | {"note not share, not promote, not pause, not measured, not smoke-since on demo-b"}


def test_a_cluster_that_is_left_alone_with_its_share_takes_all() -> None:
    left = side("demo-b", goal(), notes=noted(20, 61), routed=60)
    result = plan_service(world(goal(), left, active=left, revisions=(revision(goal(), 2),)), goal(), NOW)
    assert (in_words(result), announced(result)) == (["note not share on demo-b"], [])


def test_a_cluster_that_is_not_fit_keeps_the_share_that_it_has() -> None:
    loading = side("demo-b", goal(), 1, notes=noted(20, 600), routed=60)
    loading = type(loading)(loading.cluster, loading.pods, answer(status="DEPLOYING"), loading.assigned)
    old = side("demo-a", OLD, 4, routed=600)
    assert in_words(plan(goal(), old, loading, shared=True)) == []


def test_while_traffic_is_shared_the_deadline_counts_from_the_last_step() -> None:
    hasty = goal(**IN_STEPS, progressDeadlineSeconds=120)
    old = side("demo-a", OLD, 4, routed=600)
    for since, failed in ((100, False), (130, True)):
        loading = side("demo-b", hasty, 1, notes=noted(20, since), routed=60, created=300)
        loading = type(loading)(loading.cluster, loading.pods, answer(status="DEPLOYING"), loading.assigned)
        assert any("note failed" in found for found in in_words(plan(hasty, old, loading, shared=True))) is failed


MENDED = aim_at(service_spec(cluster_config(image="ray:2"), app=OTHER_APP, upgradeStrategy=IN_STEPS))


def test_an_edit_in_the_middle_begins_anew() -> None:
    notes = {labels.SERVE_TRIES: "{}", labels.WARM_SINCE: ago(9), **noted(20, 30), labels.PROMOTE: "true"}
    notes |= {labels.MEASURED: "{}", labels.SMOKE_SINCE: ago(9), labels.PAUSE: "true"}
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 1, notes=notes, routed=60)
    revisions = (revision(goal(), 2), revision(MENDED, 3))
    found = in_words(plan_service(world(MENDED, old, new, active=old, revisions=revisions, shared=True), MENDED, NOW))
    forgotten = "not serve-tries, not warm-since, not share, not promote, not measured, not smoke-since"
    assert f"note revision, {forgotten} on demo-b" in found


def test_so_does_a_goal_that_comes_back_in_the_middle() -> None:
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 1, notes=noted(20, 61), routed=60)
    revisions = (revision(goal(), 2), revision(MENDED, 3))
    result = plan_service(world(goal(), old, new, active=old, revisions=revisions, shared=True), goal(), NOW)
    assert "note not share on demo-b" in in_words(result)
    assert announced(result) == []


PAUSED = ("Paused", "and is paused: `rayserve rollout resume demo` lets it go on")
AWAITED = ("AwaitingPromotion", "and waits to be promoted: `rayserve rollout promote demo` lets it go on")


@pytest.mark.parametrize(
    ("strategy", "notes", "waits", "told"),
    [
        (BY_HAND, {}, True, AWAITED),
        (BY_HAND, {labels.PROMOTE: "true"}, False, None),
        (BY_HAND, {labels.PROMOTE: "full"}, False, None),
        (BY_HAND, {labels.PROMOTE: "true", labels.PAUSE: "true"}, True, PAUSED),
        ({}, {labels.PAUSE: "true"}, True, PAUSED),
        ({}, {labels.PAUSE: "false"}, False, None),
        (BY_HAND | {"pauseAtPercent": 20}, {}, False, None),
    ],
)
def test_a_user_may_hold_it_back(
    strategy: Any, notes: dict[str, str], waits: bool, told: tuple[str, str] | None
) -> None:
    aim = goal(type="NewCluster", **strategy)
    old, new = side("demo-a", OLD, routed=600), side("demo-b", aim, notes=notes, created=300)
    result = plan(aim, old, new)
    assert (in_words(result) == []) is waits
    found = {c.type: c for c in result.status.conditions}["Reconciling"]
    takes = "demo-b takes 0% of the traffic (0 of 4 pods)"
    assert told is None or (found.status, found.reason, found.message) == ("True", told[0], f"{takes} {told[1]}")


def test_a_pause_at_a_percent_is_a_step() -> None:
    aim = goal(autoPromotion=False, pauseAtPercent=30)
    old = side("demo-a", OLD, 3, routed=600)
    new = side("demo-b", aim, 1, notes=noted(30, 600), routed=60)
    result = plan(aim, old, new, shared=True)
    assert not any("share" in found for found in in_words(result))
    told = {c.type: c for c in result.status.conditions}["Reconciling"]
    assert told.message == (
        "demo-b takes 30% of the traffic (1 of 4 pods) and waits to be promoted: `rayserve rollout promote demo` lets"
        " it go on"
    )
    promoted = side("demo-b", aim, 1, notes={**noted(30, 600), labels.PROMOTE: "true"}, routed=60)
    assert "point demo-serve-svc at demo-b" in in_words(plan(aim, old, promoted, shared=True))


def test_a_full_promotion_leaves_out_the_steps() -> None:
    assert "point demo-serve-svc at demo-b" in words(goal(), (0, 0), {labels.PROMOTE: "full"})


def test_a_first_start_waits_for_nobody() -> None:
    aim = goal(**IN_STEPS, **BY_HAND)
    first = side("demo-b", aim)
    found = in_words(plan_service(world(aim, first, revisions=(revision(aim),)), aim, NOW))
    assert "point demo-serve-svc at demo-b" in found


def test_the_status_tells_the_real_share() -> None:
    old = side("demo-a", OLD, 4, routed=600)
    new = side("demo-b", goal(), 1, notes=noted(20, 30), routed=60)
    status = plan(goal(), old, new, shared=True).status
    assert status.active_service_status.traffic_routed_percent == 80
    assert status.pending_service_status.traffic_routed_percent == 20
    assert status.active_service_status.last_traffic_migrated_time == "2030-01-01T11:59:30Z"
    assert status.pending_service_status.last_traffic_migrated_time == "2030-01-01T11:59:30Z"
    assert status.num_serve_endpoints == 5
    told = {c.type: c for c in status.conditions}["Reconciling"]
    assert (told.reason, told.message) == (
        "ShiftingTraffic",
        "demo-b takes 20% of the traffic (1 of 5 pods) until 12:00:30",
    )
    few, more = side("demo-a", OLD, 1, routed=600), side("demo-b", goal(), 3, notes=noted(80, 30), routed=60)
    assert plan(goal(), few, more, shared=True).status.pending_service_status.traffic_routed_percent == 75


@pytest.mark.parametrize("notes", [{}, noted(0, 1)], ids=["before the shift", "while it is made ready"])
def test_no_share_is_told_while_the_old_cluster_takes_all(notes: dict[str, str]) -> None:
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), notes=notes, created=300)
    told = plan(goal(), old, new).status.active_service_status
    assert (told.traffic_routed_percent, told.last_traffic_migrated_time) == (None, None)


def test_of_a_cluster_that_is_paused_and_not_fit_it_is_told_what_is_missing() -> None:
    old, new = side("demo-a", OLD, routed=600), side("demo-b", goal(), notes={labels.PAUSE: "true"}, created=300)
    loading = type(new)(new.cluster, new.pods, answer(status="DEPLOYING"), new.assigned)
    told = {c.type: c for c in plan(goal(), old, loading).status.conditions}["Reconciling"]
    assert told.reason == "Warming"


def held(aim: Any, new: ObservedCluster, **fields: Any) -> tuple[str, str] | None:
    """What the new cluster waits for, whatever its capacity."""
    old = side("demo-a", OLD, 4, routed=600)
    revisions = (revision(OLD), revision(aim, 2, started=600))
    seen = world(aim, old, new, active=old, revisions=revisions, shared=True, **fields)
    found = shifting.held(Course(seen, aim.goal, NOW))
    return None if found is None else (str(found.reason), found.message)


def little(**strategy: Any) -> Any:
    """A goal whose capacity moves with the traffic."""
    options = {**OPTIONS, "maxSurgePercent": 50}
    config = cluster_config(image="ray:2", enableInTreeAutoscaling=True)
    upgrade = {**IN_STEPS, "clusterUpgradeOptions": options, **strategy}
    return aim_at(service_spec(config, upgradeStrategy=upgrade))


def test_a_full_promotion_goes_no_faster_than_the_labels_where_the_capacity_moves_with_it() -> None:
    full = noted(50, 0) | {labels.PROMOTE: "full"}
    assert held(little(), side("demo-b", little(), 3, notes=full, routed=60, created=300)) == (
        "ShiftingTraffic",
        "demo-b takes 50% of the traffic (3 of 7 pods); its pods are being added",
    )
    assert held(goal(), side("demo-b", goal(), 3, notes=full, routed=60, created=300)) is None


def test_a_full_promotion_is_one_where_the_capacity_moves_with_it() -> None:
    aim = little(**BY_HAND)
    full = noted(50, 0) | {labels.PROMOTE: "full"}
    assert held(aim, side("demo-b", aim, 4, notes=full, routed=60, created=300)) is None
    waits = held(aim, side("demo-b", aim, 4, notes=noted(50, 0), routed=60, created=300))
    assert waits is not None
    assert waits[0] == "AwaitingPromotion"
