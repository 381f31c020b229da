"""How a cluster that has taken traffic leaves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.actions import Confirm, Delete, Kind
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service.draining import is_looked_at, needs_endpoints, to_be_asked
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    actions_of,
    aim_at,
    announced,
    cluster,
    cluster_config,
    in_words,
    pod,
    revision,
    service_spec,
    world,
)

FIRST = aim_at(service_spec())
SECOND = aim_at(service_spec(cluster_config(image="ray:2"), rayClusterDeletionDelaySeconds=60))
ACTIVE = cluster("demo-b", SECOND, routed=900)
REVISIONS = (revision(FIRST), revision(SECOND, 2))
ENDS = ["confirm demo-serve-svc", "note ended-at on demo-a", "delete demo-a-head", "delete demo-a-worker"]


def plan(old: Any, goal: Any = SECOND, **found: Any) -> Any:
    return plan_service(world(goal, old, ACTIVE, active=ACTIVE, revisions=REVISIONS, **found), goal, NOW)


def of_several(*old: ObservedCluster) -> Any:
    return plan_service(world(SECOND, *old, ACTIVE, active=ACTIVE, revisions=REVISIONS), SECOND, NOW)


def told(result: Any) -> list[tuple[str, str]]:
    return [(announcement.reason, announcement.message) for announcement in announced(result)]


@pytest.mark.parametrize(
    ("retired", "ongoing", "quiet", "expected"),
    [
        (44, 0, None, []),
        (45, 0, None, ["note quiet-at on demo-a"]),
        (45, 3, None, []),
        (45, None, None, []),
        (59, 0, 14, []),
        (61, 0, 14, []),
        (59, 0, 16, []),
        (60, 0, 15, ENDS),
        (60, 1, 15, []),
        (60, None, 15, []),
        (599, 1, None, []),
        (600, 1, None, ENDS),
        (600, None, None, ENDS),
    ],
    ids=[
        "before the first look",
        "the first look finds nothing",
        "it finds requests",
        "it cannot tell",
        "not yet quiet for long",
        "the delay is over, not yet quiet for long",
        "quiet for long, the delay not over",
        "quiet for long, and the delay over",
        "requests at this moment",
        "no telling at this moment",
        "requests to the last",
        "the timeout ends it",
        "the timeout ends it though nothing is known",
    ],
)
def test_its_pods_end_in_a_quiet_moment_or_at_the_timeout(
    retired: float, ongoing: int | None, quiet: float | None, expected: list[str]
) -> None:
    times: dict[str, Any] = {"retired": retired} if quiet is None else {"retired": retired, "quiet": quiet}
    result = plan(cluster(routed=900, ongoing=ongoing, **times))
    assert in_words(result) == expected


def test_the_deletion_delay_is_waited_for_though_it_is_longer_than_the_timeout() -> None:
    patient = aim_at({**service_spec(cluster_config(image="ray:2")), "rayClusterDeletionDelaySeconds": 1200})
    assert in_words(plan(cluster(routed=9000, retired=1000, ongoing=1), patient)) == []
    assert in_words(plan(cluster(routed=9000, retired=1200, ongoing=1), patient)) == ENDS


def test_a_timeout_of_the_users_own_counts() -> None:
    hasty = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy={"drainTimeoutSeconds": 90}))
    assert in_words(plan(cluster(routed=900, retired=89, ongoing=1), hasty)) == []
    assert in_words(plan(cluster(routed=900, retired=90, ongoing=1), hasty)) == ENDS


def test_once_its_pods_have_ended_the_cluster_goes_and_what_was_cut_off_is_done_again() -> None:
    left = (pod("demo-a-worker"), pod("gone", leaving=True))
    ended = cluster(routed=900, retired=60, ended=1, pods=left)
    assert in_words(plan(ended)) == ["delete demo-a-worker", "confirm demo-serve-svc", "delete demo-a"]


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        (["demo-b-worker"], ["note retired-at on demo-a"]),
        (["demo-b-worker", "demo-a-worker"], []),
        (["demo-a-worker"], []),
        ([], []),
    ],
    ids=["moved", "both", "not moved", "nowhere"],
)
def test_nothing_is_done_against_it_before_kubernetes_sends_traffic_elsewhere(
    endpoints: list[str], expected: list[str]
) -> None:
    assert in_words(plan(cluster(routed=900), endpoints=endpoints)) == expected


def test_it_is_looked_at_from_shortly_before_the_delay_is_over_until_it_has_ended() -> None:
    seen = [is_looked_at(cluster(routed=900, retired=ago), SECOND.goal, NOW) for ago in (44, 45, 300)]
    assert seen == [False, True, True]
    assert not is_looked_at(cluster(routed=900, retired=300, ended=1), SECOND.goal, NOW)
    assert not is_looked_at(cluster(routed=900), SECOND.goal, NOW)
    assert plan(cluster(routed=900, retired=50, ongoing=1)).recheck_after == timedelta(seconds=5)
    assert plan(cluster(routed=900, retired=45, ongoing=1)).recheck_after == timedelta(seconds=5)
    assert plan(cluster(routed=900, retired=598, ongoing=1)).recheck_after == timedelta(seconds=2)


def test_a_cluster_that_has_ended_is_never_taken_up_again() -> None:
    ended = cluster(routed=900, retired=60, ended=1)
    roles = assign_roles(world(FIRST, ended, ACTIVE, active=ACTIVE), FIRST.goal)
    assert roles.candidate is None


def test_a_drained_cluster_that_is_wanted_again_forgets_its_drain() -> None:
    old = cluster(routed=900, retired=50, quiet=5, notes={labels.WARM_SINCE: NOW.isoformat()})
    revised = (revision(FIRST, 3), revision(SECOND, 2))
    observed = world(FIRST, old, ACTIVE, active=ACTIVE, revisions=revised)
    assert "note not retired-at, not quiet-at, not warm-since on demo-a" in in_words(plan_service(observed, FIRST, NOW))


def test_status_says_what_becomes_of_the_old_clusters() -> None:
    drained, just_left = cluster(routed=900, retired=50, ongoing=1), cluster("demo-c", routed=900)
    never_served = cluster("demo-d")
    status = of_several(drained, just_left, never_served).status
    [reconciling] = [c for c in status.conditions if c.type == "Reconciling"]
    assert (reconciling.status, reconciling.message) == (
        "False",
        "cluster demo-b serves; demo-a is drained; demo-c still stands behind the serve Service",
    )


def test_a_drained_cluster_that_must_serve_once_more_has_a_drain_of_its_own_again() -> None:
    back = cluster(routed=900, retired=50, quiet=10)
    third = cluster("demo-c", SECOND, pods=())
    result = plan_service(world(SECOND, back, third, active=back, revisions=REVISIONS), SECOND, NOW)
    assert "note not retired-at, not quiet-at on demo-a" in in_words(result)


def test_its_pods_are_given_a_second_to_end() -> None:
    deletions = actions_of(plan(cluster(routed=900, retired=60, ended=1)))
    assert [a.grace for a in deletions if isinstance(a, Delete) and a.kind is Kind.POD] == [1, 1]


def test_it_is_deleted_only_if_the_service_is_as_it_was_seen() -> None:
    actions = actions_of(plan(cluster(routed=900, retired=60, ended=1, pods=())))
    confirmed, deleted = actions
    assert (type(confirmed), confirmed.version) == (Confirm, "5")
    assert (type(deleted), deleted.uid) == (Delete, "uid-demo-a")


def test_a_cluster_that_never_served_ends_though_there_is_no_service_yet() -> None:
    observed = world(SECOND, cluster(), cluster("demo-b", SECOND, pods=()), revisions=REVISIONS)
    assert in_words(plan_service(observed, SECOND, NOW)) == ENDS[1:]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"ongoing": 0, "quiet": 15, "retired": 60}, "no request is under way"),
        ({"ongoing": 2, "retired": 600}, "the drain timeout has passed, with 2 requests under way"),
        ({"retired": 600}, "the drain timeout has passed, with an unknown number of requests under way"),
    ],
)
def test_it_is_told_why_its_pods_end(fields: dict[str, Any], why: str) -> None:
    assert told(plan(cluster(routed=900, **fields))) == [("EndedRayCluster", f"The pods of demo-a end: {why}")]


@pytest.mark.parametrize(
    ("failed", "why"),
    [(None, "it was superseded before it took traffic"), ("ImageError", "its rollout was given up")],
)
def test_it_is_told_why_the_pods_of_a_cluster_end_that_never_served(failed: str | None, why: str) -> None:
    serving, never_served = cluster(routed=900), cluster("demo-b", SECOND)
    third = aim_at(service_spec(cluster_config(image="ray:3")))
    goal = SECOND if failed else third
    revisions = (revision(FIRST), revision(goal, 3, failed=failed))
    result = plan_service(world(goal, serving, never_served, active=serving, revisions=revisions), goal, NOW)
    assert ("EndedRayCluster", f"The pods of demo-b end: {why}") in told(result)


def test_that_it_is_retired_and_that_it_is_deleted_is_told() -> None:
    retired = ("RetiredRayCluster", "demo-a takes no new traffic and is drained")
    assert told(plan(cluster(routed=900))) == [retired]
    assert told(plan(cluster(routed=900, retired=60, ended=1))) == [("DeletedRayCluster", "Deleted demo-a")]


def test_the_endpoints_are_read_as_long_as_a_cluster_takes_leave() -> None:
    def needed(*old: ObservedCluster) -> bool:
        return needs_endpoints(assign_roles(world(SECOND, *old, ACTIVE, active=ACTIVE), SECOND.goal))

    retired, just_left = cluster(routed=900, retired=50), cluster("demo-c", routed=900)
    assert [needed(retired), needed(cluster()), needed(retired, just_left)] == [False, False, True]
    assert of_several(retired, just_left).recheck_after == timedelta(seconds=0.5)


def test_nothing_is_done_against_it_where_nobody_knows_where_traffic_goes() -> None:
    unread = replace(world(SECOND, cluster(routed=900), ACTIVE, active=ACTIVE, revisions=REVISIONS), endpoints=None)
    assert in_words(plan_service(unread, SECOND, NOW)) == []
    others = world(SECOND, cluster(routed=900), active=ACTIVE, owner="somebody", revisions=REVISIONS)
    assert not [done for done in in_words(plan_service(others, SECOND, NOW)) if "demo-a" in done]


def test_requests_are_counted_on_every_pod_in_which_ray_runs() -> None:
    pods = (pod(), pod("leaves", leaving=True), pod("unplaced", phase="Pending"), pod("ended", ended=True))
    assert [found.meta.name for found in to_be_asked(cluster(pods=pods))] == ["worker", "leaves"]
