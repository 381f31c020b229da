"""What manifests of many kinds have in common."""

from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.objects import RAY_CLUSTER, RayCluster, owner_reference
from rayserve_operator.render import labels


def of_belonging(cluster: RayCluster, name: str, **more: Any) -> dict[str, Any]:
    """The metadata of an object that belongs to a cluster and goes with it.

    The labels of origin are what the operator's watches are narrowed by; the others are KubeRay's.
    """
    return {
        "name": name,
        "namespace": cluster.meta.namespace,
        "labels": {**labels.APP, **labels.origin(RAY_CLUSTER, cluster.meta.name), labels.CLUSTER: cluster.meta.name},
        "ownerReferences": [owner_reference(RAY_CLUSTER, cluster.meta)],
        **more,
    }


def annotated(manifest: Mapping[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    """The manifest with more annotations."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}}
