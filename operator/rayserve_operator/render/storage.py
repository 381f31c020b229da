"""The volume claim on which the GCS keeps its embedded storage (RocksDB)."""

from typing import Any

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import fault_tolerance, names
from rayserve_operator.render.manifests import of_belonging

_SIZE = "1Gi"
_NOT_OF_CLAIM = frozenset({"claimName", "size", "subPath"})


def gcs_claim(cluster: RayCluster) -> dict[str, Any] | None:
    """The claim; None where no RocksDB is asked for, or the user names a claim of their own.

    What `gcsFaultToleranceOptions.storage` says beside `claimName`, `size` and `subPath` is the claim's spec as
    Kubernetes has it. An empty `storageClassName` is kept: it asks for a volume that is there already.
    One head at a time writes it, so ReadWriteOnce is enough. It goes with the cluster: another cluster that read it
    would take the state of this one for its own.
    """
    options = cluster.spec.gcs_fault_tolerance_options
    if options is None or not fault_tolerance.uses_rocksdb(cluster):
        return None
    storage = options.storage or {}
    if storage.get("claimName"):
        return None
    name = cluster.meta.name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": of_belonging(cluster, names.gcs_claim_name(name, options)),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": str(storage.get("size") or _SIZE)}},
            **{key: value for key, value in storage.items() if key not in _NOT_OF_CLAIM and value not in (None, [])},
        },
    }
