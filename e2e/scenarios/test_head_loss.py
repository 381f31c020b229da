"""A head is lost: with its state in RocksDB nothing is told anew, without it everything is."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.load import Load
from scenarios.harness.rayservice import RayService, all_ready
from scenarios.harness.sampler import sampling
from scenarios.harness.session import local_cluster
from scenarios.harness.volumes import one_volume
from scenarios.harness.waiting import Stopwatch, until

RECOVERY = 180.0
STOPS_IN = 60
RAY_HEAD = "ray-head"


def _sample(**cluster: Any) -> Manifest:
    """The minimal sample, its traffic led to workers alone: a lost head costs no connection."""
    sample = manifests.sample("minimal")
    config = {**sample["spec"]["rayClusterConfig"], **cluster}
    return manifests.with_spec(sample, rayClusterConfig=config, excludeHeadPodFromServeSvc=True)


@pytest.fixture(scope="module")
def storage_class(kube: Kube) -> Iterator[str]:
    """A class with one volume for the state of one head."""
    with one_volume(kube, "gcs") as name:
        yield name


@pytest.fixture(scope="module")
def kept(kube: Kube, namespace: str, storage_class: str) -> Iterator[RayService]:
    """A service whose Ray keeps its state in RocksDB."""
    options = {"backend": "rocksdb", "storage": {"storageClassName": storage_class}}
    yield from _serving(kube, namespace, "kept", _sample(gcsFaultToleranceOptions=options))


@pytest.fixture
def forgetful(kube: Kube, namespace: str) -> Iterator[RayService]:
    """A service whose Ray forgets everything with its head."""
    yield from _serving(kube, namespace, "forgetful", _sample())


def _serving(kube: Kube, namespace: str, name: str, sample: Manifest) -> Iterator[RayService]:
    service = RayService(kube, namespace, name)
    service.apply({**sample, "metadata": {"name": name}})
    service.wait_answer(GREET)
    service.wait_ready()
    yield service
    pods = f"ray.io/cluster in ({','.join(service.clusters)})"
    kube.delete("rayservices", namespace, name)
    until(lambda: not kube.list("pods", namespace, pods), "its pods are gone", 90)


@pytest.mark.ci
def test_head_crash_with_rocksdb(kept: RayService) -> None:
    """Its container is started again: workers answer throughout, and Ray is told nothing."""
    [head] = kept.heads()
    deployed = kept.deployed_at()
    restarts = _restarts(kept, head)
    with Load(kept.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        watch = Stopwatch()
        _kill(kept, head)
        until(lambda: _restarts(kept, head) > restarts, "the kubelet starts the head again", 60)
        _wait_recovered(kept)
    print(f"head crash, RocksDB: recovered after {watch.seconds:.1f} s; {load.explain()}")
    assert not load.failed, load.explain()
    assert list(kept.heads()) == [head]
    assert kept.deployed_at() == deployed


@pytest.mark.ci
def test_head_deleted_with_rocksdb(kept: RayService) -> None:
    """A new head takes up the state of the old one once that has stopped; Ray is told nothing."""
    [lost] = kept.heads()
    workers = kept.workers().keys()
    deployed = kept.deployed_at()
    with Load(kept.url, GREET).running() as load, sampling(lambda: _running_heads(kept)) as heads:
        until(lambda: load.sent > 10, "the load runs", 10)
        watch = Stopwatch()
        kept.kube.delete("pods", kept.namespace, lost)
        until(lambda: {*kept.heads()} - {lost}, "a new head comes", RECOVERY)
        made = watch.seconds
        _wait_recovered(kept)
    print(
        f"head deleted, RocksDB: new head after {made:.1f} s,"
        f" recovered after {watch.seconds:.1f} s; {load.explain()}"
    )
    assert not load.failed, load.explain()
    assert max(map(len, heads)) == 1, heads
    assert kept.workers().keys() == workers
    assert kept.deployed_at() == deployed


@pytest.mark.ci
def test_head_killed_without_fault_tolerance(forgetful: RayService) -> None:
    """A new head is told everything, and new workers take over from those of the old one."""
    [lost] = forgetful.heads()
    [old_worker] = forgetful.workers()
    with Load(forgetful.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        watch = Stopwatch()
        forgetful.delete_pod(lost)
        until(
            lambda: forgetful.heads() and lost not in forgetful.heads(),
            "a new head comes",
            RECOVERY,
        )
        until(lambda: old_worker not in forgetful.workers(), "the old worker goes", RECOVERY)
        _wait_recovered(forgetful)
    print(
        f"head killed, no fault tolerance: recovered after {watch.seconds:.1f} s; {load.explain()}"
    )
    assert not load.failed, load.explain()
    assert "UpdatedServeApplications" in {event["reason"] for event in forgetful.events}


@pytest.mark.parametrize("keeps_state", [True, False], ids=["rocksdb", "no fault tolerance"])
def test_a_head_that_is_slow_to_stop_is_never_doubled(
    kube: Kube, namespace: str, storage_class: str, *, keeps_state: bool
) -> None:
    """While a container of the old head runs there is no new one, and the condition says so."""
    options = {"backend": "rocksdb", "storage": {"storageClassName": storage_class}}
    sample = _sample(**({"gcsFaultToleranceOptions": options} if keeps_state else {}))
    [template, _] = manifests.pod_templates(sample)
    image = template["spec"]["containers"][0]["image"]
    lingers = f"trap 'sleep {STOPS_IN}; exit' TERM; while :; do sleep 1 & wait $!; done"
    template["spec"]["terminationGracePeriodSeconds"] = STOPS_IN + 30
    template["spec"]["containers"].append(
        {
            "name": "lingers",
            "image": image,
            "imagePullPolicy": "Never",
            "command": ["bash", "-c", lingers],
        }
    )
    serving = _serving(kube, namespace, "slow", sample)
    service = next(serving)
    [lost] = service.heads()
    with sampling(lambda: _running_heads(service)) as heads:
        watch = Stopwatch()
        service.kube.delete("pods", service.namespace, lost)
        until(lambda: "still stopping" in _head_condition(service), "the condition says why", 20)
        until(service.heads, "a new head comes", STOPS_IN + 60)
        made = watch.seconds
        _wait_recovered(service)
    print(
        f"slow head: the new one was made after {made:.1f} s, recovered after {watch.seconds:.1f} s"
    )
    assert max(map(len, heads)) == 1, heads
    assert made >= STOPS_IN
    next(serving, None)


def _restarts(service: RayService, pod: str) -> int:
    statuses = service.pods()[pod]["status"]["containerStatuses"]
    return next(int(status["restartCount"]) for status in statuses if status["name"] == RAY_HEAD)


def _kill(service: RayService, pod: str) -> None:
    cluster = local_cluster()
    if cluster is None:
        pytest.skip("only a local cluster lets us reach a container's process")
    os.kill(cluster.container_pid(service.namespace, pod, RAY_HEAD), signal.SIGKILL)


def _running_heads(service: RayService) -> list[str]:
    """Names of the head pods that have a running container."""
    selector = f"ray.io/node-type=head,ray.io/cluster={service.active_cluster}"
    pods = service.kube.list("pods", service.namespace, selector)
    return [
        pod["metadata"]["name"]
        for pod in pods
        if any(
            "running" in status["state"] for status in pod["status"].get("containerStatuses", [])
        )
    ]


def _head_condition(service: RayService) -> str:
    found = service.kube.get("rayclusters", service.namespace, service.active_cluster)
    conditions = {condition["type"]: condition for condition in found["status"]["conditions"]}
    message: str = conditions["HeadPodReady"]["message"]
    return message


def _wait_recovered(service: RayService) -> None:
    """Wait until Ray runs the application again on pods that are all ready."""

    def recovered() -> bool:
        report = service.serve_report()
        assert report["applications"]["echo"]["status"] == "RUNNING", report["applications"]
        assert len(service.pods()) == 2, list(service.pods())
        assert all_ready(service.pods())
        return True

    until(recovered, "Ray runs the application again", RECOVERY, every=0.25)
