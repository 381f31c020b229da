"""Names of child objects: KubeRay's where it has one, so that what points at them by name keeps working.

A RayService's name has at most 47 characters and a RayCluster's at most 53, and every name made from them here stays
within the 63 that Kubernetes allows, but for those of mutual TLS, whose kinds may have 253.
"""

import hashlib
import json
from typing import Final

from rayserve_operator.model.objects import RayCluster, RayService
from rayserve_operator.model.raycluster import GcsFaultToleranceOptions
from rayserve_operator.render.labels import check_name

NAME_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""The characters of generated names, as Kubernetes draws them: without vowels, so that no word appears."""

_CLUSTER_CHARACTERS = 5
_REVISION_CHARACTERS = 10
_POD_STEM_LENGTH = 50
_LABEL_LENGTH = 63


def ray_cluster_name(service_name: str, uid: str, part_digest: str, attempt: int) -> str:
    """Name of the RayCluster that a RayService makes for a cluster part.

    Args:
        service_name: the RayService.
        uid: its uid, so that a namesake made later never meets the remains of an earlier one.
        part_digest: stands for all of the spec that cannot change in place.
        attempt: counts the clusters made for this part, so that no name comes twice.
    """
    return f"{service_name}-{_drawn(_CLUSTER_CHARACTERS, uid, part_digest, attempt)}"


def revision_name(service_name: str, uid: str, digest: str) -> str:
    """Name of the ControllerRevision of a RayService that holds the content with this digest."""
    return f"{service_name}-{_drawn(_REVISION_CHARACTERS, uid, digest)}"


def head_pod_prefix(cluster_name: str) -> str:
    """Name of a head pod but for its last five characters, which the engine draws."""
    return f"{cluster_name[:_POD_STEM_LENGTH]}-head-".lower()


def worker_pod_prefix(cluster_name: str, group_name: str) -> str:
    """Name of a worker pod but for its last five characters, which the engine draws."""
    stem = f"{cluster_name}-{group_name}"[:_POD_STEM_LENGTH]
    return f"{stem}-worker-".lower()


def replica_name(group_name: str, uid: str, index: int, made_at: str) -> str:
    """What the hosts of one replica of a multi-host group have in common; a later replica has another.

    Args:
        group_name: the worker group.
        uid: of the RayCluster.
        index: the replica's number in its group.
        made_at: when it is made.
    """
    return f"{group_name}-{_drawn(_CLUSTER_CHARACTERS, uid, group_name, index, made_at)}"


def head_service_name(cluster: RayCluster) -> str:
    """The Service under which workers, clients and the operator find the head of one RayCluster."""
    custom = cluster.spec.head_group_spec.head_service or {}
    return str((custom.get("metadata") or {}).get("name") or f"{cluster.meta.name}-head-svc")


def stable_head_service_name(service_name: str) -> str:
    """The Service that leads to the head of whichever cluster is active."""
    return f"{service_name}-head-svc"


def serve_service_name(service: RayService) -> str:
    """The Service that clients of a RayService use."""
    custom = service.spec.serve_service or {}
    return str((custom.get("metadata") or {}).get("name") or f"{service.meta.name}-serve-svc")


def preview_service_name(service_name: str) -> str:
    """The Service that leads to a new cluster before it takes over."""
    return f"{service_name}-preview-svc"


def cluster_serve_service_name(cluster_name: str) -> str:
    """The Service that leads to the Serve proxies of one RayCluster."""
    return f"{cluster_name}-serve-svc"


def gateway_name(service_name: str) -> str:
    """The Gateway that is made for a RayService."""
    return f"{service_name}-gateway"


def http_route_name(service: RayService) -> str:
    """The HTTPRoute that shares the traffic of a RayService: the user's where one is named, else its own."""
    options = service.spec.route_options
    given = None if options is None else options.http_route
    return given or f"{service.meta.name}-httproute"


def headless_worker_service_name(cluster_name: str) -> str:
    """The Service by which the hosts of one multi-host replica find each other."""
    return f"{cluster_name}-headless"


def permissions_name(cluster_name: str) -> str:
    """Name of the autoscaler's Role and RoleBinding, and of its ServiceAccount where the user names none."""
    return check_name(cluster_name)


def service_account_name(cluster: RayCluster) -> str:
    """The ServiceAccount that the autoscaler runs as."""
    named = (cluster.spec.head_group_spec.template.get("spec") or {}).get("serviceAccountName")
    return str(named or permissions_name(cluster.meta.name))


def auth_secret_name(cluster: RayCluster) -> str:
    """The Secret whose key `auth_token` holds the token that Ray's processes present to each other."""
    auth = cluster.spec.auth_options
    return (auth.secret_name if auth else None) or check_name(cluster.meta.name)


def token_secret_name(cluster: RayCluster) -> str | None:
    """The Secret with the token that every caller of the cluster's Ray must present; None where none is asked for."""
    auth = cluster.spec.auth_options
    return auth_secret_name(cluster) if auth is not None and auth.mode == "token" else None


def gcs_claim_name(cluster_name: str, options: GcsFaultToleranceOptions) -> str:
    """The volume claim of the GCS's embedded storage: the user's `storage.claimName`, else the cluster's own."""
    return str((options.storage or {}).get("claimName") or f"{cluster_name}-gcs-pvc")


def pki_name(cluster_name: str, part: str) -> str:
    """Name of a part of the cluster's mutual TLS, such as its `ca-issuer` or the `head-cert` and `head-secret`."""
    return f"ray-{part}-{cluster_name}"


def ca_secret_name(cluster: RayCluster) -> str:
    """The Secret with the key and certificate of the authority that a cluster's mutual TLS trusts."""
    return f"{cluster.meta.name}-ca-secret-{cluster.meta.uid[:8]}"


def pod_group_name(cluster_name: str) -> str:
    """Volcano's PodGroup of a cluster."""
    return f"ray-{cluster_name}-pg"


def head_policy_name(cluster_name: str) -> str:
    """The NetworkPolicy of a cluster's head."""
    return f"{cluster_name}-head"


def workers_policy_name(cluster_name: str, group_name: str) -> str:
    """The NetworkPolicy of the workers of one group."""
    return f"{cluster_name}-workers-{group_name}".lower()


def worker_budget_name(cluster_name: str) -> str:
    """The PodDisruptionBudget of the workers that serve."""
    return f"{cluster_name}-workers"


def head_ingress_name(cluster_name: str) -> str:
    """The Ingress of the head's dashboard."""
    return check_name(f"{cluster_name}-head-ingress")


def redis_cleanup_name(cluster_name: str) -> str:
    """The Job that removes what a cluster left in Redis; its pods bear the name in a label."""
    return f"{cluster_name}-redis-cleanup"[:_LABEL_LENGTH]


def fqdn(service_name: str, namespace: str, cluster_domain: str) -> str:
    """The name of a Service that resolves from everywhere in the Kubernetes cluster."""
    return f"{service_name}.{namespace}.svc.{cluster_domain}"


def _drawn(length: int, *seed: str | int) -> str:
    """Characters that look random and are always the same for the same seed."""
    rest = int.from_bytes(hashlib.sha256(json.dumps(seed).encode()).digest())
    characters = []
    for _ in range(length):
        rest, index = divmod(rest, len(NAME_ALPHABET))
        characters.append(NAME_ALPHABET[index])
    return "".join(characters)
