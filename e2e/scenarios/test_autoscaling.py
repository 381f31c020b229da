"""Two layers of scaling: Serve asks Ray for replicas, and Ray for workers to put them on."""

import copy
from collections.abc import Iterator

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import Question
from scenarios.harness.audit import AuditLog
from scenarios.harness.crowd import Crowd
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.node import claiming_gpus
from scenarios.harness.rayservice import RayService, all_ready
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import Stopwatch, until

IDLE = 10
"""Seconds that a worker is idle before Ray lets it go."""
FEW_USERS, MANY_USERS = 1, 24
"""A user keeps a sixth of a replica busy, so few need one and many need more than there may be.

Ray takes samples and rounds up, so a load that just fits one replica is given a second at times.
"""
FEWEST, MOST = 1, 3
"""Replicas, and workers: each has the one CPU that a replica asks for."""
SCALE_UP = 180.0
SCALE_DOWN = 240.0

ASK = Question("/?seconds=0")

AUTOSCALING = {
    "min_replicas": FEWEST,
    "max_replicas": MOST,
    "target_ongoing_requests": 1,
    "upscale_delay_s": 2,
    "downscale_delay_s": 5,
    "look_back_period_s": 5,
    "metrics_interval_s": 1,
}
AUTOSCALER = {
    "idleTimeoutSeconds": IDLE,
    "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
}


def _busy(name: str, group: Manifest, **deployment: object) -> Manifest:
    """The minimal sample with work to scale, on one worker group that Ray scales.

    `enableInTreeAutoscaling` is not set: `autoscalerOptions` alone ask for Ray's autoscaler.
    """
    minimal = manifests.sample("minimal")
    cluster = minimal["spec"]["rayClusterConfig"]
    [cpu] = cluster["workerGroupSpecs"]
    del cpu["replicas"]
    config = {
        "applications": [
            {
                "name": "busy",
                "import_path": "busy:app",
                "deployments": [{"name": "Busy", "user_config": {"seconds": 0.2}, **deployment}],
            }
        ]
    }
    changed = manifests.with_spec(
        minimal,
        rayClusterDeletionDelaySeconds=5,
        rayClusterConfig={
            **cluster,
            "autoscalerOptions": AUTOSCALER,
            "workerGroupSpecs": [{**cpu, **group}],
        },
    )
    return manifests.with_serve_config({**changed, "metadata": {"name": name}}, config)


SAMPLE = _busy(
    "busy",
    {"replicas": FEWEST, "minReplicas": FEWEST, "maxReplicas": MOST},
    autoscaling_config=AUTOSCALING,
    max_ongoing_requests=2,
    ray_actor_options={"num_cpus": 1},
)


@pytest.fixture(scope="module")
def busy(kube: Kube, namespace: str) -> RayService:
    """One replica on one worker, serving."""
    service = RayService(kube, namespace, "busy")
    service.apply(SAMPLE)
    service.wait_answer(ASK)
    service.wait_ready()
    return service


@pytest.fixture(scope="module")
def crowd(busy: RayService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """Users who never stop asking, few at first."""
    with Crowd(busy.url, tmp_path_factory.mktemp("crowd")).running(FEW_USERS) as users:
        yield users


@pytest.mark.ci
def test_load_brings_replicas_and_workers(
    busy: RayService, crowd: Crowd, operator: OperatorRelease, audit_log: AuditLog
) -> None:
    """Ray alone changes `replicas`: neither an apply nor a new operator takes any back."""
    until(lambda: _is_scaled_to(busy, FEWEST), "one replica has one worker", SCALE_UP)
    since = audit_log.position()
    cluster = busy.active_cluster
    watch = Stopwatch()
    crowd.resize(MANY_USERS)
    until(lambda: _wanted_workers(busy) > FEWEST, "Ray asks for workers", SCALE_UP)
    asked = watch.seconds
    busy.apply(SAMPLE)
    operator.restart()
    assert _wanted_workers(busy) > FEWEST
    until(lambda: _is_scaled_to(busy, MOST), "all replicas have their workers", SCALE_UP)
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


def test_rollout_while_scaled_up(busy: RayService, crowd: Crowd) -> None:
    """The new cluster takes the load of the old one, scales by itself, and no request fails."""
    _scale_up(busy, crowd)
    old = busy.active_cluster
    watch = Stopwatch()
    busy.patch(manifests.with_env(SAMPLE, "COLOUR", "green"))
    new = busy.wait_switched(old)
    switched = watch.seconds
    until(lambda: _is_scaled_to(busy, MOST), "the new cluster is scaled up", SCALE_UP)
    print(f"edit → switched: {switched:.1f} s, new cluster scaled up: {watch.seconds:.1f} s")
    busy.wait_alone()
    busy.wait_ready()
    assert busy.active_cluster == new
    assert crowd.record().by_cluster[new]
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
    until(lambda: _is_scaled_to(busy, FEWEST), "one worker is left", SCALE_DOWN)
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
    manifest = _busy(
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
        assert _wanted_workers(service) == 1
        assert service.ask(ASK)["pod"] == worker


def _scale_up(service: RayService, crowd: Crowd) -> None:
    crowd.resize(MANY_USERS)
    until(lambda: _is_scaled_to(service, MOST), "all replicas have their workers", SCALE_UP)


def _wanted_workers(service: RayService) -> int:
    """`replicas` of the only worker group."""
    [group] = service.worker_groups()
    replicas: int = group["replicas"]
    return replicas


def _is_scaled_to(service: RayService, number: int) -> bool:
    """Whether there are so many replicas, and a ready worker for each and no other."""
    replicas, workers = service.replicas("Busy"), service.workers(service.active_cluster)
    assert len(replicas) == number, f"{len(replicas)} replicas, {len(workers)} workers"
    assert {replica["node_instance_id"] for replica in replicas} == workers.keys(), replicas
    assert _wanted_workers(service) == number
    return all_ready(workers)


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
