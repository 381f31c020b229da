"""How many of a cluster's serving workers Kubernetes may evict at a time."""

from typing import Any

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels, names
from rayserve_operator.render.manifests import of_belonging
from rayserve_operator.render.metadata import worker_selector


def worker_budget(cluster: RayCluster, min_available: int) -> dict[str, Any]:
    """A PodDisruptionBudget for the workers that serve; never for the head, which could then not be moved at all.

    An integer is the only form that Kubernetes takes for pods whose controller has no scale subresource.
    """
    name = cluster.meta.name
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": of_belonging(cluster, names.worker_budget_name(name)),
        "spec": {
            "minAvailable": min_available,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {**worker_selector(cluster), labels.SERVE: "true"}},
        },
    }
