"""How a cluster that has taken traffic leaves."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.service.draining import GRACE, LOOKED_AT_EVERY, is_looked_at
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import NOW, aim_at, cluster, cluster_config, in_words, pod, revision, service_spec, world

FIRST = aim_at(service_spec())
SECOND = aim_at(service_spec(cluster_config(image="ray:2"), rayClusterDeletionDelaySeconds=60))
ACTIVE = cluster("demo-b", SECOND, routed=900)
REVISIONS = (revision(FIRST), revision(SECOND, 2))
ENDS = ["confirm demo-serve-svc", "note ended-at on demo-a", "delete demo-a-head", "delete demo-a-worker"]


def plan(old: Any, goal: Any = SECOND, **found: Any) -> Any:
    return plan_service(world(goal, old, ACTIVE, active=ACTIVE, revisions=REVISIONS, **found), goal, NOW)


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
    graces = {action.grace for step in result.steps for action in step if hasattr(action, "grace")}
    assert graces <= {GRACE}


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
    assert plan(cluster(routed=900, retired=50, ongoing=1)).recheck_after == LOOKED_AT_EVERY
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


def test_status_says_that_the_old_cluster_is_drained() -> None:
    status = plan(cluster(routed=900, retired=50, ongoing=1)).status
    [reconciling] = [c for c in status.conditions if c.type == "Reconciling"]
    assert (reconciling.status, reconciling.message) == ("False", "cluster demo-b serves; demo-a is drained")


def test_a_drained_cluster_that_must_serve_once_more_has_a_drain_of_its_own_again() -> None:
    back = cluster(routed=900, retired=50, quiet=10)
    third = cluster("demo-c", SECOND, pods=())
    result = plan_service(world(SECOND, back, third, active=back, revisions=REVISIONS), SECOND, NOW)
    assert "note not retired-at, not quiet-at on demo-a" in in_words(result)
