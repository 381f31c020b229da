"""What Ray's autoscaler may do: see the pods of its namespace, and scale its own cluster.

KubeRay grants more. These rights are what Ray needs (Ray's contract); those to resize pods in place only where the
cluster is annotated for it.
"""

from typing import Any

from rayserve_operator.model.objects import GROUP, RayCluster
from rayserve_operator.render import labels, names
from rayserve_operator.render.manifests import of_belonging

_RBAC_GROUP = "rbac.authorization.k8s.io"


def service_account(cluster: RayCluster) -> dict[str, Any] | None:
    """The autoscaler's ServiceAccount; None where the user names one, which is then the user's to make."""
    if (cluster.spec.head_group_spec.template.get("spec") or {}).get("serviceAccountName"):
        return None
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": of_belonging(cluster, names.service_account_name(cluster)),
    }


def role(cluster: RayCluster) -> dict[str, Any]:
    """The autoscaler's Role."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {
            "apiGroups": [GROUP],
            "resources": ["rayclusters"],
            "resourceNames": [cluster.meta.name],
            "verbs": ["get", "patch"],
        },
    ]
    if labels.IN_PLACE_RESIZE in cluster.meta.annotations:
        rules.append({"apiGroups": [""], "resources": ["pods", "pods/resize"], "verbs": ["patch"]})
    return {
        "apiVersion": f"{_RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": of_belonging(cluster, names.permissions_name(cluster.meta.name)),
        "rules": rules,
    }


def role_binding(cluster: RayCluster) -> dict[str, Any]:
    """Gives the Role to the ServiceAccount."""
    account = names.service_account_name(cluster)
    name = names.permissions_name(cluster.meta.name)
    return {
        "apiVersion": f"{_RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": of_belonging(cluster, name),
        "roleRef": {"apiGroup": _RBAC_GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": cluster.meta.namespace}],
    }
