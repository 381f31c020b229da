"""The Secret with the token that all processes of a cluster's Ray, and all its callers, present."""

from typing import Any, Final

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import names
from rayserve_operator.render.manifests import of_belonging

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
        "metadata": of_belonging(cluster, names.auth_secret_name(cluster)),
    }
