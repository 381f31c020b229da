"""What is told of a RayCluster."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.conditions import Condition
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.cluster.planner import plan_cluster, refuse_cluster
from rayserve_operator.planning.cluster.status import blamed
from rayserve_operator.planning.condition_list import timestamp
from rayserve_operator.planning.observed import NodeView, PodView
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, cluster_config, cluster_plan, group, head, pod, ray_cluster

LATER = NOW + timedelta(minutes=1)
SILENT = {"node-1": NodeView("node-1", NOW - timedelta(seconds=10), out_of_service=False)}
SEEN = ("status", "nodes", "of_service")


def status(*pods: PodView, **fields: Any) -> RayClusterStatus:
    seen = {key: fields.pop(key) for key in SEEN if key in fields}
    return cluster_plan(cluster_config(*fields.pop("groups", [group()]), **fields), *pods, **seen).status


def before(state: Any = None, **conditions: str) -> RayClusterStatus:
    held = [
        Condition(type=name, status=held, reason="x", message="", last_transition_time="then")
        for name, held in conditions.items()
    ]
    return RayClusterStatus(state=state, conditions=held)


def told(found: RayClusterStatus) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in found.conditions}


def worker(name: str, **fields: Any) -> PodView:
    return pod(name, **fields)


def evicted(name: str, **fields: Any) -> PodView:
    return replace(pod(name, phase="Failed", failures=5, age=1, **fields), reason="Evicted", message="low on memory")


def pulling(name: str, **fields: Any) -> PodView:
    return pod(name, phase="Pending", waiting="ErrImagePull", **fields)


# Numbers. ----------------------------------------------------------------------------------------------------------


def test_workers_are_counted_as_wanted_and_as_they_are() -> None:
    groups = [
        group("a", replicas=2, minReplicas=1, maxReplicas=3),
        group("b", replicas=1, minReplicas=1, maxReplicas=4, numOfHosts=2),
    ]
    workers = (
        worker("up", group="a"),
        worker("starts", group="a", started=False),
        worker("waits", group="b", phase="Pending"),
        worker("leaves", group="b", leaving=True),
        evicted("ended", group="b"),
    )
    found = status(head(), *workers, groups=groups)
    assert (found.desired_worker_replicas, found.min_worker_replicas, found.max_worker_replicas) == (4, 3, 11)
    assert (found.available_worker_replicas, found.ready_worker_replicas) == (2, 1)


def test_groups_without_bounds_are_told_as_the_largest_number_there_is() -> None:
    assert status(groups=[group("a"), group("b")]).max_worker_replicas == INT32_MAX


def test_a_worker_that_is_lost_or_of_an_earlier_head_is_not_counted() -> None:
    lost = status(head(node="node-2"), pod(cut_off=True), nodes=SILENT)
    orphaned = status(head(age=50), pod())
    assert (lost.ready_worker_replicas, lost.available_worker_replicas) == (0, 0)
    assert (orphaned.ready_worker_replicas, orphaned.available_worker_replicas) == (0, 0)


def resources(*containers: Any) -> dict[str, Any]:
    made = [{"name": f"c{number}", "image": "ray:1", "resources": given} for number, given in enumerate(containers)]
    return {"spec": {"containers": made}}


def test_what_all_pods_ask_for_is_added_up() -> None:
    head_group = {
        "template": resources(
            {"requests": {"cpu": "500m"}, "limits": {"cpu": 2, "memory": "10Gi", "nvidia.com/gpu": 1}}, {"limits": None}
        )
    }
    asked = resources(
        {"requests": {"cpu": 1, "google.com/tpu": 4}, "limits": {"google.com/tpu": 4, "amd.com/gpu": 1}}, None
    )
    groups = [
        group(replicas=2, template=asked),
        group("other", replicas=1, numOfHosts=3, template=resources({"requests": {"cpu": 30}})),
    ]
    found = status(groups=groups, headGroupSpec=head_group)
    assert (found.desired_cpu, found.desired_memory) == ("92.5", "10737418240")
    assert (found.desired_gpu, found.desired_tpu) == ("3", "8")


@pytest.mark.parametrize("template", [{}, {"spec": {}}, {"spec": {"containers": None}}])
def test_a_template_without_containers_asks_for_nothing(template: dict[str, Any]) -> None:
    found = status(groups=[], headGroupSpec={"template": template})
    assert (found.desired_cpu, told(found)["SpecValid"][0]) == ("0", "False")


# Where it is found. ------------------------------------------------------------------------------------------------


def found_at(spec: dict[str, Any] | None, *pods: PodView) -> RayClusterStatus:
    """The status beside a head Service of this spec."""
    observed = ray_cluster(cluster_config(), *pods)
    [(name, service)] = observed.services.items()
    services = {} if spec is None else {name: replace(service, spec=spec)}
    return plan_cluster(replace(observed, services=services), RenderOptions(), NOW).status


@pytest.mark.parametrize(
    ("spec", "pods", "expected"),
    [
        ({"clusterIP": "10.0.0.1"}, [head()], ("ip-demo-a-head", "demo-a-head", "10.0.0.1", "demo-a-head-svc")),
        ({"clusterIP": "None"}, [head()], ("ip-demo-a-head", "demo-a-head", "ip-demo-a-head", "demo-a-head-svc")),
        ({}, [head()], ("ip-demo-a-head", "demo-a-head", "ip-demo-a-head", "demo-a-head-svc")),
        ({"clusterIP": "10.0.0.1"}, [], (None, None, "10.0.0.1", "demo-a-head-svc")),
        (None, [head()], ("ip-demo-a-head", "demo-a-head", "ip-demo-a-head", None)),
    ],
    ids=["an address", "headless", "new", "no head", "no Service"],
)
def test_it_is_told_where_the_head_is_found(
    spec: dict[str, Any] | None, pods: list[PodView], expected: tuple[str | None, ...]
) -> None:
    at = found_at(spec, *pods).head
    assert at is not None
    assert (at.pod_ip, at.pod_name, at.service_ip, at.service_name) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {
                "ports": [
                    {"name": "a", "port": 1, "targetPort": 2, "nodePort": 3},
                    {"name": "b", "port": 1, "targetPort": "named"},
                    {"name": "c", "port": 1},
                ]
            },
            {"a": "3", "b": "named", "c": "1"},
        ),
        ({}, {}),
        (None, {}),
    ],
)
def test_the_ports_of_the_head_are_told(spec: dict[str, Any] | None, expected: dict[str, str]) -> None:
    assert found_at(spec, head()).endpoints == expected


# The state. --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "earlier", "state", "reason"),
    [
        ([head(), worker("a")], before(), "ready", None),
        ([head(), worker("a"), worker("b", phase="Pending", unschedulable="no room")], before(), "ready", None),
        (
            [head(), worker("a"), worker("b", phase="Pending", waiting="CrashLoopBackOff")],
            before(),
            None,
            "b, container ray",
        ),
        ([head(phase="Pending"), worker("a")], before(), None, "the head is not up"),
        ([head(started=False), worker("a")], before(), None, "the head is not up"),
        ([head(ready=False), worker("a")], before(), None, "the head is not ready"),
        ([worker("a")], before(), None, "the head is not up"),
        ([head()], before(), None, "0 of 1 workers are up"),
        (
            [head(phase="Pending"), *map(pulling, "abcd")],
            before(),
            None,
            "the head is not up; 0 of 1 workers are up; a, container ray; b, container ray; c, container ray",
        ),
        ([worker("a")], before(RayClusterProvisioned="True"), "unhealthy", "the head is not up"),
        ([worker("a")], before(RayClusterProvisioned="False", HeadPodReady="True"), None, "the head is not up"),
        ([head()], before(RayClusterProvisioned="True"), None, "0 of 1 workers are up"),
        (
            [head(), worker("a")],
            before(RayClusterSuspending="True"),
            None,
            "its pods are stopping, because it is suspended",
        ),
        ([], before(RayClusterSuspending="True"), None, "it is resumed"),
    ],
)
def test_the_state_is_told_with_what_is_missing(
    pods: list[PodView], earlier: RayClusterStatus, state: str | None, reason: str | None
) -> None:
    found = status(*pods, status=earlier)
    assert (found.state, found.reason) == (state, reason)


def test_a_suspended_cluster_lacks_nothing() -> None:
    found = status(suspend=True)
    assert (found.state, found.reason) == ("suspended", None)


@pytest.mark.parametrize(
    ("pods", "state", "times"),
    [
        ([head(), pod()], "ready", {"ready": "then"}),
        ([head(), pod()], "suspended", {"ready": timestamp(NOW)}),
        ([head(), pod()], None, {"ready": timestamp(NOW)}),
        ([head()], "ready", {"ready": "then"}),
    ],
    ids=["stays", "another", "first", "none"],
)
def test_a_state_is_told_with_the_time_since_when_it_is_so(
    pods: list[PodView], state: Any, times: dict[str, str]
) -> None:
    earlier = RayClusterStatus(state=state, state_transition_times={"ready": "then", "unhealthy": "once"})
    assert status(*pods, status=earlier).state_transition_times == {"unhealthy": "once", **times}


def test_a_status_that_says_the_same_keeps_its_time() -> None:
    first = status(head(), pod())
    assert (first.last_update_time, first.observed_generation) == (timestamp(NOW), 1)
    assert {condition.observed_generation for condition in first.conditions} == {1}
    noted = first.model_copy(update={"last_update_time": "then"})
    assert status(head(), pod(), status=noted) == noted


# Conditions. -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "earlier", "expected"),
    [
        ([head(), pod()], before(), ("True", "AllPodRunningAndReadyFirstTime", "")),
        ([head(phase="Pending")], before(RayClusterProvisioned="True"), ("True", "AllPodRunningAndReadyFirstTime", "")),
        ([head()], before(), ("False", "RayClusterPodsProvisioning", "")),
        ([head(ready=False), pod()], before(), ("False", "RayClusterPodsProvisioning", "")),
        ([head(started=False, ready=True), pod()], before(), ("False", "RayClusterPodsProvisioning", "")),
        ([head(), pod()], before(RayClusterSuspending="True"), ("False", "RayClusterPodsProvisioning", "")),
    ],
    ids=["complete", "once", "a worker is missing", "the head is not ready", "the head is not up", "suspended"],
)
def test_a_cluster_is_provisioned_once_all_of_it_was_up(
    pods: list[PodView], earlier: RayClusterStatus, expected: tuple[str, str, str]
) -> None:
    assert told(status(*pods, status=earlier))["RayClusterProvisioned"] == expected


@pytest.mark.parametrize(
    ("pods", "fields", "expected"),
    [
        ([head()], {}, ("True", "HeadPodRunningAndReady", "")),
        ([], {}, ("False", "HeadPodNotFound", "the head pod does not exist")),
        ([head(ready=False)], {}, ("False", "HeadPodNotReady", "demo-a-head runs, but its readiness probe fails")),
        ([head(phase="Pending"), pulling("a")], {}, ("False", "HeadPodStarting", "demo-a-head is starting")),
        (
            [head(phase="Pending", waiting="ErrImagePull"), pulling("a")],
            {},
            ("False", "ErrImagePull", "demo-a-head, container ray"),
        ),
        (
            [pod(cut_off=True), head(cut_off=True)],
            {"nodes": SILENT},
            ("False", "NodeLost", "demo-a-head is on node node-1, which is silent or gone"),
        ),
        ([head()], {"suspend": True}, ("False", "Suspended", "the cluster is suspended")),
        (
            [head(leaving=True)],
            {},
            (
                "False",
                "HeadPodWaiting",
                "demo-a-head is still stopping, and there is never a second head beside it",
            ),
        ),
    ],
    ids=["ready", "none", "not ready", "starting", "its own trouble", "its node", "suspended", "waited for"],
)
def test_it_is_told_how_the_head_is(
    pods: list[PodView], fields: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert told(status(*pods, **fields))["HeadPodReady"] == expected


@pytest.mark.parametrize(
    ("pods", "fields", "expected"),
    [
        ([head(), pod(), pod("leaves", leaving=True, waiting="ErrImagePull")], {}, None),
        ([head(), evicted("gone", leaving=True)], {}, None),
        ([head(), pulling("a")], {}, ("True", "ErrImagePull", "a, container ray")),
        ([head(), evicted("a")], {}, ("True", "Evicted", "a: low on memory")),
        ([evicted("head", role=labels.HEAD)], {}, ("True", "Evicted", "head: low on memory")),
        (
            [head(), *map(pulling, "abcd")],
            {},
            ("True", "ErrImagePull", "a, container ray; b, container ray; c, container ray"),
        ),
        (
            [head(node="node-2"), pod(cut_off=True), pulling("a")],
            {"nodes": SILENT},
            ("True", "NodeLost", "worker is on node node-1, which is silent or gone; a, container ray"),
        ),
        ([head(node="node-2"), pod(cut_off=True), pod("b", leaving=True)], {"nodes": {"node-1": None}},
         ("True", "NodeLost", "worker is on node node-1, which is silent or gone")),
    ],
    ids=["leaving", "ended and leaving", "a worker", "ended", "a head that ended", "many", "lost", "lost and leaving"],
)  # fmt: skip
def test_troubles_of_pods_are_told_the_first_three_of_them(
    pods: list[PodView], fields: dict[str, Any], expected: tuple[str, str, str] | None
) -> None:
    assert told(status(*pods, **fields)).get("ReplicaFailure") == expected


NOT_SUSPENDED = (("False", "NotSuspending", ""), ("False", "NotSuspended", ""))
SUSPENDING = (("True", "UserRequestedSuspend", ""), ("False", "NotSuspended", ""))
SUSPENDED = (("False", "NotSuspending", ""), ("True", "UserRequestedSuspend", ""))


@pytest.mark.parametrize(
    ("pods", "suspend", "earlier", "expected"),
    [
        ([head()], False, before(SpecValid="True"), (None, None)),
        ([head()], False, before(RayClusterSuspending="False"), NOT_SUSPENDED),
        ([head()], False, before(RayClusterSuspended="False"), NOT_SUSPENDED),
        ([head()], True, before(), SUSPENDING),
        ([head()], True, before(RayClusterSuspending="True"), SUSPENDING),
        ([], True, before(), SUSPENDED),
    ],
    ids=["never", "stopped once", "suspended once", "begins", "goes on", "suspended"],
)
def test_a_controller_that_waits_for_a_suspension_always_finds_its_conditions(
    pods: list[PodView], suspend: bool, earlier: RayClusterStatus, expected: tuple[Any, Any]
) -> None:
    found = told(status(*pods, suspend=suspend, status=earlier))
    assert (found.get("RayClusterSuspending"), found.get("RayClusterSuspended")) == expected


def test_a_valid_spec_is_accepted() -> None:
    assert told(status(head()))["SpecValid"] == ("True", "Accepted", "")


@pytest.mark.parametrize(
    ("pods", "fields", "expected"),
    [
        ([head(), pod()], {}, (("True", "AllPodsReady", ""), ("False", "AllPodsReady", ""))),
        (
            [head(), pod(started=False)],
            {},
            (("False", "PodsNotReady", "0 of 1 workers are up"), ("True", "PodsNotReady", "0 of 1 workers are up")),
        ),
        ([], {"suspend": True}, (("False", "Suspended", ""), ("False", "Suspended", ""))),
        (
            [head()],
            {"suspend": True},
            (
                ("False", "PodsNotReady", "its pods are stopping, because it is suspended"),
                ("True", "PodsNotReady", "its pods are stopping, because it is suspended"),
            ),
        ),
    ],
    ids=["ready", "on its way", "suspended", "stopping"],
)
def test_whether_it_is_as_its_spec_says_is_told_as_kstatus_reads_it(
    pods: list[PodView], fields: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    found = told(status(*pods, **fields))
    assert (found["Ready"], found["Reconciling"]) == expected
    assert "Stalled" not in found


PROBLEMS = (Problem("spec.a", "is wrong", "mend it"), Problem("spec.b", "is wrong too", "mend it too"))
REFUSED = ("False", "InvalidRayClusterSpec", "spec.a is wrong; mend it; spec.b is wrong too; mend it too")


def test_all_that_is_wrong_is_told() -> None:
    found = status(groups=[group("same"), group("same", maxReplicas=0, minReplicas=2)])
    held, reason, message = told(found)["SpecValid"]
    assert (held, reason) == ("False", "InvalidRayClusterSpec")
    assert message.count("; spec.workerGroupSpecs[1]") == 1
    assert told(found)["Stalled"] == ("True", reason, message)
    assert told(found)["Reconciling"] == ("False", reason, "waiting for a valid spec")


def test_a_spec_that_cannot_be_read_is_told_and_what_is_known_of_the_pods_stays() -> None:
    earlier = before("ready", SpecValid="True", HeadPodReady="True").model_copy(update={"ready_worker_replicas": 3})
    meta = replace(ray_cluster(cluster_config()).cluster.meta, generation=2)
    refused = refuse_cluster(meta, earlier, PROBLEMS, NOW)
    found = refused.status
    assert (found.state, found.ready_worker_replicas, found.observed_generation) == ("ready", 3, 2)
    assert (told(found)["SpecValid"], told(found)["HeadPodReady"]) == (REFUSED, ("True", "x", ""))
    assert told(found)["Stalled"] == ("True", *REFUSED[1:])
    assert told(found)["Reconciling"] == ("False", REFUSED[1], "waiting for a valid spec")
    [refusal] = [c for c in found.conditions if c.type == "SpecValid"]
    assert (refusal.last_transition_time, refusal.observed_generation) == (timestamp(NOW), 2)
    assert found.last_update_time == timestamp(NOW)
    assert refuse_cluster(meta, found, PROBLEMS, LATER).status == found


@pytest.mark.parametrize(
    ("earlier", "words", "reason", "state_reason"),
    [
        (
            RayClusterStatus(),
            "pods are forbidden: exceeded quota: x",
            "QuotaExceeded",
            "pods are forbidden: exceeded quota: x",
        ),
        (RayClusterStatus(reason="no head"), "denied", "ActionRefused", "no head; denied"),
        (RayClusterStatus(state="ready"), "denied", "ActionRefused", None),
    ],
)
def test_what_the_api_server_refuses_is_told(
    earlier: RayClusterStatus, words: str, reason: str, state_reason: str | None
) -> None:
    found = blamed(earlier, words, NOW)
    [failure] = found.conditions
    assert (failure.type, failure.status, failure.reason, failure.message) == ("ReplicaFailure", "True", reason, words)
    assert (failure.observed_generation, failure.last_transition_time) == (0, timestamp(NOW))
    assert found.reason == state_reason


def test_a_refusal_is_about_the_generation_that_was_acted_upon_and_changes_nothing_else() -> None:
    earlier = before(HeadPodReady="True", ReplicaFailure="True").model_copy(update={"observed_generation": 3})
    found = blamed(earlier, "denied", NOW)
    assert [c.type for c in found.conditions] == ["HeadPodReady", "ReplicaFailure"]
    assert found.conditions[0] == earlier.conditions[0]
    assert found.conditions[1].observed_generation == 3
