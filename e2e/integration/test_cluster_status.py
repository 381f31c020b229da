"""What a RayCluster says of itself, fault by fault: status, conditions and `kubectl get`."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scenarios.harness import manifests
from scenarios.harness.audit import AuditLog
from scenarios.harness.fakes import FakeRay
from scenarios.harness.kube import ApiError, Kube, Manifest, kubectl
from scenarios.harness.pods import (
    CUT_OFF,
    EVICTED,
    HOLD,
    PENDING,
    STARTING,
    STOPPED,
    UNREADY,
    UP,
    PlayedNode,
    PlayedPods,
    PodState,
    crash_looping,
    ended,
    name_of,
    played_node,
    restarted,
    unschedulable,
    without_image,
)
from scenarios.harness.process import OperatorProcess
from scenarios.harness.raycluster import RayCluster, group, spec
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import USER_AGENT
from scenarios.harness.waiting import until

MakeNode = Callable[[], PlayedNode]

SAMPLE = manifests.with_spec(manifests.sample("minimal"), rayClusterDeletionDelaySeconds=1)
SOON = 10.0
NODE_LOST_AFTER = 30
"""Seconds; nobody waits for them, because a played node can have been silent for any time."""
LONG = 2 * NODE_LOST_AFTER

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces, which shares its settings with none of the other modules."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAYSERVE_NODE_LOST_AFTER", str(NODE_LOST_AFTER))
        log = tmp_path_factory.mktemp("operator") / "operator.log"
        process = OperatorProcess("", Path(os.environ["KUBECONFIG"]), log)
        process.start()
        yield process
        process.kill()
        print(process.log)


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A namespace of its own for each test, whose end nobody waits for."""
    name = f"status-{secrets.token_hex(4)}"
    kube.create("namespaces", {"metadata": {"name": name}})
    until(lambda: kube.find("serviceaccounts", name, "default"), "pods can be made", SOON)
    yield name
    for kind in ("rayservices", "rayclusters"):
        # First, or the operator would replace the pods that go with the namespace.
        kube.request("DELETE", f"/apis/ray.io/v1/namespaces/{name}/{kind}")
    kube.delete("namespaces", None, name)
    PlayedPods(kube, name).clear()


@pytest.fixture
def cluster(kube: Kube, namespace: str) -> RayCluster:
    """The RayCluster of the test, not made yet."""
    return RayCluster(kube, namespace, "demo")


@pytest.fixture
def pods(cluster: RayCluster) -> PlayedPods:
    """The pods of the test."""
    return cluster.pods


@pytest.fixture
def node(kube: Kube) -> Iterator[MakeNode]:
    """Makes nodes for the test."""
    with ExitStack() as nodes:
        yield lambda: nodes.enter_context(played_node(kube, f"node-{secrets.token_hex(4)}"))


def _made(cluster: RayCluster, workers: int = 2) -> tuple[str, list[str]]:
    """The names of the pods of the cluster, once there are that many."""

    def names() -> tuple[str, list[str]]:
        found = cluster.pods.workers(cluster.name)
        assert len(found) == workers, found
        return cluster.pods.head(cluster.name), found

    return until(names, f"a head and {workers} workers", SOON)


def _started(cluster: RayCluster, cluster_spec: Manifest, **metadata: Any) -> tuple[str, list[str]]:
    """Create the cluster, and let all its pods be up."""
    cluster.create(cluster_spec, **metadata)
    wanted = sum(g["replicas"] * g.get("numOfHosts", 1) for g in cluster_spec["workerGroupSpecs"])
    head, workers = _made(cluster, wanted)
    for name in (head, *workers):
        cluster.pods.put(name, UP)
    _wait_ready(cluster)
    return head, workers


def _wait_ready(cluster: RayCluster) -> None:
    until(lambda: cluster.state == "ready", "the cluster is ready", SOON)
    cluster.assert_agrees()


NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
NO_IMAGE = 'Back-off pulling image "ray:1": not found'
LAST_LINE = "ModuleNotFoundError: No module named 'model'"
TRACE = f"Traceback (most recent call last):\n  File app.py\n{LAST_LINE}\n"
FEW = "1 of 2 workers are up"
HEAD_DOWN = "the head is not up"
WELL = ("True", "HeadPodRunningAndReady")


@dataclass(frozen=True)
class Fault:
    """Pods in trouble, and what is said of them; `{head}` and `{pod}` are the names of the two."""

    head: PodState
    worker: PodState
    """The state of the second of two workers; the first is up."""
    head_ready: tuple[str, str]
    """Status and reason of the condition HeadPodReady."""
    trouble: str | None
    """Reason of the condition ReplicaFailure; None where there is to be no such condition."""
    words: tuple[str, ...]
    """What the status gives as its reason, part by part; nothing for a cluster that is ready."""


FAULTS = {
    "worker pending": Fault(UP, PENDING, WELL, None, (FEW,)),
    "worker starting": Fault(UP, STARTING, WELL, None, (FEW,)),
    "worker unschedulable": Fault(
        UP, unschedulable(NO_GPU), WELL, "Unschedulable", (FEW, f"{{pod}} fits no node: {NO_GPU}")
    ),
    "worker without image": Fault(
        UP,
        without_image("ImagePullBackOff", NO_IMAGE),
        WELL,
        "ImagePullBackOff",
        (FEW, f"{{pod}}, container ray: {NO_IMAGE}"),
    ),
    "worker without config": Fault(
        UP,
        without_image("CreateContainerConfigError", 'secret "token" not found'),
        WELL,
        "CreateContainerConfigError",
        (FEW, '{pod}, container ray: secret "token" not found'),
    ),
    "worker in a crash loop": Fault(
        UP,
        crash_looping(TRACE),
        WELL,
        "CrashLoopBackOff",
        (FEW, f"{{pod}}, container ray: exit code 1, Error: {LAST_LINE}"),
    ),
    "worker out of memory": Fault(
        UP,
        crash_looping("", code=137, reason="OOMKilled"),
        WELL,
        "CrashLoopBackOff",
        (FEW, "{pod}, container ray: exit code 137, OOMKilled"),
    ),
    "worker just ended": Fault(
        UP,
        ended(TRACE, 1, "Error"),
        WELL,
        "Error",
        (FEW, f"{{pod}}, container ray ended: exit code 1, Error: {LAST_LINE}"),
    ),
    "worker restarted twice, runs": Fault(
        UP,
        restarted(2, TRACE),
        WELL,
        "CrashLoop",
        ("{pod}, container ray has been started 2 times anew", LAST_LINE),
    ),
    "worker restarted once, runs": Fault(UP, restarted(1, TRACE), WELL, None, ()),
    "worker without replicas": Fault(UP, UNREADY, WELL, None, ()),
    "all up": Fault(UP, UP, WELL, None, ()),
    "head starting": Fault(STARTING, UP, ("False", "HeadPodStarting"), None, (HEAD_DOWN,)),
    "head unschedulable": Fault(
        unschedulable(NO_GPU),
        UP,
        ("False", "Unschedulable"),
        "Unschedulable",
        (HEAD_DOWN, f"{{head}} fits no node: {NO_GPU}"),
    ),
    "head without image": Fault(
        without_image("ErrImagePull", NO_IMAGE),
        UP,
        ("False", "ErrImagePull"),
        "ErrImagePull",
        (HEAD_DOWN, f"{{head}}, container ray: {NO_IMAGE}"),
    ),
    "head in a crash loop": Fault(
        crash_looping(TRACE),
        UP,
        ("False", "CrashLoopBackOff"),
        "CrashLoopBackOff",
        (HEAD_DOWN, f"{{head}}, container ray: exit code 1, Error: {LAST_LINE}"),
    ),
    "head unready": Fault(
        UNREADY, UP, ("False", "HeadPodNotReady"), None, ("the head is not ready",)
    ),
    "head and worker": Fault(
        unschedulable(NO_GPU),
        crash_looping(TRACE),
        ("False", "Unschedulable"),
        "Unschedulable",
        (HEAD_DOWN, FEW, f"{{head}} fits no node: {NO_GPU}", LAST_LINE),
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_told(cluster: RayCluster, fault: Fault) -> None:
    """As it starts, and again after all was well; then all is well once more."""
    cluster.create(spec(group()))
    head, [other, worker] = _made(cluster)

    def is_told(*, was_ready: bool) -> bool:
        healthy = "ready" if not fault.words else ""
        ailing = "unhealthy" if was_ready and fault.head_ready != WELL else healthy
        assert cluster.state == ailing
        assert cluster.told("HeadPodReady") == fault.head_ready
        provisioned = was_ready or (fault.head.ready and fault.worker.is_up)
        assert cluster.told("RayClusterProvisioned")[0] == str(provisioned)
        _assert_words(cluster, fault, head, worker)
        cluster.assert_agrees()
        return True

    def bring_about() -> None:
        for name, state in ((head, fault.head), (other, UP), (worker, fault.worker)):
            cluster.pods.put(name, state)

    bring_about()
    until(lambda: is_told(was_ready=False), "the fault is told", SOON)
    for name in (head, worker):
        cluster.pods.put(name, UP)
    _wait_ready(cluster)
    bring_about()
    until(lambda: is_told(was_ready=True), "the fault is told", SOON)


def _assert_words(cluster: RayCluster, fault: Fault, head: str, worker: str) -> None:
    reason = cluster.reason
    for part in fault.words:
        assert part.format(head=head, pod=worker) in reason
    failure = cluster.conditions.get("ReplicaFailure")
    assert (failure and failure["reason"]) == fault.trouble
    if failure:
        assert failure["status"] == "True"
        assert failure["message"] in reason
    head_ready = cluster.conditions["HeadPodReady"]
    if head_ready["status"] == "False":
        assert head in head_ready["message"]


def test_nothing_is_there_yet(cluster: RayCluster) -> None:
    """Pods that are made and seen by nobody: the cluster says what is awaited."""
    cluster.create(spec(group()))
    _made(cluster)
    until(lambda: cluster.reason == f"{HEAD_DOWN}; 0 of 2 workers are up", "what is missing", SOON)
    assert cluster.told("RayClusterProvisioned") == ("False", "RayClusterPodsProvisioning")
    cluster.assert_agrees()


LOST = "which is silent or gone"


def test_a_worker_on_a_lost_node_is_replaced_at_once(
    cluster: RayCluster, pods: PlayedPods, node: MakeNode
) -> None:
    """Its pod is left for its node to end; should that come back, the surplus goes."""
    cluster.create(spec(group()))
    head, [lost, other] = _made(cluster)
    home = node()
    pods.bind(lost, home.name)
    for name in (head, lost, other):
        pods.put(name, UP)
    _wait_ready(cluster)
    home.fall_silent()
    pods.put(lost, CUT_OFF)
    new = _successor(cluster, {lost, other})
    until(lambda: cluster.told("ReplicaFailure") == ("True", "NodeLost"), "the loss is told", SOON)
    assert f"{lost} is on node {home.name}, {LOST}" in cluster.reason
    assert cluster.status["readyWorkerReplicas"] == 1
    assert cluster.told("HeadPodReady") == WELL
    pods.put(new, UP)
    until(lambda: cluster.status["readyWorkerReplicas"] == 2, "the new worker counts", SOON)
    home.speak()
    pods.put(lost, UP)
    until(lambda: len(pods.workers(cluster.name)) == 2, "the surplus goes", SOON)


def test_a_head_on_a_lost_node_is_kept_for_a_while(
    cluster: RayCluster, pods: PlayedPods, node: MakeNode
) -> None:
    """Then a new one takes its place, and nothing leads to the old one any more."""
    cluster.create(spec(group(replicas=1)))
    head, [worker] = _made(cluster, 1)
    home = node()
    pods.bind(head, home.name)
    for name in (head, worker):
        pods.put(name, UP)
    _wait_ready(cluster)
    home.fall_silent()
    pods.put(head, CUT_OFF)
    until(lambda: cluster.told("HeadPodReady") == ("False", "NodeLost"), "the loss is told", SOON)
    assert cluster.state == "unhealthy"
    assert f"{head} is on node {home.name}, {LOST}" in cluster.reason
    assert pods.head(cluster.name) == head
    cluster.assert_agrees()
    home.fall_silent(LONG)
    _wake(pods, head)
    until(lambda: pods.head(cluster.name) != head, "another head", SOON)
    new = pods.head(cluster.name)
    old = pods.kube.get("pods", pods.namespace, head)
    assert "deletionTimestamp" in old["metadata"]
    assert "ray.io/identifier" not in old["metadata"]["labels"]
    until(
        lambda: cluster.told("HeadPodReady") == ("False", "HeadPodStarting"),
        "the new head is told",
        SOON,
    )
    pods.put(new, UP)
    until(lambda: cluster.told("HeadPodReady") == WELL, "the new head is ready", SOON)
    assert cluster.status["head"]["podName"] == new


def test_no_second_head_writes_to_rocksdb(
    cluster: RayCluster, pods: PlayedPods, node: MakeNode
) -> None:
    """However long its node is silent, until somebody says that it is really down."""
    storage = {"backend": "rocksdb", "storage": {"claimName": "mine"}}
    cluster.create(spec(group(replicas=1), gcsFaultToleranceOptions=storage))
    head, [worker] = _made(cluster, 1)
    home = node()
    pods.bind(head, home.name)
    for name in (head, worker):
        pods.put(name, UP)
    _wait_ready(cluster)
    home.fall_silent(LONG)
    pods.put(head, CUT_OFF)
    until(lambda: cluster.told("HeadPodReady") == ("False", "NodeLost"), "the loss is told", SOON)
    assert pods.head(cluster.name) == head
    pods.kube.delete("pods", pods.namespace, head)
    until(
        lambda: cluster.told("HeadPodReady") == ("False", "HeadPodWaiting"),
        "what is awaited is told",
        SOON,
    )
    words = cluster.conditions["HeadPodReady"]["message"]
    assert f"{head} may still run on its silent node {home.name}" in words
    assert "taint it node.kubernetes.io/out-of-service" in words
    assert (cluster.state, cluster.reason.startswith(words)) == ("unhealthy", True)
    assert not pods.of(cluster.name, "head")
    cluster.assert_agrees()
    home.take_out_of_service()
    _wake(pods, head)
    new = until(lambda: pods.head(cluster.name), "a new head", SOON)
    pods.put(new, UP)
    _wait_ready(cluster)


def _wake(pods: PlayedPods, name: str) -> None:
    """Let something about a pod change; nodes are looked at only then, and every 15 seconds."""
    pods.kube.merge(
        "pods", pods.namespace, name, {"metadata": {"annotations": {"seen": secrets.token_hex(4)}}}
    )


def test_no_second_head_beside_one_that_stops(cluster: RayCluster, pods: PlayedPods) -> None:
    """The condition says why there is none; the last container to end lets the next head come."""
    head, [worker] = _started(cluster, spec(group(replicas=1)))
    pods.hold(head)
    pods.kube.delete("pods", pods.namespace, head)
    until(
        lambda: cluster.told("HeadPodReady") == ("False", "HeadPodWaiting"),
        "why there is no head",
        SOON,
    )
    assert f"{head} is still stopping" in cluster.conditions["HeadPodReady"]["message"]
    assert f"{head} is still stopping" in cluster.reason
    assert cluster.state == "unhealthy"
    assert not pods.of(cluster.name, "head")
    cluster.assert_agrees()
    pods.put(head, STOPPED)
    new = until(lambda: pods.head(cluster.name), "a new head", SOON)
    until(
        lambda: cluster.told("HeadPodReady") == ("False", "HeadPodStarting"),
        "the new head is told",
        SOON,
    )
    pods.put(new, UP)
    until(lambda: cluster.told("HeadPodReady") == WELL, "the new head is ready", SOON)
    assert worker in pods.workers(cluster.name)


def test_an_evicted_worker_is_replaced(cluster: RayCluster, pods: PlayedPods) -> None:
    """At once, and the cluster is whole when its successor is up."""
    _, [gone, other] = _started(cluster, spec(group()))
    pods.put(gone, EVICTED)
    new = _successor(cluster, {gone, other})
    until(lambda: gone not in pods.workers(cluster.name), "the evicted one goes", SOON)
    until(lambda: cluster.reason == FEW, "what is missing", SOON)
    cluster.assert_agrees()
    pods.put(new, UP)
    _wait_ready(cluster)


def test_a_head_that_fails_twice_is_waited_for(cluster: RayCluster, pods: PlayedPods) -> None:
    """The first is replaced at once; the second is not, and until when is told."""
    head, _ = _started(cluster, spec(group(replicas=0)))
    pods.put(head, EVICTED)
    until(lambda: pods.head(cluster.name) != head, "another head", SOON)
    again = pods.head(cluster.name)
    pods.put(again, EVICTED)
    until(lambda: cluster.told("HeadPodReady") == ("False", "HeadPodWaiting"), "the wait", SOON)
    assert f"{again}: it failed" in cluster.reason
    assert "the next is made at" in cluster.conditions["HeadPodReady"]["message"]
    assert (cluster.state, pods.head(cluster.name)) == ("unhealthy", again)


def _successor(cluster: RayCluster, before: set[str]) -> str:
    """Name of the one worker that was not there before, once it is."""

    def new() -> str:
        [name] = {*cluster.pods.workers(cluster.name)} - before or {""}
        return name

    return until(new, "a successor", SOON)


def test_quota_is_told(cluster: RayCluster, pods: PlayedPods) -> None:
    """Room for one pod: the API server's own words, until there is room for all."""
    _allow_pods(cluster, 1)
    cluster.create(spec(group()))

    def is_told() -> bool:
        # Every try has another name in its words, so all must come from one look.
        status = cluster.status
        [failure] = [c for c in status["conditions"] if c["type"] == "ReplicaFailure"]
        assert (failure["status"], failure["reason"]) == ("True", "QuotaExceeded")
        assert "exceeded quota: few" in failure["message"]
        return failure["message"] in status["reason"]

    until(is_told, "the refusal is told", SOON)
    until(cluster.agrees, "the counts", SOON)
    cluster.kube.delete("resourcequotas", cluster.namespace, "few")
    # The next try may be seconds away, but whatever happens to a pod brings it at once.
    [only] = pods.of(cluster.name)
    _wake(pods, name_of(only))
    head, workers = _made(cluster)
    for name in (head, *workers):
        pods.put(name, UP)
    _wait_ready(cluster)


def test_the_head_comes_first_where_room_is_short(cluster: RayCluster, pods: PlayedPods) -> None:
    """Workers alone are of no use, and would keep the head out for ever."""
    _allow_pods(cluster, 1)
    cluster.create(spec(group(replicas=9)))
    until(
        lambda: cluster.told("ReplicaFailure") == ("True", "QuotaExceeded"),
        "the refusal is told",
        SOON,
    )
    assert pods.head(cluster.name)


def _allow_pods(cluster: RayCluster, number: int) -> None:
    """Let the namespace have so many pods."""
    place = ("resourcequotas", cluster.namespace, "few")
    quota = {
        "metadata": {"name": "few", "namespace": cluster.namespace},
        "spec": {"hard": {"pods": str(number)}},
    }
    cluster.kube.create("resourcequotas", quota)
    until(lambda: cluster.kube.get(*place)["status"]["hard"], "the quota is in force", SOON)


SUSPENDED_BY_USER = "UserRequestedSuspend"


def test_a_cluster_is_suspended_and_resumed(cluster: RayCluster, pods: PlayedPods) -> None:
    """Suspending as long as a pod is left, then Suspended; it comes back whole."""
    cluster.create(spec(group()))
    head, workers = _made(cluster)
    pods.hold(head)
    for name in (head, *workers):
        pods.put(name, UP)
    _wait_ready(cluster)
    cluster.patch(suspend=True)
    until(
        lambda: cluster.told("RayClusterSuspending") == ("True", SUSPENDED_BY_USER),
        "it says so",
        SOON,
    )
    until(lambda: not pods.of(cluster.name), "all pods go", SOON)
    assert cluster.told("RayClusterSuspended")[0] == "False"
    assert (cluster.state, cluster.told("HeadPodReady")) == ("", ("False", "Suspended"))
    assert "it is suspended" in cluster.reason
    cluster.patch(suspend=False)
    until(
        lambda: cluster.object["status"]["observedGeneration"] == 3,
        "the change of mind is seen",
        SOON,
    )
    assert cluster.told("RayClusterSuspending")[0] == "True", "a suspension is carried to its end"
    cluster.patch(suspend=True)
    pods.let_go(head)
    until(lambda: cluster.state == "suspended", "it is suspended", SOON)
    assert cluster.told("RayClusterSuspending")[0] == "False"
    assert cluster.told("RayClusterSuspended") == ("True", SUSPENDED_BY_USER)
    assert cluster.told("HeadPodReady") == ("False", "Suspended")
    cluster.assert_agrees()
    cluster.patch(suspend=False)
    again, workers = _made(cluster)
    for name in (again, *workers):
        pods.put(name, UP)
    _wait_ready(cluster)
    assert {cluster.told(f"RayCluster{kind}")[0] for kind in ("Suspending", "Suspended")} == {
        "False"
    }


def test_a_cluster_on_its_way_out_gets_no_pods(
    kube: Kube, cluster: RayCluster, pods: PlayedPods
) -> None:
    """Its status stays as it was; another cluster shows that the operator has seen all."""
    _, workers = _started(cluster, spec(group()), finalizers=[HOLD])
    witness = RayCluster(kube, cluster.namespace, "witness")
    _, [witnessed, _] = _started(witness, spec(group()))
    kube.delete("rayclusters", cluster.namespace, cluster.name)
    before = cluster.object["status"]
    pods.kill(workers[0])
    pods.kill(witnessed)
    until(
        lambda: (
            {*pods.workers(witness.name)} - {witnessed} and len(pods.workers(witness.name)) == 2
        ),
        "the witness is mended",
        SOON,
    )
    assert pods.workers(cluster.name) == workers[1:]
    assert cluster.object["status"] == before
    kube.merge("rayclusters", cluster.namespace, cluster.name, {"metadata": {"finalizers": None}})
    until(
        lambda: not kube.find("rayclusters", cluster.namespace, cluster.name),
        "the cluster goes",
        SOON,
    )


REPLICA = "ray.io/worker-group-replica-name"
PLACE = ("ray.io/worker-group-replica-index", "ray.io/replica-host-index")


def test_a_lost_host_takes_its_replica_along(cluster: RayCluster, pods: PlayedPods) -> None:
    """Two replicas of two hosts each are numbered, and share a headless Service."""
    _started(cluster, spec(group(numOfHosts=2)))
    replicas = _replicas(pods, cluster.name)
    places = sorted(place for hosts in replicas.values() for place in hosts.values())
    assert places == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    assert all(len({replica for replica, _ in hosts.values()}) == 1 for hosts in replicas.values())
    service = pods.kube.get("services", pods.namespace, f"{cluster.name}-headless")
    assert service["spec"]["clusterIP"] == "None"
    broken, whole = sorted(replicas)
    pods.kill(next(iter(replicas[broken])))

    def is_replaced() -> bool:
        now = _replicas(pods, cluster.name)
        assert len(now) == 2 and broken not in now and now[whole] == replicas[whole]
        [new] = now.keys() - {whole}
        return sorted(now[new].values()) == sorted(replicas[broken].values())

    until(is_replaced, "another replica takes its place", SOON)
    until(lambda: cluster.reason == "2 of 4 workers are up", "what is missing", SOON)
    cluster.assert_agrees()
    for name in pods.workers(cluster.name):
        pods.put(name, UP)
    _wait_ready(cluster)


def _replicas(pods: PlayedPods, cluster: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """The places of the pods by name, for each replica."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for pod in pods.of(cluster, "worker"):
        labels = pod["metadata"]["labels"]
        found.setdefault(labels[REPLICA], {})[name_of(pod)] = tuple(labels[key] for key in PLACE)
    return found


def test_a_group_taken_out_loses_its_pods(cluster: RayCluster, pods: PlayedPods) -> None:
    """Those of the other group stay."""
    _started(cluster, spec(group("big"), group("small", replicas=1)))
    [small] = [name for name in pods.workers(cluster.name) if "small" in name]
    cluster.patch(workerGroupSpecs=[group("small", replicas=1)])
    until(lambda: pods.workers(cluster.name) == [small], "only the other group stays", SOON)
    until(lambda: cluster.status["desiredWorkerReplicas"] == 1, "it is counted no more", SOON)
    _wait_ready(cluster)


BACK = {"Suspending": "False", "Suspended": "False", "Ready": "True"}


def test_a_service_is_suspended_and_serves_again(kube: Kube, namespace: str, ray: FakeRay) -> None:
    """Its clusters and its Services are gone before it says Suspended."""
    service = RayService(kube, namespace, "demo")
    _create_service(kube, namespace, SAMPLE)
    service.wait_ready(SOON)
    [active] = service.clusters
    kube.merge("rayclusters", namespace, active, {"metadata": {"finalizers": [HOLD]}})
    kube.merge("rayservices", namespace, "demo", {"spec": {"suspend": True}})
    stable = [f"demo-{kind}-svc" for kind in ("serve", "head")]
    until(
        lambda: not any(kube.find("services", namespace, name) for name in stable),
        "no Service is left",
        SOON,
    )
    assert service.holds("Suspending")
    assert not service.holds("Suspended")
    kube.merge("rayclusters", namespace, active, {"metadata": {"finalizers": None}})
    until(lambda: service.holds("Suspended"), "it is suspended", SOON)
    assert not service.clusters
    assert not service.holds("Suspending")
    assert not service.holds("Ready")
    kube.merge("rayservices", namespace, "demo", {"spec": {"suspend": False}})
    service.wait_ready(SOON)
    assert {key: service.conditions[key]["status"] for key in BACK} == BACK
    assert ray.report(service.heads(service.active_cluster).popitem()[1]["status"]["podIP"])[
        "applications"
    ]


def _create_service(kube: Kube, namespace: str, manifest: Manifest) -> None:
    named = {**manifest, "metadata": {"name": "demo"}}
    kube.create("rayservices", manifests.in_namespace(named, namespace))


@dataclass(frozen=True)
class Belonging:
    """Something made for a RayCluster named demo, and an edit of it that somebody makes by hand."""

    api: str
    name: str
    wanted: Manifest
    """What in the spec asks for it."""
    unwanted: Manifest | None
    """What asks for it no more; None for what stays until the cluster goes."""
    edit: Manifest

    def path(self, namespace: str) -> str:
        """Where the API server has it."""
        root, _, plural = self.api.rpartition("/")
        return f"/{root}/namespaces/{namespace}/{plural}/{self.name}"


AUTOSCALED: Manifest = {"autoscalerOptions": {}}
RBAC = "apis/rbac.authorization.k8s.io/v1"
NETWORKING = "apis/networking.k8s.io/v1"


def _with_ingress(enabled: bool) -> Manifest:
    return {"headGroupSpec": {**spec()["headGroupSpec"], "enableIngress": enabled}}


BELONGINGS = {
    "ServiceAccount": Belonging(
        "api/v1/serviceaccounts",
        "demo",
        AUTOSCALED,
        None,
        {"metadata": {"labels": {"ray.io/cluster": "other"}}},
    ),
    "Role": Belonging(f"{RBAC}/roles", "demo", AUTOSCALED, None, {"rules": []}),
    "RoleBinding": Belonging(f"{RBAC}/rolebindings", "demo", AUTOSCALED, None, {"subjects": []}),
    "NetworkPolicy": Belonging(
        f"{NETWORKING}/networkpolicies",
        "demo-head",
        {"networkPolicy": {"mode": "DenyAllIngress"}},
        {"networkPolicy": None},
        {"spec": {"ingress": [{}]}},
    ),
    "Ingress": Belonging(
        f"{NETWORKING}/ingresses",
        "demo-head-ingress",
        _with_ingress(True),
        _with_ingress(False),
        {"spec": {"rules": [{"host": "elsewhere.example"}]}},
    ),
    "head Service": Belonging(
        "api/v1/services",
        "demo-head-svc",
        {},
        None,
        {"spec": {"selector": {"ray.io/cluster": "other"}}},
    ),
    "headless Service": Belonging(
        "api/v1/services",
        "demo-headless",
        {"workerGroupSpecs": [group(numOfHosts=2)]},
        {"workerGroupSpecs": []},
        {"spec": {"selector": {"ray.io/cluster": "other"}}},
    ),
}


@pytest.mark.parametrize("belonging", BELONGINGS.values(), ids=BELONGINGS)
def test_what_belongs_to_a_cluster_is_kept(cluster: RayCluster, belonging: Belonging) -> None:
    """It appears, is healed after an edit, comes back, and goes when it is no longer wanted."""
    path = belonging.path(cluster.namespace)

    def find() -> Manifest | None:
        try:
            found: Manifest = cluster.kube.request("GET", path)
        except ApiError as error:
            assert error.status == 404
            return None
        metadata = found["metadata"]
        return {**found, "metadata": {key: metadata.get(key) for key in ("labels", "annotations")}}

    cluster.create({**spec(group()), **belonging.wanted})
    made = until(find, "it appears", SOON)
    cluster.kube.request("PATCH", path, belonging.edit, "application/merge-patch+json")
    until(lambda: find() == made, "it is healed", SOON)
    cluster.kube.request("DELETE", path)
    until(find, "it comes back", SOON)
    if belonging.unwanted is not None:
        cluster.patch(**belonging.unwanted)
        until(lambda: find() is None, "it goes", SOON)


def test_autoscaler_options_alone_bring_the_autoscaler(
    cluster: RayCluster, pods: PlayedPods
) -> None:
    """In the head, under an account that may do what it needs."""
    cluster.create({**spec(group()), **AUTOSCALED})
    _made(cluster)
    head = cluster.kube.get("pods", cluster.namespace, pods.head(cluster.name))
    assert [container["name"] for container in head["spec"]["containers"]] == ["ray", "autoscaler"]
    account = head["spec"]["serviceAccountName"]
    assert account == cluster.name
    may = kubectl(
        *(
            "auth",
            "can-i",
            "patch",
            f"rayclusters.ray.io/{cluster.name}",
            f"--namespace={cluster.namespace}",
        ),
        f"--as=system:serviceaccount:{cluster.namespace}:{account}",
    )
    assert may.strip() == "yes"


BUDGET_WRITES = (
    "create poddisruptionbudgets",
    "patch poddisruptionbudgets",
    "update poddisruptionbudgets",
)


def test_evictions_leave_all_but_one_worker(
    kube: Kube, namespace: str, audit_log: AuditLog
) -> None:
    """The budget is written when its number changes, and does not sink while a successor starts."""
    with FakeRay().running():
        since = audit_log.position()
        cluster, workers = _serving(kube, namespace, workers=3)
        budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"

        def fewest() -> int | None:
            found = kube.request("GET", budgets)["items"]
            return found[0]["spec"]["minAvailable"] if found else None

        def writes() -> int:
            counted = audit_log.writes(since, USER_AGENT)
            return sum(counted[kind] for kind in BUDGET_WRITES)

        until(lambda: fewest() == 2, "the budget", SOON)
        written = writes()
        status = until(
            lambda: kube.request("GET", budgets)["items"][0]["status"]["disruptionsAllowed"],
            "room",
            SOON,
        )
        assert status == 1
        _evict(kube, namespace, workers[0])
        successor = _successor(cluster, {*workers})
        until(lambda: cluster.status["readyWorkerReplicas"] == 2, "the loss is seen", SOON)
        with pytest.raises(ApiError, match="disruption budget"):
            _evict(kube, namespace, workers[1])
        cluster.pods.put(successor, UP)
        until(lambda: cluster.state == "ready", "the cluster is ready", SOON)
        assert (fewest(), writes()) == (2, written)
        _scale(kube, namespace, 2)
        until(lambda: fewest() == 1, "the budget follows", SOON)
        assert writes() == written + 1
        _annotate(kube, namespace, "false")
        until(lambda: fewest() is None, "the budget goes", SOON)
        _annotate(kube, namespace, None)
        until(lambda: fewest() == 1, "the budget comes back", SOON)
        _scale(kube, namespace, 1)
        until(lambda: fewest() is None, "one worker has no budget", SOON)


def _serving(kube: Kube, namespace: str, *, workers: int) -> tuple[RayCluster, list[str]]:
    """The cluster of a RayService, all up."""
    _create_service(kube, namespace, SAMPLE)
    _scale(kube, namespace, workers)
    [found] = until(lambda: kube.list("rayclusters", namespace), "a cluster", SOON)
    cluster = RayCluster(kube, namespace, name_of(found))
    head, names = _made(cluster, workers)
    for name in (head, *names):
        cluster.pods.put(name, UP)
    until(lambda: cluster.state == "ready", "the cluster is ready", SOON)
    return cluster, names


def _scale(kube: Kube, namespace: str, workers: int) -> None:
    config = SAMPLE["spec"]["rayClusterConfig"]
    [cpu] = config["workerGroupSpecs"]
    groups = [{**cpu, "replicas": workers, "minReplicas": workers}]
    kube.merge(
        "rayservices",
        namespace,
        "demo",
        {"spec": {"rayClusterConfig": {**config, "workerGroupSpecs": groups}}},
    )


def _annotate(kube: Kube, namespace: str, value: str | None) -> None:
    notes = {"rayserve.ray.io/disruption-budget": value}
    kube.merge("rayservices", namespace, "demo", {"metadata": {"annotations": notes}})


def _evict(kube: Kube, namespace: str, pod: str) -> None:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    }
    kube.request("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", eviction)
