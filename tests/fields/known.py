"""What no plan can show, field by field and each with its reason. Whatever can be computed is not listed here."""

from __future__ import annotations

from collections.abc import Mapping

READ_BY_RAY: Mapping[str, str] = {
    "workerGroupSpecs[].replicas": "it sets them",
    "workerGroupSpecs[].minReplicas": "it keeps as many",
    "workerGroupSpecs[].maxReplicas": "it asks for no more",
    "workerGroupSpecs[].idleTimeoutSeconds": "it removes a worker of the group that has been idle for as long",
    "workerGroupSpecs[].priority": "of the groups that fit it takes the one of the highest priority",
    "workerGroupSpecs[].scaleStrategy.workersToDelete": "it names the idle workers",
    "autoscalerOptions.idleTimeoutSeconds": "it removes a worker that has been idle for as long",
    "autoscalerOptions.upscalingMode": "it limits how many workers it adds at a time",
}
"""What Ray's autoscaler reads from the RayCluster itself, and what it does with it."""

DEAD: Mapping[str, str] = {
    "rayVersion": "nothing: it is for dashboards and tools, and the image decides which Ray runs",
    "serviceUnhealthySecondThreshold": "nothing, as in KubeRay",
    "deploymentUnhealthySecondThreshold": "nothing, as in KubeRay",
}
"""What is accepted, because manifests have it, and changes nothing."""
