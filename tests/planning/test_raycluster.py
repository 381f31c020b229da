from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.conditions import Condition
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Apply, Create, Kind
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.cluster.replacement import LONGEST_WAIT
from rayserve_operator.planning.observed import NodeView, ObservedRayCluster, PodView
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, actions_of, cluster_config, group, head, in_words, pod, ray_cluster, steps_of


def plan(observed: ObservedRayCluster) -> Any:
    return plan_cluster(observed, RenderOptions(), NOW)


def words(*pods: PodView, **fields: Any) -> list[str]:
    """What happens to the pods of a cluster."""
    seen = {key: fields.pop(key) for key in ("nodes", "of_service", "status", "notes") if key in fields}
    groups = fields.pop("groups", [group()])
    found = in_words(plan(ray_cluster(cluster_config(*groups, **fields), *pods, **seen)))
    return [done for done in found if not done.startswith(("make ", "point "))]


def made(*pods: PodView, **fields: Any) -> list[dict[str, Any]]:
    """The metadata of the pods that are made."""
    result = plan(ray_cluster(cluster_config(*fields.pop("groups", [group()])), *pods, **fields))
    actions = actions_of(result)
    return [dict(a.manifest["metadata"]) for a in actions if isinstance(a, Create) and a.kind is Kind.POD]


def silent(seconds: float = 0, **fields: Any) -> dict[str, NodeView]:
    return {"node-1": NodeView("node-1", NOW - timedelta(seconds=seconds), fields.get("out_of_service", False))}


CONFIRMED = "confirm demo-a"
NEW_HEAD = "create a pod demo-a-head-"
NEW_WORKER = "create a pod demo-a-cpu-worker-"
NO_LABEL = "note not identifier on demo-a-head"
ROCKSDB: dict[str, Any] = {"gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": {"claimName": "mine"}}}
UNMADE = group(replicas=0)


def test_at_rest_there_is_nothing_to_do() -> None:
    assert words(head(), pod()) == []


def test_head_and_workers_are_made_together_for_a_cluster_that_is_still_there() -> None:
    assert words() == [CONFIRMED, NEW_HEAD, NEW_WORKER]


def test_the_autoscaler_gets_its_permissions_before_the_head_that_it_runs_in() -> None:
    result = plan(ray_cluster(cluster_config(enableInTreeAutoscaling=True)))
    kinds = [[action.kind for action in step if isinstance(action, Apply)] for step in steps_of(result)[1:3]]
    assert kinds == [[Kind.SERVICE_ACCOUNT, Kind.ROLE], [Kind.ROLE_BINDING]]
    assert in_words(result)[-2:] == [NEW_HEAD, NEW_WORKER]


def test_the_head_service_is_made_when_it_is_missing() -> None:
    observed = ray_cluster(cluster_config(), head(), pod())
    bare = ObservedRayCluster(observed.cluster, observed.pods, {})
    assert in_words(plan(bare)) == ["point demo-a-head-svc at demo-a"]


@pytest.mark.parametrize(
    ("old", "fields", "expected"),
    [
        (head(phase="Pending"), {}, []),
        (head(leaving=True), {}, []),
        (head(leaving=True, ended=True), {}, [CONFIRMED, NEW_HEAD]),
        (head(leaving=True, phase="Pending"), {}, [CONFIRMED, NEW_HEAD]),
        (head(leaving=True, ended=True), ROCKSDB, [CONFIRMED, NEW_HEAD]),
        (head(phase="Failed"), {}, [CONFIRMED, NEW_HEAD, "delete demo-a-head"]),
        (head(ended=True, restart_policy="Never", beside="x"), {}, [CONFIRMED, NEW_HEAD, "delete demo-a-head"]),
        (head(ended=True, restart_policy="Always"), {}, []),
        (head(cut_off=True), {"nodes": silent(59)}, []),
        (head(cut_off=True), {"nodes": silent(60)}, [CONFIRMED, NO_LABEL, NEW_HEAD, "delete demo-a-head"]),
        (head(cut_off=True), {"nodes": {"node-1": None}}, [CONFIRMED, NO_LABEL, NEW_HEAD, "delete demo-a-head"]),
        (head(leaving=True), {"nodes": silent(60)}, [CONFIRMED, NO_LABEL, NEW_HEAD]),
        (head(leaving=True), {"nodes": silent(600), **ROCKSDB}, []),
        (head(leaving=True), {"nodes": silent(9, out_of_service=True), **ROCKSDB}, [CONFIRMED, NO_LABEL, NEW_HEAD]),
    ],
)  # fmt: skip
def test_there_is_never_a_second_head_that_runs(old: PodView, fields: dict[str, Any], expected: list[str]) -> None:
    assert words(old, groups=[UNMADE], **fields) == expected


def test_of_two_heads_only_the_one_that_is_up_stays() -> None:
    twin = pod("twin", role=labels.HEAD, phase="Pending")
    assert words(head(), twin, groups=[UNMADE]) == ["delete twin"]


def test_a_head_that_waits_for_a_node_says_why() -> None:
    observed = ray_cluster(cluster_config(UNMADE, **ROCKSDB), head(leaving=True), nodes=silent(600))
    status = plan(observed).status
    [ready] = [c for c in status.conditions if c.type == "HeadPodReady"]
    assert ready.reason == "HeadPodWaiting"
    assert "node.kubernetes.io/out-of-service" in ready.message
    assert plan(observed).recheck_after == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("failures", "lived", "wait"),
    [(0, 1, 0), (1, 1, 4), (2, 1, 9), (3, 30, 0), (4, 1, 39), (40, 1, LONGEST_WAIT.total_seconds() - 1)],
)
def test_a_pod_that_ends_early_again_and_again_is_replaced_later_and_later(
    failures: int, lived: float, wait: float
) -> None:
    failed = pod(phase="Failed", failures=failures, age=lived)
    result = plan(ray_cluster(cluster_config(), head(), failed))
    if wait:
        assert (in_words(result), result.recheck_after) == ([], timedelta(seconds=wait))
    else:
        assert in_words(result) == [CONFIRMED, NEW_WORKER, "delete worker"]
        [metadata] = made(head(), failed)
        assert metadata["annotations"][labels.FAILURES] == str(failures + 1)


def test_a_pod_that_lived_long_is_no_failure() -> None:
    [metadata] = made(head(), pod(phase="Failed", failures=7, age=3600))
    assert labels.FAILURES not in metadata.get("annotations", {})


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
        ({"replicas": 1, "suspend": True}, [pod("a")], ["delete a"]),
        ({"replicas": 1}, [pod("a"), pod("b", group="gone")], ["delete b"]),
    ],
)
def test_a_group_gets_as_many_workers_as_it_says(
    fields: dict[str, Any], workers: list[PodView], expected: list[str]
) -> None:
    assert words(head(), *workers, groups=[group(**fields)]) == expected


def test_replicas_take_the_lowest_numbers_that_are_free() -> None:
    there = [pod("a", index=0), pod("b", index=2)]
    found = [metadata["labels"][labels.REPLICA_INDEX] for metadata in made(head(), *there, groups=[group(replicas=4)])]
    assert found == ["1", "3"]


def host(name: str, index: int, replica: str = "r", **fields: Any) -> PodView:
    return pod(name, replica=replica, index=0, host=index, **fields)


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([], [CONFIRMED, NEW_WORKER, NEW_WORKER]),
        ([host("a", 0), host("b", 1)], []),
        ([host("a", 0, phase="Pending")], [CONFIRMED, NEW_WORKER]),
        ([host("a", 0)], [CONFIRMED, NEW_WORKER, NEW_WORKER, "delete a"]),
        ([host("a", 0), host("b", 1, leaving=True)], [CONFIRMED, NEW_WORKER, NEW_WORKER, "delete a"]),
        ([host("a", 0), host("b", 1, phase="Failed")], [CONFIRMED, NEW_WORKER, NEW_WORKER, "delete a", "delete b"]),
        ([host("a", 0), host("b", 1), host("c", 0, "s"), host("d", 1, "s", ready=False)], ["delete c", "delete d"]),
        ([pod("a"), pod("b")], []),
    ],
    ids=["none", "whole", "forming", "a host vanished", "a host leaves", "a host failed", "too many", "unnumbered"],
)
def test_the_hosts_of_a_replica_come_and_go_together(hosts: list[PodView], expected: list[str]) -> None:
    found = words(head(), *hosts, groups=[group(numOfHosts=2)])
    assert sorted(found) == sorted(expected)


def test_a_host_that_is_still_to_be_made_joins_its_replica() -> None:
    [metadata] = made(head(), host("a", 0, "cpu-abcde", phase="Pending"), groups=[group(numOfHosts=2)])
    numbers = {key: metadata["labels"][key] for key in (labels.REPLICA_NAME, labels.REPLICA_INDEX, labels.HOST_INDEX)}
    assert list(numbers.values()) == ["cpu-abcde", "0", "1"]


def test_one_name_makes_all_hosts_of_its_replica_go() -> None:
    asked = group(numOfHosts=2, replicas=0, scaleStrategy={"workersToDelete": ["a"]})
    found = words(head(), host("a", 0), host("b", 1), groups=[asked], enableInTreeAutoscaling=True)
    assert found == ["delete a", "delete b"]


@pytest.mark.parametrize(
    ("named", "replicas", "workers", "expected"),
    [
        ([], 0, [pod("a")], []),
        ([], 0, [pod("a", phase="Pending")], ["delete a"]),
        (["a"], 0, [pod("a")], ["delete a"]),
        (["a"], 1, [pod("a"), pod("b")], ["delete a"]),
        (["a"], 1, [pod("a", leaving=True), pod("b")], []),
        (["gone"], 1, [pod("b")], []),
        (["a"], 1, [pod("a")], [CONFIRMED, NEW_WORKER, "delete a"]),
    ],
)
def test_rays_autoscaler_names_the_workers_that_go(
    named: list[str], replicas: int, workers: list[PodView], expected: list[str]
) -> None:
    scaled = group(replicas=replicas, scaleStrategy={"workersToDelete": named})
    assert words(head(), *workers, groups=[scaled], enableInTreeAutoscaling=True) == expected


def test_a_group_that_is_to_be_empty_needs_no_choice() -> None:
    removed = group(replicas=2, minReplicas=0, maxReplicas=0)
    assert words(head(), pod("a"), groups=[removed], enableInTreeAutoscaling=True) == ["delete a"]


@pytest.mark.parametrize(
    ("said", "adopted", "of_service", "expected"),
    [
        ({}, False, False, True),
        ({}, True, False, False),
        ({}, False, True, False),
        ({"enableInTreeAutoscaling": False}, False, False, False),
        ({"enableInTreeAutoscaling": True}, True, True, True),
    ],
    ids=["options alone", "a head without it", "KubeRay's for a service", "off", "on"],
)
def test_autoscaler_options_alone_turn_autoscaling_on(
    said: dict[str, Any], adopted: bool, of_service: bool, expected: bool
) -> None:
    config = cluster_config(UNMADE, autoscalerOptions={}, **said)
    there = head() if adopted else head(beside="autoscaler")
    made_for_it = in_words(plan(ray_cluster(config, there, of_service=of_service)))
    assert ("make Role demo-a" in made_for_it) is expected


def test_a_worker_on_a_lost_node_is_replaced_at_once_and_left_for_its_node_to_end() -> None:
    assert words(head(node="node-2"), pod(cut_off=True), nodes=silent()) == [CONFIRMED, NEW_WORKER]
    back = [pod("a", ready=False), pod("b")]
    assert words(head(node="node-2"), *back) == ["delete a"]


OLD = pod("old", age=100)
YOUNG_HEAD = head(age=50)


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([OLD], [CONFIRMED, NEW_WORKER]),
        ([OLD, pod("new", age=49, phase="Pending")], []),
        ([OLD, pod("new", age=49, ready=False)], []),
        ([OLD, pod("new", age=49)], ["note retired-at, serve on old"]),
        ([OLD, pod("new", age=49, phase="Pending", unschedulable="no room")], ["delete old"]),
        ([pod("waits", age=100, phase="Pending")], []),
        ([pod("started anew", age=100, since=40)], []),
    ],
)
def test_workers_of_a_head_that_is_gone_serve_until_others_do(pods: list[PodView], expected: list[str]) -> None:
    assert words(YOUNG_HEAD, *pods, of_service=True) == expected


def test_with_fault_tolerance_a_new_head_keeps_the_workers() -> None:
    assert words(YOUNG_HEAD, OLD, **ROCKSDB) == []


def conditions(status: RayClusterStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def with_conditions(**held: str) -> RayClusterStatus:
    made = [Condition(type=t, status=s, reason="x", message="", last_transition_time="") for t, s in held.items()]
    return RayClusterStatus(conditions=made)


def test_a_suspension_is_written_down_before_the_first_pod_goes() -> None:
    config = cluster_config(suspend=True)
    begun = plan(ray_cluster(config, head(), pod()))
    assert in_words(begun) == []
    assert conditions(begun.status)["RayClusterSuspending"] == "True"
    going = plan(ray_cluster(config, head(), pod(), status=begun.status))
    assert in_words(going) == ["delete demo-a-head", "delete worker"]
    gone = plan(ray_cluster(config, status=going.status))
    assert in_words(gone) == []
    assert (gone.status.state, conditions(gone.status)["RayClusterSuspended"]) == ("suspended", "True")
    resumed = plan(ray_cluster(cluster_config(), status=gone.status))
    assert in_words(resumed) == [CONFIRMED, NEW_HEAD, NEW_WORKER]
    assert conditions(resumed.status)["RayClusterSuspended"] == "False"


def test_a_suspension_that_has_begun_is_carried_to_its_end() -> None:
    begun = with_conditions(RayClusterSuspending="True")
    assert words(head(), status=begun) == ["delete demo-a-head"]


RECREATE = {"upgradeStrategy": {"type": "Recreate"}}


def recreated(*pods: PodView, image: str) -> list[str]:
    return in_words(plan(ray_cluster(cluster_config(image=image, **RECREATE), *pods)))


def test_recreate_makes_all_pods_anew_when_their_template_changes() -> None:
    [head_made, _] = _manifests(plan(ray_cluster(cluster_config(image="ray:1", **RECREATE))))
    remembers = head(notes=head_made["metadata"]["annotations"])
    assert recreated(remembers, pod(), image="ray:1") == []
    assert recreated(remembers, pod(), image="ray:2") == ["delete worker", "delete demo-a-head"]
    assert recreated(head(), pod(), image="ray:2") == ["note made-from on demo-a-head"]


def _manifests(result: Any) -> list[dict[str, Any]]:
    actions = actions_of(result)
    return [dict(a.manifest) for a in actions if isinstance(a, Create) and a.kind is Kind.POD]


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


@pytest.mark.parametrize(
    ("fields", "reason", "told"),
    [
        ({"phase": "Pending", "waiting": "ImagePullBackOff"}, "ImagePullBackOff", "worker, container ray"),
        ({"phase": "Pending", "unschedulable": "0/1 nodes: no gpu"}, "Unschedulable", "no gpu"),
        (
            {"waiting": "CrashLoopBackOff", "crash": "first\nlast line", "restarts": 4},
            "CrashLoopBackOff",
            "exit code 1, Error: last line",
        ),
        ({"crash": "boom", "restarts": 3}, "CrashLoop", "3 times anew, last after: exit code 1, Error: boom"),
    ],
)
def test_what_keeps_a_pod_from_running_is_told(fields: dict[str, Any], reason: str, told: str) -> None:
    status = plan(ray_cluster(cluster_config(), head(), pod(**fields))).status
    [failure] = [c for c in status.conditions if c.type == "ReplicaFailure"]
    assert (failure.status, failure.reason) == ("True", reason)
    assert told in failure.message
    assert status.state is None


def test_a_cluster_that_lost_its_head_is_unhealthy_and_not_ready() -> None:
    was_ready = plan(ray_cluster(cluster_config(UNMADE), head())).status
    assert was_ready.state == "ready"
    lost = plan(ray_cluster(cluster_config(UNMADE), head(leaving=True), status=was_ready)).status
    assert (lost.state, lost.reason) == (
        "unhealthy",
        "demo-a-head is still stopping, and there is never a second head beside it",
    )
