"""Ray's autoscaler: the container beside the head that changes the worker groups' replicas."""

from collections.abc import Mapping
from typing import Any, Final

from rayserve_operator.model.raycluster import AutoscalerOptions
from rayserve_operator.render import environment
from rayserve_operator.render.containers import with_missing, with_overriding, without_empty
from rayserve_operator.render.node import Node

CONTAINER: Final = "autoscaler"
"""Name of its container (KubeRay's)."""

_COMMAND = "ray kuberay-autoscaler --cluster-name $(RAY_CLUSTER_NAME) --cluster-namespace $(RAY_CLUSTER_NAMESPACE)"
_RESOURCES = {"cpu": "500m", "memory": "512Mi"}
_LOGS = "/tmp/ray"  # noqa: S108 (Ray's own choice, inside the container.)
_LOG_VOLUME = "ray-logs"


def is_wanted(node: Node) -> bool:
    """Whether the pod of this node has the autoscaler beside Ray."""
    return node.is_head and node.cluster.spec.autoscaling


def container(node: Node) -> dict[str, Any]:
    """The autoscaler's container (KubeRay's, apart from what the cluster's autoscalerOptions say)."""
    options = node.cluster.spec.autoscaler_options or AutoscalerOptions()
    return {
        "name": CONTAINER,
        "image": options.image or node.container.get("image"),
        "imagePullPolicy": options.image_pull_policy or "IfNotPresent",
        "command": options.command or ["/bin/bash", "-c", "--"],
        "args": options.args or [_COMMAND],
        "resources": options.resources or {"requests": _RESOURCES, "limits": _RESOURCES},
        "env": _environment(node, options),
        "volumeMounts": [*_mounts_of_user(node), *mounts(node), *options.volume_mounts],
        **without_empty({"envFrom": options.env_from, "securityContext": options.security_context}),
    }


def mounts(node: Node) -> list[Mapping[str, Any]]:
    """Where the Ray container mounts its logs for the autoscaler to add to, unless the user mounts a volume there."""
    if not is_wanted(node) or _mounts_of_user(node):
        return []
    return [{"name": _LOG_VOLUME, "mountPath": _LOGS}]


def volumes(node: Node) -> list[Mapping[str, Any]]:
    """The volume of the logs."""
    return [{"name": mount["name"], "emptyDir": {}} for mount in mounts(node)]


def _mounts_of_user(node: Node) -> list[Mapping[str, Any]]:
    return [mount for mount in node.container.get("volumeMounts") or () if mount.get("mountPath") == _LOGS]


def _environment(node: Node, options: AutoscalerOptions) -> list[environment.Variable]:
    ours = [
        *environment.cluster_identity(),
        environment.from_pod("RAY_HEAD_POD_NAME", "metadata.name"),
        environment.variable("KUBERAY_CRD_VER", "v1"),
        *environment.authentication(node.cluster),
        environment.variable("KUBERAY_GEN_AUTOSCALER_START_CMD", _COMMAND),
    ]
    return with_missing(with_overriding(ours, options.env), node.options.container_env)
