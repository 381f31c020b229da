"""The pods of a Ray cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayserve_operator.model.objects import RAY_CLUSTER, RayCluster, owner_reference
from rayserve_operator.model.raycluster import WorkerGroupSpec
from rayserve_operator.model.resources import memory_limit, mirrored_resources, with_mirrored_limits
from rayserve_operator.render import (
    autoscaler,
    environment,
    fault_tolerance,
    gang,
    labels,
    names,
    ports,
    shutdown,
    tls,
    waiting,
)
from rayserve_operator.render.containers import with_missing, without_empty
from rayserve_operator.render.metadata import pod_annotations, pod_labels
from rayserve_operator.render.node import Node
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.render.ports import dashboard_port, serve_port
from rayserve_operator.render.probes import probes
from rayserve_operator.render.start_command import container_command, start_params

__all__ = ["Host", "dashboard_port", "head_pod", "mirrored_resources", "serve_port", "worker_pod"]

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (Where Ray's object store lives, inside the container.)


@dataclass(frozen=True, slots=True)
class Host:
    """The place of a worker pod in its group, as KubeRay numbers it."""

    replica: int
    """Which replica of the group."""
    replica_name: str | None = None
    """Common to the pods of one replica that has several hosts."""
    index: int = 0
    """Which host of that replica."""


def head_pod(cluster: RayCluster, options: RenderOptions) -> dict[str, Any]:
    """The head pod, but for its name."""
    return _pod(Node(cluster, cluster.spec.head_group_spec, options))


def worker_pod(
    cluster: RayCluster, group: WorkerGroupSpec, options: RenderOptions, host: Host | None = None
) -> dict[str, Any]:
    """A worker pod of a group, but for its name."""
    return _pod(Node(cluster, group, options), _host_labels(host))


def _pod(node: Node, more_labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": node.cluster.meta.namespace,
            "labels": {**pod_labels(node), **(more_labels or {})},
            **without_empty({"annotations": pod_annotations(node)}),
            "ownerReferences": [owner_reference(RAY_CLUSTER, node.cluster.meta)],
        },
        "spec": _spec(node),
    }


def _host_labels(host: Host | None) -> dict[str, str]:
    if host is None:
        return {}
    numbered = {labels.REPLICA_INDEX: str(host.replica)}
    if host.replica_name is None:
        return numbered
    return {**numbered, labels.REPLICA_NAME: host.replica_name, labels.HOST_INDEX: str(host.index)}


def _spec(node: Node) -> dict[str, Any]:
    given = node.group.template.get("spec") or {}
    return {
        **given,
        **gang.pod_spec(node),
        **fault_tolerance.pod_security(node),
        "containers": _containers(node, given),
        **without_empty(
            {
                "initContainers": _init_containers(node, given),
                "volumes": with_missing(given.get("volumes"), _volumes(node)),
            }
        ),
        **_service_account(node),
        **_restart_policy(node),
        "terminationGracePeriodSeconds": shutdown.grace_seconds(node),
    }


def _containers(node: Node, given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    beside = [with_mirrored_limits(container) for container in given["containers"][1:]]
    scaling = [autoscaler.container(node)] if autoscaler.is_wanted(node) else []
    ray, *added = (tls.secured(node.cluster, container) for container in (_ray_container(node), *scaling))
    return [ray, *beside, *added]


def _ray_container(node: Node) -> dict[str, Any]:
    given = node.container
    mounts = [*_shared_memory_mounts(node), *autoscaler.mounts(node), *fault_tolerance.mounts(node)]
    return {
        **given,
        **container_command(node),
        "env": environment.of_ray_container(node),
        "ports": _container_ports(node),
        **without_empty({"volumeMounts": with_missing(given.get("volumeMounts"), mounts, key="mountPath")}),
        **probes(node),
        # The pod's status then holds the last words of a crash.
        "terminationMessagePolicy": given.get("terminationMessagePolicy") or "FallbackToLogsOnError",
    }


def _container_ports(node: Node) -> list[Mapping[str, Any]]:
    """The user's ports and one named `metrics`, which KubeRay's pod monitors scrape."""
    declared = ports.declared_ports(node.group)
    metrics = {"name": ports.METRICS, "containerPort": ports.metrics_port(node.group)}
    numbers = {port["containerPort"] for port in declared}
    return declared if metrics["containerPort"] in numbers else with_missing(declared, [metrics])


def _init_containers(node: Node, given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    own: list[Mapping[str, Any]] = [
        {**with_mirrored_limits(container), "env": environment.of_init_container(node, container)}
        for container in given.get("initContainers") or ()
    ]
    waits = not node.is_head and node.options.wait_for_head
    waiting_for_head = [tls.secured(node.cluster, waiting.container(node))] if waits else []
    return [*tls.init_containers(node), *own, *waiting_for_head]


def _volumes(node: Node) -> list[Mapping[str, Any]]:
    # Ray sizes its object store by the memory limit, or by the whole machine where there is none, and would move it
    # to disk if this volume were smaller. So a mere request does not limit it, unlike in KubeRay.
    emptied = {"emptyDir": without_empty({"medium": "Memory", "sizeLimit": memory_limit(node.container)})}
    shared_memory = [{"name": mount["name"], **emptied} for mount in _shared_memory_mounts(node)]
    return [*shared_memory, *autoscaler.volumes(node), *fault_tolerance.volumes(node), *tls.volumes(node)]


def _shared_memory_mounts(node: Node) -> list[Mapping[str, Any]]:
    """Where Ray's object store lives, unless the user has placed it: containers get 64 MiB there by default."""
    mounted = {mount.get("mountPath") for mount in node.container.get("volumeMounts") or ()}
    if _SHARED_MEMORY in mounted or "plasma-directory" in start_params(node):
        return []
    return [{"name": "shared-mem", "mountPath": _SHARED_MEMORY}]


def _service_account(node: Node) -> dict[str, str]:
    return {"serviceAccountName": names.service_account_name(node.cluster)} if autoscaler.is_wanted(node) else {}


def _restart_policy(node: Node) -> dict[str, str]:
    """Workers that Ray scales end for good (Ray's contract).

    When the autoscaler has drained a worker, its raylet exits but the container stays, so that a restart would bring
    the node back. Only Ray's first autoscaler does without this. The head may restart in place: what runs beside it
    must.
    """
    options = node.cluster.spec.autoscaler_options
    first_version = options is not None and options.version == "v1"
    if node.is_head or not node.cluster.spec.autoscaling or first_version:
        return {}
    return {"restartPolicy": "Never"}
