from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.actions import Apply, Kind
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.planning.raycluster import plan_cluster
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, cluster_config, group, head, in_words, pod, ray_cluster


def plan(observed: ObservedRayCluster) -> Any:
    return plan_cluster(observed, RenderOptions(), NOW)


def words(*pods: PodView, **fields: Any) -> list[str]:
    groups = fields.pop("groups", [group()])
    return in_words(plan(ray_cluster(cluster_config(*groups, **fields), *pods)))


CONFIRMED = "confirm demo-a"
NEW_HEAD = "create a pod demo-a-head-"
NEW_WORKER = "create a pod demo-a-cpu-worker-"


def test_at_rest_there_is_nothing_to_do() -> None:
    assert words(head(), pod()) == []


def test_head_and_workers_are_made_together_for_a_cluster_that_is_still_there() -> None:
    assert words() == [CONFIRMED, NEW_HEAD, NEW_WORKER]


def test_the_autoscaler_gets_its_permissions_before_the_head_that_it_runs_in() -> None:
    result = plan(ray_cluster(cluster_config(enableInTreeAutoscaling=True)))
    kinds = [action.kind for action in result.steps[1] if isinstance(action, Apply)]
    assert kinds == [Kind.SERVICE_ACCOUNT, Kind.ROLE, Kind.ROLE_BINDING]
    assert in_words(result)[-2:] == [NEW_HEAD, NEW_WORKER]


def test_the_head_service_is_made_when_it_is_missing() -> None:
    observed = ray_cluster(cluster_config(), head(), pod())
    bare = ObservedRayCluster(observed.cluster, observed.pods, {})
    assert in_words(plan(bare)) == ["point demo-a-head-svc at demo-a"]


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (head(leaving=True), []),
        (head(phase="Failed", age=5), []),
        (head(phase="Failed", age=40), ["delete demo-a-head"]),
        (head(phase="Pending"), []),
    ],
    ids=["leaving", "failed at once", "failed", "pending"],
)
def test_there_is_never_a_second_head(old: PodView, expected: list[str]) -> None:
    assert words(old, pod()) == expected


@pytest.mark.parametrize(
    ("fields", "workers", "expected"),
    [
        ({"replicas": 2}, [pod("a")], [CONFIRMED, NEW_WORKER]),
        ({"replicas": 0}, [pod("a")], ["delete a"]),
        ({"replicas": 0, "minReplicas": 1}, [pod("a")], []),
        ({"replicas": 9, "maxReplicas": 1}, [pod("a")], []),
        ({"replicas": 1}, [pod("a"), pod("b", phase="Pending")], ["delete b"]),
        ({"replicas": 1}, [pod("a", ready=False), pod("b")], ["delete a"]),
        ({"replicas": 1}, [pod("a", leaving=True)], [CONFIRMED, NEW_WORKER]),
        ({"replicas": 1}, [pod("a", phase="Failed", age=40)], [CONFIRMED, "delete a", NEW_WORKER]),
        ({"replicas": 1}, [pod("a", phase="Failed", age=5)], []),
        ({"replicas": 1, "suspend": True}, [pod("a")], ["delete a"]),
        ({"replicas": 1, "numOfHosts": 2}, [pod("a")], [CONFIRMED, NEW_WORKER]),
    ],
)
def test_a_group_gets_as_many_workers_as_it_says(
    fields: dict[str, Any], workers: list[PodView], expected: list[str]
) -> None:
    found = words(head(), *workers, groups=[group(**fields)])
    assert [done for done in found if "headless" not in done] == expected


@pytest.mark.parametrize(
    ("named", "replicas", "workers", "expected"),
    [
        ([], 0, [pod("a")], []),
        ([], 0, [pod("a", phase="Pending")], ["delete a"]),
        (["a"], 0, [pod("a")], ["delete a"]),
        (["a"], 1, [pod("a"), pod("b")], ["delete a"]),
        (["a"], 1, [pod("a", leaving=True), pod("b")], []),
        (["gone"], 1, [pod("b")], []),
        (["a"], 1, [pod("a")], [CONFIRMED, "delete a", NEW_WORKER]),
    ],
)
def test_rays_autoscaler_names_the_workers_that_go(
    named: list[str], replicas: int, workers: list[PodView], expected: list[str]
) -> None:
    scaled = group(replicas=replicas, scaleStrategy={"workersToDelete": named})
    assert words(head(), *workers, groups=[scaled], enableInTreeAutoscaling=True) == expected


def test_a_suspended_cluster_has_no_pods() -> None:
    assert words(head(), pod(), suspend=True) == ["delete demo-a-head", "delete worker"]
    assert words(suspend=True) == []


def test_a_failed_pod_is_looked_at_when_it_may_be_replaced() -> None:
    result = plan(ray_cluster(cluster_config(), head(), pod(phase="Failed", age=10)))
    assert result.recheck_after == timedelta(seconds=20)


def test_a_cluster_that_cannot_be_right_is_told_so_and_left_as_it_is() -> None:
    result = plan(ray_cluster(cluster_config(group(), group()), head()))
    assert in_words(result) == []
    [announced] = result.announcements
    assert announced.reason == "InvalidRayClusterSpec"


def test_the_status_counts_what_is_up() -> None:
    config = cluster_config(group(replicas=2))
    half = plan(ray_cluster(config, head(), pod("a"), pod("b", started=False))).status
    assert (half.state, half.ready_worker_replicas, half.available_worker_replicas) == (None, 1, 2)
    assert half.reason == "1 of 2 workers are up"
    whole = plan(ray_cluster(config, head(), pod("a"), pod("b", ready=False))).status
    assert (whole.state, whole.ready_worker_replicas) == ("ready", 2)


def test_what_keeps_a_pod_from_running_is_told() -> None:
    status = plan(ray_cluster(cluster_config(), head(), pod(phase="Pending", waiting="ImagePullBackOff"))).status
    [failure] = [c for c in status.conditions if c.type == "ReplicaFailure"]
    assert (failure.status, failure.reason) == ("True", "ImagePullBackOff")
    assert "worker, container ray" in failure.message
