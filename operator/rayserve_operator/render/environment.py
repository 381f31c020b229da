"""Environment variables of Ray containers and of the init containers before them. All names are Ray's or KubeRay's."""

from collections.abc import Iterator, Mapping
from typing import Any

from rayserve_operator.model.objects import RAY_CLUSTER, RAY_SERVICE, RayCluster
from rayserve_operator.render import fault_tolerance, labels, names, ports, shutdown
from rayserve_operator.render.containers import with_missing, with_overriding
from rayserve_operator.render.node import Node, runs_service
from rayserve_operator.render.start_command import start_command

Variable = Mapping[str, Any]

_FOR_SERVICES = {
    "RAY_timeout_ms_task_wait_for_death_info": "0",
    "RAY_gcs_server_request_timeout_seconds": "5",
    "RAY_SERVE_KV_TIMEOUT_S": "5",
}
"""Makes Serve notice the loss of a node or of the head within seconds (KubeRay's values)."""


def variable(name: str, value: str) -> Variable:
    """A variable with a value known now."""
    return {"name": name, "value": value}


def from_pod(name: str, path: str) -> Variable:
    """A variable that the kubelet reads from a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def of_ray_container(node: Node) -> list[Variable]:
    """What the user gives, then what identifies the node, then defaults for what the user leaves out.

    The user's stand first, so that `$(VARIABLE)` in flags of `ray start` also resolves in the copy of the command.
    """
    given = with_overriding(node.container.get("env"), _identity(node))
    completed = with_missing(given, [*_defaults(node), *node.options.container_env])
    return with_overriding(completed, [variable("KUBERAY_GEN_RAY_START_CMD", start_command(node))])


def of_init_container(node: Node, container: Mapping[str, Any]) -> list[Variable]:
    """What the user gives, and where the head is."""
    return with_overriding(container.get("env"), _head_address(node))


def authentication(cluster: RayCluster) -> Iterator[Variable]:
    """Whether Ray's processes present a token, and which. Unset would mean whatever Ray finds lying around."""
    auth = cluster.spec.auth_options
    if auth is None or auth.mode is None:
        return
    yield variable("RAY_AUTH_MODE", auth.mode)
    if auth.mode == "token":
        secret = {"name": names.auth_secret_name(cluster), "key": "auth_token"}
        yield {"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": secret}}


def cluster_identity() -> Iterator[Variable]:
    """Which cluster a container belongs to, as its pod's metadata says."""
    yield from_pod("RAY_CLUSTER_NAME", f"metadata.labels['{labels.CLUSTER}']")
    yield from_pod("RAY_CLUSTER_NAMESPACE", "metadata.namespace")


def _identity(node: Node) -> Iterator[Variable]:
    """What Ray's autoscaler and Serve join Ray nodes and pods by; never the user's to change."""
    if not node.is_head:
        yield from _head_address(node)
    yield from cluster_identity()
    yield from_pod("RAY_CLOUD_INSTANCE_ID", "metadata.name")
    yield from_pod("RAY_NODE_TYPE_NAME", f"metadata.labels['{labels.GROUP}']")
    yield from authentication(node.cluster)


def _head_address(node: Node) -> Iterator[Variable]:
    yield variable("FQ_RAY_IP", node.head_address)
    yield variable("RAY_IP", node.head_address.partition(".")[0])


def _defaults(node: Node) -> Iterator[Variable]:
    yield variable("RAY_PORT", str(ports.gcs_port(node.cluster)))
    yield variable("RAY_ADDRESS", node.gcs_address)
    # Ray 2.60 chooses its second autoscaler where this one and the node's identity are set.
    yield variable("RAY_USAGE_STATS_KUBERAY_IN_USE", "1")
    yield variable("RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE", "1")
    if node.is_head:
        kind = RAY_SERVICE if runs_service(node.cluster) else RAY_CLUSTER
        yield variable("RAY_USAGE_STATS_EXTRA_TAGS", f"kuberay_crd={kind}")
        yield from _autoscaler_version(node.cluster)
    if runs_service(node.cluster):
        yield from (variable(name, value) for name, value in _FOR_SERVICES.items())
    yield from fault_tolerance.environment(node)
    yield shutdown.environment(node)


def _autoscaler_version(cluster: RayCluster) -> Iterator[Variable]:
    options = cluster.spec.autoscaler_options
    if cluster.spec.autoscaling and options is not None and options.version is not None:
        yield variable("RAY_enable_autoscaler_v2", "true" if options.version == "v2" else "false")
