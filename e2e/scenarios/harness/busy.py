"""A service with work to scale, in two layers: Serve asks Ray for replicas, and Ray for workers."""

from typing import Any

from scenarios.harness import manifests
from scenarios.harness.asking import Question
from scenarios.harness.kube import Manifest
from scenarios.harness.rayservice import RayService, all_ready

DEPLOYMENT = "Busy"
ASK = Question("/?seconds=0")
IDLE = 10
"""Seconds that a worker is idle before Ray lets it go."""
FEW_USERS, MANY_USERS = 1, 24
"""A user keeps a sixth of a replica busy, so few need one and many need more than there may be.

Ray takes samples and rounds up, so a load that just fits one replica is given a second at times.
"""
FEWEST, MOST = 1, 3
"""Replicas, and workers: each has the one CPU that a replica asks for."""
SCALE_UP = 180.0

_AUTOSCALING = {
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


def scaled_service(name: str, group: Manifest, **deployment: Any) -> Manifest:
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
                "deployments": [
                    {"name": DEPLOYMENT, "user_config": {"seconds": 0.2}, **deployment}
                ],
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


SAMPLE = scaled_service(
    "busy",
    {"replicas": FEWEST, "minReplicas": FEWEST, "maxReplicas": MOST},
    autoscaling_config=_AUTOSCALING,
    max_ongoing_requests=2,
    ray_actor_options={"num_cpus": 1},
)


def wanted_workers(service: RayService, cluster: str | None = None) -> int:
    """`replicas` of the only worker group of a cluster, the active one unless told."""
    [group] = service.worker_groups(cluster)
    replicas: int = group["replicas"]
    return replicas


def is_scaled_to(service: RayService, number: int, cluster: str | None = None) -> bool:
    """Whether a cluster has so many replicas, and a ready worker for each and no other."""
    cluster = cluster or service.active_cluster
    replicas, workers = service.replicas(DEPLOYMENT, cluster), service.workers(cluster)
    assert len(replicas) == number, f"{len(replicas)} replicas, {len(workers)} workers"
    assert {replica["node_instance_id"] for replica in replicas} == workers.keys(), replicas
    assert wanted_workers(service, cluster) == number
    return all_ready(workers)
