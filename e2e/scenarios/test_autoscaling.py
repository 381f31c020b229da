"""Two layers of scaling: Serve asks Ray for replicas, and Ray for workers to put them on."""

import copy

import pytest

from scenarios.harness import manifests
from scenarios.harness.audit import AuditLog
from scenarios.harness.busy import (
    ASK,
    FEW_USERS,
    FEWEST,
    MANY_USERS,
    MOST,
    SAMPLE,
    SCALE_UP,
    is_scaled_to,
    scaled_service,
    wanted_workers,
)
from scenarios.harness.crowd import Crowd
from scenarios.harness.kube import Kube
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.node import claiming_gpus
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import Stopwatch, until

SCALE_DOWN = 240.0


@pytest.mark.ci
def test_load_brings_replicas_and_workers(
    busy: RayService, crowd: Crowd, operator: OperatorRelease, audit_log: AuditLog
) -> None:
    """Ray alone changes `replicas`: neither an apply nor a new operator takes any back."""
    until(lambda: is_scaled_to(busy, FEWEST), "one replica has one worker", SCALE_UP)
    since = audit_log.position()
    cluster = busy.active_cluster
    watch = Stopwatch()
    crowd.resize(MANY_USERS)
    until(lambda: wanted_workers(busy) > FEWEST, "Ray asks for workers", SCALE_UP)
    asked = watch.seconds
    busy.apply(SAMPLE)
    operator.restart()
    assert wanted_workers(busy) > FEWEST
    until(lambda: is_scaled_to(busy, MOST), "all replicas have their workers", SCALE_UP)
    print(f"more users → workers asked for: {asked:.1f} s, all there: {watch.seconds:.1f} s")
    assert busy.clusters == [cluster]
    _assert_only_ray_scaled(busy, audit_log, since)
    _assert_none_failed(crowd)


@pytest.mark.ci
def test_edit_of_the_limits_leaves_the_replicas_to_ray(busy: RayService, crowd: Crowd) -> None:
    """A worker group's `maxReplicas` changes in place; its `replicas`, as Ray has set it, stays."""
    _scale_up(busy, crowd)
    cluster, workers = busy.active_cluster, busy.workers().keys()
    edited = copy.deepcopy(SAMPLE)
    [group] = edited["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    group["maxReplicas"] = MOST + 1
    busy.patch(edited)
    until(lambda: busy.worker_groups()[0]["maxReplicas"] == MOST + 1, "the limit is raised", 30)
    busy.wait_ready()
    assert busy.worker_groups()[0]["replicas"] == MOST
    assert busy.active_cluster == cluster
    assert busy.workers().keys() == workers
    _assert_none_failed(crowd)


@pytest.mark.ci
def test_idle_workers_go(busy: RayService, crowd: Crowd, audit_log: AuditLog) -> None:
    """Fewer users need fewer replicas; the workers left idle go, and `minReplicas` stay."""
    _scale_up(busy, crowd)
    since = audit_log.position()
    watch = Stopwatch()
    crowd.resize(FEW_USERS)
    until(lambda: len(busy.replicas("Busy")) == FEWEST, "one replica is left", SCALE_DOWN)
    fewer = watch.seconds
    until(lambda: is_scaled_to(busy, FEWEST), "one worker is left", SCALE_DOWN)
    print(f"fewer users → one replica: {fewer:.1f} s, one worker: {watch.seconds:.1f} s")
    _assert_only_ray_scaled(busy, audit_log, since)
    _assert_none_failed(crowd)


@pytest.mark.ci
def test_gpu_group_scales_from_zero(kube: Kube) -> None:
    """Two replicas of half a GPU each bring one pod with one GPU, and share it."""
    gpu = {
        "groupName": "gpu",
        "minReplicas": 0,
        "maxReplicas": 2,
        "rayStartParams": {"num-cpus": "0", "object-store-memory": "100000000"},
    }
    manifest = scaled_service(
        "shared", gpu, num_replicas=2, ray_actor_options={"num_cpus": 0, "num_gpus": 0.5}
    )
    [_, template] = manifests.pod_templates(manifest)
    template["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "1"
    with claiming_gpus(kube, 2), fresh_namespace(kube, "autoscaling-gpu") as namespace:
        service = RayService(kube, namespace, "shared")
        watch = Stopwatch()
        service.apply(manifest)
        until(lambda: len(service.heads()) == 1, "the head comes", 60)
        assert not service.workers()
        service.wait_answer(ASK)
        until(lambda: len(service.replicas("Busy")) == 2, "both replicas run", SCALE_UP)
        print(f"apply → both replicas on a GPU: {watch.seconds:.1f} s")
        service.wait_ready()
        [worker] = service.workers()
        replicas = service.replicas("Busy")
        assert {replica["node_instance_id"] for replica in replicas} == {worker}, replicas
        assert wanted_workers(service) == 1
        assert service.ask(ASK)["pod"] == worker


def _scale_up(service: RayService, crowd: Crowd) -> None:
    crowd.resize(MANY_USERS)
    until(lambda: is_scaled_to(service, MOST), "all replicas have their workers", SCALE_UP)


def _assert_only_ray_scaled(service: RayService, audit_log: AuditLog, since: int) -> None:
    """Nobody but Ray's autoscaler has changed a RayCluster."""
    accounts = {
        f"system:serviceaccount:{service.namespace}:{head['spec']['serviceAccountName']}"
        for head in service.heads().values()
    }
    writers = audit_log.writers(since, "rayclusters", service.namespace)
    assert writers.keys() == accounts, writers


def _assert_none_failed(crowd: Crowd) -> None:
    """The users still ask, and each has had a good answer each time."""
    sent = crowd.record().sent
    until(lambda: crowd.record().sent > sent, "the users still ask", 30)
    record = crowd.record()
    print(f"{record.sent} requests, {len(record.failed)} failed; slowest: {record.longest:.2f} s")
    assert not record.failed, record.explain()
