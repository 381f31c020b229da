"""Whether Ray's autoscaler is on, where the spec leaves it open.

autoscalerOptions alone turn it on. KubeRay takes them for nothing then, so a cluster that it made stays as it is until
its next cluster: the clusters of our RayServices always say what they mean, and any other is known by its head.
"""

from __future__ import annotations

from dataclasses import replace

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.planning.observed import ObservedRayCluster
from rayserve_operator.render import autoscaler
from rayserve_operator.render.node import runs_service


def settled(observed: ObservedRayCluster) -> RayCluster:
    """The cluster with an `enableInTreeAutoscaling` that says what is so."""
    cluster = observed.cluster
    if cluster.spec.enable_in_tree_autoscaling is not None:
        return cluster
    head = next((pod for pod in observed.heads if pod.alive), None)
    is_adopted = runs_service(cluster) or (head is not None and autoscaler.CONTAINER not in head.names)
    is_on = cluster.spec.autoscaling and not is_adopted
    return replace(cluster, spec=cluster.spec.model_copy(update={"enable_in_tree_autoscaling": is_on}))


def told(spec: RayClusterSpec) -> str:
    """What is to be told of a cluster whose autoscaler is on although the spec does not say so; else nothing."""
    if spec.enable_in_tree_autoscaling is not None or not spec.autoscaling:
        return ""
    return "; autoscalerOptions turn Ray's autoscaler on (enableInTreeAutoscaling: false would keep it off)"
