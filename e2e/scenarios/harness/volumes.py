"""Volumes for claims, where no provisioner makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scenarios.harness.kube import Kube

ANY_NODE = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}


@contextmanager
def one_volume(kube: Kube, name: str) -> Iterator[str]:
    """A volume on the node that any claim of its storage class may take; the class is its name.

    Unlike a hostPath, the kubelet gives it to the pod's fsGroup, as it does with a real disk.
    """
    folder = Path("/run/volumes") / name
    folder.mkdir(parents=True, exist_ok=True)
    kube.create(
        "persistentvolumes",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "storageClassName": name,
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [ANY_NODE]}},
            },
        },
    )
    try:
        yield name
    finally:
        kube.delete("persistentvolumes", None, name, grace=0)
