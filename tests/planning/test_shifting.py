"""When a new cluster takes traffic, and how much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayserve_operator.planning.actions import Announcement
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    OTHER_APP,
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
    world,
)

OLD = aim_at(service_spec())
IN_STEPS = {
    "type": "NewClusterWithIncrementalUpgrade",
    "clusterUpgradeOptions": {"steps": [20, 50], "intervalSeconds": 60},
}
BY_HAND = {"autoPromotion": False}


def goal(**strategy: Any) -> Any:
    return aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy=strategy or IN_STEPS))


def side(name: str, aim: Any, takes: int = 0, of: int = 4, **fields: Any) -> ObservedCluster:
    """A fit cluster of which so many pods take a share of the traffic."""
    pods = tuple(pod(f"{name}-{index}", name, traffic=index < takes) for index in range(of))
    ips = [f"ip-{found.meta.name}" for found in pods]
    return cluster(name, aim, pods=(head(name), *pods), serve=answer(proxies=ips), **fields)


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
    found = [a.annotations for step in result.steps for a in step if getattr(a, "annotations", None)]
    return dict(json.loads(next(a[labels.SHARE] for a in found if labels.SHARE in a)))


def test_without_steps_all_the_traffic_moves_at_once() -> None:
    assert "point demo-serve-svc at demo-b" in words(goal(type="NewCluster"), (0, 0), {})


def test_the_serving_pods_are_labelled_before_anything_moves() -> None:
    assert words(goal(), (0, 0), {}) == ["note share on demo-b"]
    opened = words(goal(), (0, 0), noted(0, 0))
    assert opened == [f"note traffic on demo-a-{index}" for index in range(4)]


@pytest.mark.parametrize(("since", "expected"), [(1.9, []), (2.1, ["point demo-serve-svc at the shares of demo-a"])])
def test_the_service_selects_by_label_a_moment_after_the_labels(since: float, expected: list[str]) -> None:
    assert words(goal(), (4, 0), noted(0, since)) == expected


def test_the_service_waits_for_a_label_that_is_missing() -> None:
    assert words(goal(), (3, 0), noted(0, 60)) == ["note traffic on demo-a-3"]


@pytest.mark.parametrize(
    ("takes", "percent", "since", "expected"),
    [
        ((4, 0), 0, 3, 20),
        ((4, 1), 20, 59, None),
        ((4, 1), 20, 61, 50),
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


def test_the_first_share_marks_the_cluster_as_routed() -> None:
    [noting] = [found for found in words(goal(), (4, 0), noted(0, 3), shared=True) if "note" in found]
    assert noting == "note share, routed-at on demo-b"


def test_the_last_step_is_the_switch() -> None:
    found = words(goal(), (4, 4), noted(50, 61), shared=True)
    assert found[-2:] == ["point demo-serve-svc at demo-b", "point demo-head-svc at demo-b"]


def test_what_shared_the_traffic_is_forgotten_once_the_switch_is_seen() -> None:
    old = side("demo-a", OLD, 4, routed=600, retired=5)
    new = side("demo-b", goal(), 4, notes={**noted(50, 61), labels.PROMOTE: "true"}, routed=60)
    found = in_words(plan_service(world(goal(), old, new, active=new, revisions=(revision(goal(), 2),)), goal(), NOW))
    labelled = {f"note not traffic on demo-{name}-{index}" for name in "ab" for index in range(4)}
    assert set(found) == labelled | {"note not share, not promote on demo-b"}


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


def test_an_edit_in_the_middle_begins_anew() -> None:
    mended = aim_at(service_spec(cluster_config(image="ray:2"), app=OTHER_APP, upgradeStrategy=IN_STEPS))
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 1, notes=noted(20, 30), routed=60)
    revisions = (revision(goal(), 2), revision(mended, 3))
    found = in_words(plan_service(world(mended, old, new, active=old, revisions=revisions, shared=True), mended, NOW))
    assert "note revision, not share on demo-b" in found


@pytest.mark.parametrize(
    ("strategy", "notes", "waits", "reason"),
    [
        (BY_HAND, {}, True, "AwaitingPromotion"),
        (BY_HAND, {labels.PROMOTE: "true"}, False, None),
        (BY_HAND, {labels.PROMOTE: "full"}, False, None),
        (BY_HAND, {labels.PROMOTE: "true", labels.PAUSE: "true"}, True, "Paused"),
        ({}, {labels.PAUSE: "true"}, True, "Paused"),
        ({}, {labels.PAUSE: "false"}, False, None),
        (BY_HAND | {"pauseAtPercent": 20}, {}, False, None),
    ],
)
def test_a_user_may_hold_it_back(strategy: Any, notes: dict[str, str], waits: bool, reason: str | None) -> None:
    aim = goal(type="NewCluster", **strategy)
    old, new = side("demo-a", OLD, routed=600), side("demo-b", aim, notes=notes, created=300)
    result = plan(aim, old, new)
    assert (in_words(result) == []) is waits
    told = {c.type: c for c in result.status.conditions}["Reconciling"]
    assert reason is None or told.reason == reason


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
    assert status.num_serve_endpoints == 5
    told = {c.type: c for c in status.conditions}["Reconciling"]
    assert (told.reason, told.message) == (
        "ShiftingTraffic",
        "demo-b takes 20% of the traffic (1 of 5 pods) until 12:00:30",
    )
    alone = plan(goal(), side("demo-a", OLD, routed=600), side("demo-b", goal(), created=300)).status
    assert alone.active_service_status.traffic_routed_percent is None


def test_a_preview_leads_to_the_new_cluster_until_it_takes_over() -> None:
    aim = goal(type="NewCluster", autoPromotion=False, previewService=True)
    old, new = side("demo-a", OLD, routed=600), side("demo-b", aim, created=300)
    assert in_words(plan(aim, old, new)) == ["point demo-preview-svc at demo-b"]
