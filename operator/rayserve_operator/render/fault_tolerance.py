"""How the state of a cluster's control store (GCS) outlives its head: in Redis, or in RocksDB on a volume.

Redis is asked for by `gcsFaultToleranceOptions`, or in KubeRay's older way by an annotation and the user's own
RAY_REDIS_ADDRESS. The names of variables, volumes and paths are KubeRay's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import GcsFaultToleranceOptions, RedisCredential
from rayserve_operator.render import labels, names
from rayserve_operator.render.containers import without_empty
from rayserve_operator.render.node import Node

ROCKSDB: Final = "rocksdb"

_VOLUME = "gcs-storage"
_PATH = "/data/gcs"
_GROUP = 1000
_RECONNECT_SECONDS = "600"


def is_fault_tolerant(cluster: RayCluster) -> bool:
    """Whether the cluster is to survive the loss of its head."""
    asked_for_by_annotation = cluster.meta.annotations.get(labels.FT_ENABLED) == "true"
    return cluster.spec.gcs_fault_tolerance_options is not None or asked_for_by_annotation


def uses_rocksdb(cluster: RayCluster) -> bool:
    """Whether that state is kept in RocksDB on a volume that only one head at a time may write."""
    options = cluster.spec.gcs_fault_tolerance_options
    return options is not None and options.backend == ROCKSDB


def storage_namespace(cluster: RayCluster) -> str | None:
    """The key space in Redis, by default the cluster's uid, so that no cluster reads another's state."""
    if not is_fault_tolerant(cluster) or uses_rocksdb(cluster):
        return None
    options = cluster.spec.gcs_fault_tolerance_options or GcsFaultToleranceOptions()
    annotated = cluster.meta.annotations.get(labels.EXTERNAL_STORAGE_NAMESPACE)
    return options.external_storage_namespace or annotated or cluster.meta.uid


def state_of(cluster: RayCluster) -> str | None:
    """Where the state is kept, in words that are the same for two clusters that would read each other's."""
    options = cluster.spec.gcs_fault_tolerance_options
    if options is not None and uses_rocksdb(cluster):
        return f"claim {names.gcs_claim_name(cluster.meta.name, options)}"
    namespace = storage_namespace(cluster)
    return None if namespace is None else f"{(options and options.redis_address) or 'Redis'}, namespace {namespace}"


def start_params(node: Node) -> dict[str, str]:
    """Flags of `ray start` that read the Redis credentials from the environment."""
    return {
        f"redis-{part}": f"${name}"
        for part, name, credential in _credentials(node.cluster)
        if node.is_head and credential is not None
    }


def environment(node: Node) -> Iterator[Mapping[str, Any]]:
    """Variables of the Ray container, each given only if the user gives none."""
    cluster = node.cluster
    if not is_fault_tolerant(cluster):
        return
    if not node.is_head:
        # By default a raylet gives up on its head after 60 s, less than a new head may need.
        yield {"name": "RAY_gcs_rpc_server_reconnect_timeout_s", "value": _RECONNECT_SECONDS}
    elif uses_rocksdb(cluster):
        yield {"name": "RAY_gcs_storage", "value": ROCKSDB}
        yield {"name": "RAY_gcs_storage_path", "value": _PATH}
    else:
        yield from _redis_environment(node)


def volumes(node: Node) -> list[Mapping[str, Any]]:
    """The volume of the embedded storage."""
    options = node.cluster.spec.gcs_fault_tolerance_options
    if options is None or not node.is_head or not uses_rocksdb(node.cluster):
        return []
    claim = names.gcs_claim_name(node.cluster.meta.name, options)
    return [{"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim}}]


def mounts(node: Node) -> list[Mapping[str, Any]]:
    """Where that volume is mounted in the Ray container."""
    options = node.cluster.spec.gcs_fault_tolerance_options
    within = without_empty({"subPath": ((options and options.storage) or {}).get("subPath")})
    return [{"name": volume["name"], "mountPath": _PATH, **within} for volume in volumes(node)]


def pod_security(node: Node) -> dict[str, Any]:
    """The head's securityContext, with a group that may write the volume: Ray's images do not run as root."""
    given = (node.group.template.get("spec") or {}).get("securityContext") or {}
    if not volumes(node) or "fsGroup" in given:
        return {}
    return {"securityContext": {"fsGroup": _GROUP, "fsGroupChangePolicy": "OnRootMismatch", **given}}


def _redis_environment(node: Node) -> Iterator[Mapping[str, Any]]:
    options = node.cluster.spec.gcs_fault_tolerance_options
    yield {"name": "RAY_external_storage_namespace", "value": storage_namespace(node.cluster)}
    if options is not None and options.redis_address:
        yield {"name": "RAY_REDIS_ADDRESS", "value": options.redis_address}
    for _, name, credential in _credentials(node.cluster):
        if credential is not None:
            yield without_empty({"name": name, "value": credential.value, "valueFrom": credential.value_from})
    if options is None and (password := node.group.ray_start_params.get("redis-password")):
        yield {"name": "REDIS_PASSWORD", "value": password}


def _credentials(cluster: RayCluster) -> list[tuple[str, str, RedisCredential | None]]:
    options = cluster.spec.gcs_fault_tolerance_options or GcsFaultToleranceOptions()
    return [
        ("username", "REDIS_USERNAME", options.redis_username),
        ("password", "REDIS_PASSWORD", options.redis_password),
    ]
