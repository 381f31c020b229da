"""Labels and annotations of Ray pods, and what selects pods by them."""

from collections.abc import Mapping

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import fault_tolerance, gang, labels
from rayserve_operator.render.node import Node, runs_service
from rayserve_operator.render.ports import Group, ServeFacts
from rayserve_operator.render.start_command import keeps_command


def pod_labels(node: Node) -> dict[str, str]:
    """The user's labels count more than the application's; what Ray and Services go by counts more than both."""
    fixed = {
        **_place(node.cluster, node.role),
        labels.IS_RAY_NODE: "yes",
        labels.GROUP: node.group_name,
        **gang.pod_labels(node),
    }
    if runs_service(node.cluster):
        # A head takes traffic only when the operator has seen its proxy answer, a worker only where it can have one.
        takes_none = node.is_head or ServeFacts.of(node.cluster).on_head_alone
        fixed[labels.SERVE] = "false" if takes_none else "true"
    return {**node.options.pod_labels, **labels.APP, **_labels_of_user(node.group), **fixed}


def pod_annotations(node: Node) -> dict[str, str]:
    """The user's annotations, and what KubeRay's tools read of a pod."""
    fixed = {labels.OVERWRITE_COMMAND: "true"} if keeps_command(node) else {}
    if node.is_head:
        fixed[labels.FT_ENABLED] = "true" if fault_tolerance.is_fault_tolerant(node.cluster) else "false"
        if space := fault_tolerance.storage_namespace(node.cluster):
            fixed[labels.EXTERNAL_STORAGE_NAMESPACE] = space
    fixed.update(gang.pod_annotations(node))
    return {**node.options.pod_annotations, **_of_template(node.group, "annotations"), **fixed}


def head_selector(cluster: RayCluster) -> dict[str, str]:
    """What finds the head pod of a cluster, and follows the user's override of an application label."""
    own = _labels_of_user(cluster.spec.head_group_spec)
    app = {key: own.get(key, value) for key, value in labels.APP.items()}
    return {**_place(cluster, labels.HEAD), **app}


def worker_selector(cluster: RayCluster) -> dict[str, str]:
    """What finds all workers of a cluster."""
    return {labels.CLUSTER: cluster.meta.name, labels.NODE_TYPE: labels.WORKER}


def _place(cluster: RayCluster, role: str) -> dict[str, str]:
    name = cluster.meta.name
    return {
        labels.CLUSTER: name,
        labels.NODE_TYPE: role,
        labels.IDENTIFIER: labels.check_label(f"{name}-{role}"),
    }


def _labels_of_user(group: Group) -> dict[str, str]:
    return {**_of_template(group, "labels"), **group.labels}


def _of_template(group: Group, key: str) -> Mapping[str, str]:
    return (group.template.get("metadata") or {}).get(key) or {}
