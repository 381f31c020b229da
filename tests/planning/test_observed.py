"""What Kubernetes' objects say, as it is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import (
    BelongingView,
    ContainerView,
    End,
    Failure,
    NodeView,
    ObservedCluster,
    ObservedRayCluster,
    ObservedService,
    PodView,
    RevisionView,
    ServiceView,
    Silence,
    age,
)
from rayserve_operator.render import labels

from ..builders import NOW, ago, aim_at, cluster, cluster_config, head, pod, ray_cluster, service_spec, world

AT = "2030-01-01T11:00:00Z"
ELEVEN = datetime(2030, 1, 1, 11, tzinfo=UTC)


def read(status: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any) -> PodView:
    """A pod of one container `ray`."""
    metadata = {"name": "a", **(meta or {})}
    return PodView.parse({"metadata": metadata, "spec": {"containers": [{"name": "ray"}], **spec}, "status": status})


def container(name: str = "ray", **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


RUNNING = {"running": {"startedAt": AT}}
TERMINATED = {"terminated": {"reason": "Error", "exitCode": 1}}
COMPLETED = {"terminated": {"reason": "Completed", "exitCode": 0}}
LEAVING = {"deletionTimestamp": AT}


# Pods. -------------------------------------------------------------------------------------------------------------


def test_a_pod_is_read() -> None:
    seen = read(
        {
            "phase": "Running",
            "reason": "NodeLost",
            "message": "words",
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "False", "lastTransitionTime": AT},
            ],
            "containerStatuses": [container(), container("beside")],
            "initContainerStatuses": [container("wait")],
        },
        nodeName="node-1",
        restartPolicy="Never",
        containers=[{"name": "ray"}, {"name": "beside"}],
    )
    assert (seen.meta.name, seen.phase, seen.reason, seen.message) == ("a", "Running", "NodeLost", "words")
    assert (seen.ip, seen.node, seen.restart_policy) == ("10.0.0.1", "node-1", "Never")
    assert (seen.ready, seen.unready_since, seen.unschedulable) == (False, ELEVEN, None)
    assert [one.name for one in seen.containers] == ["ray", "beside"]
    assert [one.name for one in seen.init_containers] == ["wait"]
    assert seen.names == ("ray", "beside")


def test_a_pod_that_has_just_been_made_is_read() -> None:
    seen = read()
    assert (seen.phase, seen.reason, seen.message, seen.ip, seen.node) == ("Pending", None, "", None, None)
    assert (seen.ready, seen.unready_since, seen.unschedulable) == (False, None, None)
    assert (seen.restart_policy, seen.containers, seen.init_containers) == ("Always", (), ())
    assert (seen.ray, seen.is_head, seen.group, seen.failures) == (None, False, "", 0)
    assert (seen.replica, seen.replica_index, seen.host_index) == (None, None, None)


@pytest.mark.parametrize(
    ("condition", "ready", "since", "unschedulable"),
    [
        ({"type": "Ready", "status": "True", "lastTransitionTime": AT}, True, None, None),
        ({"type": "Ready", "status": "False", "lastTransitionTime": AT}, False, ELEVEN, None),
        ({"type": "Ready", "status": "False"}, False, None, None),
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "x"}, False, None, "x"),
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, False, None, ""),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "x"}, False, None, None),
    ],
)
def test_the_conditions_of_a_pod_are_read(
    condition: dict[str, Any], ready: bool, since: datetime | None, unschedulable: str | None
) -> None:
    seen = read({"conditions": [condition]})
    assert (seen.ready, seen.unready_since, seen.unschedulable) == (ready, since, unschedulable)


def test_the_place_of_a_pod_is_read_from_its_labels() -> None:
    noted = {
        labels.NODE_TYPE: labels.HEAD,
        labels.GROUP: "cpu",
        labels.REPLICA_NAME: "r",
        labels.REPLICA_INDEX: "2",
        labels.HOST_INDEX: "1",
    }
    seen = read(meta={"labels": noted, "annotations": {labels.FAILURES: "3"}})
    assert (seen.is_head, seen.group, seen.replica, seen.replica_index, seen.host_index) == (True, "cpu", "r", 2, 1)
    assert seen.failures == 3


def test_labels_that_are_no_numbers_tell_nothing() -> None:
    noted = {labels.NODE_TYPE: labels.WORKER, labels.REPLICA_INDEX: "x", labels.HOST_INDEX: ""}
    seen = read(meta={"labels": noted, "annotations": {labels.FAILURES: "-1"}})
    assert (seen.is_head, seen.replica_index, seen.host_index, seen.failures) == (False, None, None, 0)


@pytest.mark.parametrize(
    ("phase", "policy", "state", "beside", "expected"),
    [
        ("Failed", "Always", RUNNING, RUNNING, True),
        ("Succeeded", "Always", RUNNING, RUNNING, True),
        ("Running", "Never", RUNNING, RUNNING, False),
        ("Running", "Never", TERMINATED, RUNNING, True),
        ("Running", "Never", RUNNING, TERMINATED, False),
        ("Running", "Always", TERMINATED, TERMINATED, False),
        ("Running", "OnFailure", TERMINATED, RUNNING, False),
        ("Running", "OnFailure", COMPLETED, RUNNING, True),
        ("Running", "Always", COMPLETED, RUNNING, False),
    ],
)
def test_a_pod_has_finished_when_ray_in_it_will_not_be_started_again(
    phase: str, policy: str, state: dict[str, Any], beside: dict[str, Any], expected: bool
) -> None:
    found = [container("beside", state=beside), container(state=state)]
    spec: dict[str, Any] = {"restartPolicy": policy, "containers": [{"name": "ray"}, {"name": "beside"}]}
    seen = read({"phase": phase, "containerStatuses": found}, **spec)
    assert (seen.finished, seen.alive) == (expected, not expected)


def test_a_pod_of_which_nothing_is_known_has_not_finished() -> None:
    assert not read({"phase": "Running"}, restartPolicy="Never").finished


@pytest.mark.parametrize(
    ("phase", "node", "meta", "states", "expected"),
    [
        ("Failed", "n", {}, [RUNNING], True),
        ("Succeeded", "n", {}, [RUNNING], True),
        ("Running", "n", {}, [TERMINATED], False),
        ("Running", "n", LEAVING, [TERMINATED, RUNNING], False),
        ("Running", "n", LEAVING, [TERMINATED, COMPLETED], True),
        ("Running", "n", LEAVING, [], False),
        ("Pending", None, LEAVING, [], True),
        ("Pending", None, {}, [], False),
        ("Pending", "n", LEAVING, [], False),
        ("Running", None, LEAVING, [], False),
    ],
)
def test_a_pod_has_stopped_when_nothing_of_it_runs_or_ever_will(
    phase: str, node: str | None, meta: dict[str, Any], states: list[dict[str, Any]], expected: bool
) -> None:
    found = [container(str(number), state=state) for number, state in enumerate(states)]
    assert read({"phase": phase, "containerStatuses": found}, meta, nodeName=node).stopped is expected


def test_a_pod_that_leaves_is_not_alive() -> None:
    assert not read(meta=LEAVING).alive


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"started": False}, False),
        ({"leaving": True}, False),
        ({"waiting": "CrashLoopBackOff"}, False),
        ({"phase": "Pending"}, False),
    ],
)
def test_a_pod_is_up_once_ray_has_started_in_it(fields: dict[str, Any], expected: bool) -> None:
    assert pod(**fields).up is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, True), ({"serve": "false"}, False), ({"ready": False}, False), ({"leaving": True}, False)],
)
def test_a_pod_serves_while_it_is_ready_and_labelled_so(fields: dict[str, Any], expected: bool) -> None:
    assert pod(**fields).serving is expected


@pytest.mark.parametrize(
    ("status", "meta", "expected"),
    [
        ([True, True], {}, True),
        ([True, False], {}, False),
        ([], {}, False),
        ([True], LEAVING, False),
    ],
)
def test_a_pod_is_cut_off_when_only_its_node_keeps_it_from_being_ready(
    status: list[bool], meta: dict[str, Any], expected: bool
) -> None:
    found = [container(str(number), ready=ready) for number, ready in enumerate(status)]
    ready = [{"type": "Ready", "status": "True"}]
    assert read({"containerStatuses": found}, meta).cut_off is expected
    assert not read({"containerStatuses": found, "conditions": ready}, meta).cut_off


# Containers. -------------------------------------------------------------------------------------------------------


def test_a_container_is_read() -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": AT, "message": "words"}}
    status = container(ready=True, started=True, restartCount=2, state=RUNNING, lastState=last)
    assert ContainerView.parse(status) == ContainerView(
        name="ray",
        ready=True,
        started=True,
        restarts=2,
        running_since=ELEVEN,
        waiting=None,
        waiting_message="",
        ended=None,
        crashed=End("OOMKilled", 137, ELEVEN, "words"),
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, {}),
        (
            {"waiting": {"reason": "ErrImagePull", "message": "no"}},
            {"waiting": "ErrImagePull", "waiting_message": "no"},
        ),
        ({"waiting": {}}, {}),
        ({"terminated": {}}, {"ended": End("Ended", None, None, "")}),
    ],
)
def test_a_container_that_does_not_run_is_read(state: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    bare = ContainerView("ray", False, False, 0, None, None, "", None, None)
    assert ContainerView.parse(container(state=state)) == replace(bare, **expected)
    assert not ContainerView.parse(container(state=state)).running


def test_a_container_that_runs_since_nobody_knows_when_runs() -> None:
    seen = ContainerView.parse(container(state={"running": {}}))
    assert seen.running
    assert seen.running_since == datetime(1970, 1, 1, tzinfo=UTC)


# Everything else. --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ready", "since"), [("Unknown", ELEVEN), ("True", None), ("False", None)], ids=["silent", "well", "not ready"]
)
def test_a_node_is_silent_while_nobody_hears_of_it(ready: str, since: datetime | None) -> None:
    told = [{"type": "DiskPressure", "status": "Unknown"}, {"type": "Ready", "status": ready, "lastTransitionTime": AT}]
    manifest = {"metadata": {"name": "n"}, "status": {"conditions": told}}
    assert NodeView.parse(manifest) == NodeView("n", since, out_of_service=False)


@pytest.mark.parametrize(
    ("taints", "expected"),
    [
        ([], False),
        (None, False),
        ([{"key": "node.kubernetes.io/unreachable"}], False),
        ([{"key": "node.kubernetes.io/unreachable"}, {"key": "node.kubernetes.io/out-of-service"}], True),
    ],
)
def test_a_node_is_out_of_service_when_somebody_says_so(taints: list[dict[str, str]] | None, expected: bool) -> None:
    assert NodeView.parse({"metadata": {"name": "n"}, "spec": {"taints": taints}}).out_of_service is expected


def test_a_node_of_which_nothing_is_known_is_well() -> None:
    assert NodeView.parse({"metadata": {"name": "n"}}) == NodeView("n", None, out_of_service=False)


@pytest.mark.parametrize(
    ("kind", "content"),
    [(Kind.JOB, {"spec": 1, "data": 2, "status": 3}), (Kind.INGRESS, {"spec": 1, "data": 2})],
)
def test_the_status_of_a_belonging_is_kept_only_where_it_matters(kind: Kind, content: dict[str, int]) -> None:
    manifest = {"apiVersion": "v1", "kind": "x", "metadata": {"name": "a"}, "spec": 1, "data": 2, "status": 3}
    assert BelongingView.parse(kind, manifest) == BelongingView(kind, Meta.parse(manifest), content)


@pytest.mark.parametrize(("spec", "expected"), [({"a": 1}, {"a": 1}), (None, {})])
def test_a_service_is_read(spec: dict[str, int] | None, expected: dict[str, int]) -> None:
    manifest = {"metadata": {"name": "a"}, "spec": spec}
    assert ServiceView.parse(manifest) == ServiceView(Meta.parse(manifest), expected)


def test_a_revision_is_read() -> None:
    notes = {labels.PART: "digest", labels.ATTEMPT: "3"}
    seen = RevisionView.parse({"metadata": {"name": "a", "annotations": notes}, "revision": 7})
    assert (seen.meta.name, seen.number, seen.part, seen.attempt) == ("a", 7, "digest", 3)


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ('{"reason": "Expired", "message": "words"}', Failure("Expired", "words")),
        ('{"reason": 1, "message": 2}', Failure("1", "2")),
        ('{"reason": "Expired"}', None),
        ('{"message": "words"}', None),
        ("[]", None),
        ("{", None),
        ("", None),
    ],
)
def test_a_revision_says_why_its_rollout_was_given_up(noted: str, expected: Failure | None) -> None:
    assert RevisionView.parse({"metadata": {"name": "a", "annotations": {labels.FAILED: noted}}}).failure == expected


def test_a_revision_that_says_nothing_is_the_first_attempt() -> None:
    seen = RevisionView.parse({"metadata": {"name": "a"}})
    assert (seen.number, seen.part, seen.attempt, seen.failure) == (0, None, 1, None)
    spoilt = RevisionView.parse({"metadata": {"name": "a", "annotations": {labels.ATTEMPT: "many"}}})
    assert spoilt.attempt == 1


def test_a_cluster_has_the_head_that_is_alive_and_the_pods_that_serve() -> None:
    gone = pod("gone", role=labels.HEAD, leaving=True)
    pods = (pod("a"), gone, head(), pod("b", ready=False), pod("c"))
    seen = cluster("demo-a", pods=pods)
    assert seen.head is not None
    assert (seen.name, seen.head.meta.name, seen.serving_pods) == ("demo-a", "demo-a-head", 2)
    assert replace(seen, pods=(pod("a"), gone)).head is None


def test_of_a_cluster_that_was_not_asked_nothing_is_known() -> None:
    seen = ObservedCluster(ray_cluster(cluster_config()).cluster, ())
    assert seen.serve == Silence("not asked", since=None)
    assert (seen.assigned, seen.head_proxy_answers, seen.answering, seen.ongoing) == (None, None, frozenset(), None)


def test_a_cluster_of_its_own_has_heads_and_workers() -> None:
    seen = ray_cluster(cluster_config(), pod("a"), head(leaving=True), pod("b", leaving=True))
    assert [one.meta.name for one in seen.heads] == ["demo-a-head"]
    assert [one.meta.name for one in seen.workers] == ["a", "b"]
    bare = ObservedRayCluster(seen.cluster, (), {})
    assert (bare.belongings, bare.nodes, bare.namespace_leaving) == ((), {}, False)


def test_the_clusters_of_a_service_live_until_they_are_to_go() -> None:
    goal = aim_at(service_spec())
    seen = world(goal, cluster("demo-a", goal), cluster("demo-b", goal, leaving=True))
    assert [one.name for one in seen.living] == ["demo-a"]
    bare = ObservedService(seen.service, (), (), None, None)
    assert (bare.ghosts, bare.endpoints) == (frozenset(), None)


def test_an_age_is_in_seconds() -> None:
    made = Meta.parse({"metadata": {"name": "a", "creationTimestamp": ago(90)}})
    assert age(made, NOW + timedelta(seconds=1)) == 91
    assert age(replace(made, created=None), NOW) == 0
