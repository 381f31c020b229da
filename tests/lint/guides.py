"""The cases of the guides to Ray Serve on Kubernetes, as manifests, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Manifest = dict[str, Any]


def pod(cpu: int, memory: str, **limits: Any) -> Manifest:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory, **limits}}
    return {"spec": {"containers": [{"name": "ray", "image": "ray", "resources": resources}]}}


def group(template: Manifest, least: int, most: int, name: str = "workers") -> Manifest:
    return {"groupName": name, "replicas": least, "minReplicas": least, "maxReplicas": most, "template": template}


def service(
    deployments: list[dict[str, Any]], *groups: dict[str, Any], autoscaling: bool = True, ray: str = "2.60.0"
) -> Manifest:
    head = {"rayStartParams": {"num-cpus": "0"}, "template": pod(4, "8Gi")}
    config = {"applications": [{"import_path": "app:app", "deployments": deployments}]}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "guide"},
        "spec": {
            "serveConfigV2": yaml.safe_dump(config),
            "rayClusterConfig": {
                "rayVersion": ray,
                "enableInTreeAutoscaling": autoscaling,
                "headGroupSpec": head,
                "workerGroupSpecs": list(groups),
            },
        },
    }


def actor(**options: Any) -> Manifest:
    return {"ray_actor_options": options}


def gib(amount: int) -> int:
    return amount * 1024**3


def ten_replicas() -> Manifest:
    """Of 1 CPU each, where the group has 8."""
    model = {"name": "Model", "num_replicas": 10, **actor(num_cpus=1)}
    return service([model], group(pod(4, "16Gi"), 2, 2), autoscaling=False)


def two_hundred_replicas() -> Manifest:
    """From none, where the group can hold 80."""
    scaling = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 200, "target_ongoing_requests": 1}
    model = {"name": "Model", "max_ongoing_requests": 2, "autoscaling_config": scaling, **actor(num_cpus=1)}
    return service([model], group(pod(8, "64Gi"), 0, 10))


def fourteen_above_ten(ray: str = "2.60.0") -> Manifest:
    """As many ongoing requests as are right, in the names of an older Ray."""
    scaling = {"target_num_ongoing_requests_per_replica": 10, "min_replicas": 0, "max_replicas": 20}
    model = {"name": "Model", "max_concurrent_queries": 14, "autoscaling_config": scaling, **actor(num_cpus=1)}
    return service([model], group(pod(8, "16Gi"), 1, 3), ray=ray)


def pipeline(embedders: int = 3) -> Manifest:
    """Three embedders and a ranker on one pod with a GPU, which has room for just these."""
    embedder = {"name": "Embedder", "num_replicas": embedders, **actor(num_cpus=2, memory=gib(4))}
    ranker = {"name": "Ranker", "num_replicas": 1, "max_surge_percent": 100}
    whole = group(pod(8, "24Gi", **{"nvidia.com/gpu": 1}), 1, 1)
    return service([embedder, {**ranker, **actor(num_cpus=2, num_gpus=1, memory=gib(8))}], whole)


def quarters(replicas: int) -> Manifest:
    """So many replicas of a quarter of a GPU each, on one."""
    light = {"name": "Light", "num_replicas": replicas, **actor(num_cpus=1, num_gpus=0.25)}
    return service([light], group(pod(8, "16Gi", **{"nvidia.com/gpu": 1}), 1, 1))


@dataclass(frozen=True)
class Told:
    """A case, and what is told of it when it is applied."""

    manifest: Manifest
    warnings: tuple[str, ...] = ()
    """A code and some words of each."""
    refused: str = ""


TOLD: Mapping[str, Told] = {
    "ten replicas of 1 CPU, 8 cores": Told(ten_replicas(), ("RS203", "there is room for 8 of them")),
    "0 to 200 replicas, 80 cores": Told(
        two_hundred_replicas(),
        ("RS204", "there is room for 80 replicas", "RS302", "the first request waits up to 10 s"),
    ),
    "14 ongoing above 10, in retired names": Told(
        fourteen_above_ten(), refused="max_concurrent_queries is retired, and Ray drops it; write max_ongoing_requests"
    ),
    "the same, of a Ray that is not modelled": Told(
        fourteen_above_ten("2.40.0"), ("RS105", "write target_ongoing_requests", "write max_ongoing_requests")
    ),
    "3 x (2 CPU, 4 GB) + 1 x (1 GPU, 2 CPU, 8 GB) on one pod": Told(pipeline()),
    "0.25 GPU x 4 on one": Told(quarters(4)),
    "0.25 GPU x 5 on one": Told(quarters(5), ("RS203", "there is room for 4 of them")),
}
