"""The Secret with the token that all processes of a cluster's Ray, and all its callers, present."""

from typing import Any, Final

from rayserve_operator.model.objects import RAY_CLUSTER, RayCluster, owner_reference
from rayserve_operator.render import labels, names

TOKEN_KEY: Final = "auth_token"  # noqa: S105 (The name of a key.)
"""The key under which the Secret holds the token (KubeRay's)."""


def token_secret(cluster: RayCluster) -> dict[str, Any] | None:
    """The Secret but for the token itself; None where none is asked for, or the user names one."""
    auth = cluster.spec.auth_options
    if auth is None or auth.mode != "token" or auth.secret_name:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": names.auth_secret_name(cluster),
            "namespace": cluster.meta.namespace,
            "labels": {**labels.origin(RAY_CLUSTER, cluster.meta.name), labels.CLUSTER: cluster.meta.name},
            "ownerReferences": [owner_reference(RAY_CLUSTER, cluster.meta)],
        },
    }
