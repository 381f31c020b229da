"""The end of a cluster that keeps its state in Redis."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Announcement, Apply, Kind, Patch
from rayserve_operator.planning.cluster import farewell
from rayserve_operator.planning.observed import BelongingView, PodView
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOW,
    actions_of,
    announced,
    belonging,
    cluster_config,
    cluster_plan,
    head,
    in_words,
    pod,
    ray_cluster,
    steps_of,
)

REDIS: dict[str, Any] = {"gcsFaultToleranceOptions": {"redisAddress": "redis:6379"}}
HELD = ["another.io/finalizer", labels.REDIS_FINALIZER]
LET_GO = "patch demo-a: /metadata/finalizers/1"
CLEAN_UP = "make Job demo-a-redis-cleanup"
NETWORK_POLICY = belonging(Kind.NETWORK_POLICY, "demo-a-head", status={"conditions": [{"type": "Failed"}]})


def going(*pods: PodView, seconds: float = 1, keeps: dict[str, Any] = REDIS, **fields: Any) -> Any:
    """What happens to a cluster that is being deleted for so many seconds."""
    held = {"leaving": seconds, "finalizers": HELD, **fields}
    return cluster_plan(cluster_config(**keeps), *pods, **held)


def job(**conditions: str) -> BelongingView:
    told = [{"type": name, "status": status} for name, status in conditions.items()]
    return belonging(Kind.JOB, "demo-a-redis-cleanup", status={"conditions": told})


def test_a_cluster_that_nothing_holds_is_left_to_kubernetes() -> None:
    status = RayClusterStatus(state="ready")
    result = going(head(), finalizers=HELD[:1], status=status)
    assert (steps_of(result), result.status, result.recheck_after) == ((), status, None)


@pytest.mark.parametrize(
    ("pods", "jobs", "expected"),
    [
        ([head(), pod()], [], ["delete demo-a-head", "delete worker"]),
        ([head(), pod(leaving=True)], [], ["delete demo-a-head"]),
        ([pod(leaving=True)], [], []),
        ([], [NETWORK_POLICY], [CLEAN_UP]),
        ([], [NETWORK_POLICY, belonging(Kind.JOB, "demo-a-redis-cleanup")], []),
        ([], [job()], []),
        ([], [job(Suspended="True", Complete="False")], []),
        ([], [NETWORK_POLICY, job(Suspended="False", Complete="True")], [LET_GO]),
        ([], [job(FailureTarget="True")], [LET_GO]),
        ([], [job(Failed="True")], [LET_GO]),
    ],
    ids=["pods", "a pod stops", "all stop", "none", "just made", "runs", "waits", "done", "fails", "failed"],
)
def test_what_it_left_in_redis_is_removed_once_its_pods_have_ended(
    pods: list[PodView], jobs: list[BelongingView], expected: list[str]
) -> None:
    status = RayClusterStatus(state="ready")
    result = going(*pods, belongings=tuple(jobs), status=status)
    assert in_words(result) == expected
    assert bool(steps_of(result)) is bool(expected)
    assert (result.status, result.recheck_after) == (status, timedelta(seconds=299))


def test_only_the_cluster_as_it_was_and_its_own_finalizer_are_touched() -> None:
    [[released]] = steps_of(going(belongings=(job(Complete="True"),)))
    assert released == Patch(
        kind=Kind.RAY_CLUSTER,
        name="demo-a",
        operations=(
            {"op": "test", "path": "/metadata/finalizers/1", "value": labels.REDIS_FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/1"},
        ),
    )
    [[ended]] = steps_of(going(pod()))
    assert (ended.kind, ended.uid) == (Kind.POD, "uid-worker")


def test_the_clean_up_is_told() -> None:
    assert announced(going()) == [Announcement("CreatedRedisCleanupJob", "Removing what demo-a left in Redis")]


def test_a_foreign_job_of_that_name_is_left_alone() -> None:
    [[made]] = steps_of(going())
    assert isinstance(made, Apply)
    assert made.is_first


def test_a_cluster_that_no_longer_keeps_anything_in_redis_goes_at_once() -> None:
    assert in_words(going(head(), keeps={})) == [LET_GO]


@pytest.mark.parametrize(
    ("seconds", "notes", "fields", "regret"),
    [
        (1, {}, {"namespace_leaving": True}, "its namespace is being deleted, where no clean-up can be started"),
        (300, {}, {}, "the clean-up was not done after 0:05:00; remove its keys from Redis by hand"),
        (300, {labels.REDIS_CLEANUP_TIMEOUT: "soon"}, {}, "the clean-up was not done after 0:05:00; remove its keys"),
        (60, {labels.REDIS_CLEANUP_TIMEOUT: "60"}, {}, "the clean-up was not done after 0:01:00; remove its keys"),
        (299, {}, {}, None),
        (59, {labels.REDIS_CLEANUP_TIMEOUT: "60"}, {}, None),
    ],
)
def test_a_clean_up_that_cannot_be_done_holds_nothing_up(
    seconds: float, notes: dict[str, str], fields: dict[str, Any], regret: str | None
) -> None:
    result = going(head(), seconds=seconds, notes=notes, **fields)
    if regret is None:
        assert (in_words(result), result.recheck_after) == (["delete demo-a-head"], timedelta(seconds=1))
        return
    assert in_words(result) == [LET_GO]
    [told] = announced(result)
    assert (told.reason, told.type) == ("ForceDeletedStuckCluster", "Warning")
    assert told.message.startswith(f"Left the state of demo-a in Redis: {regret}")


def test_the_past_is_not_waited_for() -> None:
    assert going(seconds=1000).recheck_after == timedelta()


def test_a_cluster_is_held_before_it_first_writes_to_redis() -> None:
    missing = cluster_plan(cluster_config(**REDIS), finalizers=HELD[:1])
    [held] = [action for action in actions_of(missing) if isinstance(action, Patch)]
    assert held == Patch(
        kind=Kind.RAY_CLUSTER,
        name="demo-a",
        operations=(
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "add", "path": "/metadata/finalizers", "value": HELD},
        ),
    )
    words = in_words(missing)
    assert words.index("patch demo-a: /metadata/finalizers") < words.index("create a pod demo-a-head-")


@pytest.mark.parametrize(("config", "finalizers"), [(REDIS, HELD), ({}, [])], ids=["held already", "without Redis"])
def test_nothing_else_holds_a_cluster(config: dict[str, Any], finalizers: list[str]) -> None:
    result = cluster_plan(cluster_config(**config), finalizers=finalizers)
    assert not [action for action in actions_of(result) if isinstance(action, Patch)]


def test_a_cluster_that_stays_has_no_farewell() -> None:
    with pytest.raises(ValueError, match=r"^demo-a is not being deleted$"):
        farewell.plan(ray_cluster(cluster_config(**REDIS), finalizers=HELD), RenderOptions(), NOW)
