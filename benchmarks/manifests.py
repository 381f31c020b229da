"""The RayServices that are measured, their edits, and the nodes that their pods run on."""

from __future__ import annotations

from functools import cache
from typing import Any

from scenarios.harness import manifests
from scenarios.harness.kube import Manifest

WORKERS = 2
PODS = 1 + WORKERS
"""Pods of one RayService."""

SERVICE = "benchmark/service"
"""Label of every pod, by way of the pod templates: the RayService that it is for."""
METRICS_PORT = 9080
"""Ray's own, 8080, is where operators like to listen, who here share one network with all pods."""
DELETION_DELAY = 1
"""Seconds between the switch and the end of the old cluster, as far as they can be chosen."""

OF_A_NAMESPACE = 100
"""RayServices: what Kubernetes' own controllers do for a Service takes the longer, the more pods its namespace has."""

PODS_OF_A_NODE = 500
CLUSTERS_AT_ONCE = 2
"""Clusters that one RayService has in the middle of a rollout."""


def many(kind: str, count: int) -> list[str]:
    """Names for so many RayServices."""
    return [f"{kind}-{number:04}" for number in range(count)]


def home(name: str) -> str:
    """Namespace of a RayService that has such a name."""
    kind, _, number = name.rpartition("-")
    return f"{kind}-{int(number) // OF_A_NAMESPACE:02}"


def ray_service(name: str, namespace: str, *, edit: int = 0, round_: int = 0) -> Manifest:
    """A RayService.

    Args:
        name: its name.
        namespace: its namespace.
        edit: number of the in-place edit, which stands in the Serve config.
        round_: number of the rollout, which stands in the pod templates.
    """
    manifest = {**_sample(), "metadata": {"name": name, "namespace": namespace}}
    manifest = manifests.with_spec(manifest, rayClusterDeletionDelaySeconds=DELETION_DELAY)
    manifest = manifests.with_workers(manifest, replicas=WORKERS, minReplicas=WORKERS, maxReplicas=WORKERS)
    manifest = manifests.with_env(manifest, "ROUND", str(round_))
    cluster = manifest["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        group["rayStartParams"]["metrics-export-port"] = str(METRICS_PORT)
        group["template"]["metadata"] = {"labels": {SERVICE: name}}
    return manifests.with_user_config(manifest, "Echo", service=name, edit=edit)


@cache
def _sample() -> Manifest:
    return manifests.sample("minimal")


def serve_edit(name: str, edit: int) -> dict[str, Any]:
    """The patch of an in-place edit."""
    return {"spec": {"serveConfigV2": ray_service(name, "", edit=edit)["spec"]["serveConfigV2"]}}


def cluster_edit(name: str, round_: int) -> dict[str, Any]:
    """The patch of an edit that takes a new cluster."""
    return {"spec": {"rayClusterConfig": ray_service(name, "", round_=round_)["spec"]["rayClusterConfig"]}}


def told_edit(config: dict[str, Any]) -> tuple[str, int] | None:
    """The RayService and the number of the edit that a Serve config speaks of; None where it is not one of these."""
    try:
        told = config["applications"][0]["deployments"][0]["user_config"]
        return str(told["service"]), int(told["edit"])
    except (LookupError, TypeError, ValueError):
        return None


def nodes_for(services: int) -> list[Manifest]:
    """Nodes with room for the pods of so many RayServices in the middle of a rollout."""
    pods = services * PODS * CLUSTERS_AT_ONCE
    return [_node(f"node-{number}") for number in range(pods // PODS_OF_A_NODE + 2)]


def _node(name: str) -> Manifest:
    room = {"cpu": "1000", "memory": "4Ti", "pods": str(PODS_OF_A_NODE)}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": room, "allocatable": room},
    }
