"""Objects as they were created, so that others like them can be."""

from scenarios.harness.kube import Manifest

_BY_THE_API_SERVER = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "uid",
    }
)


def as_created(stored: Manifest) -> Manifest:
    """An object without its status, its owner, and what Kubernetes has added to it."""
    left = {key: value for key, value in stored.items() if key not in ("metadata", "status")}
    metadata = {k: v for k, v in stored["metadata"].items() if k not in _BY_THE_API_SERVER}
    if "spec" in left:
        left["spec"] = _unplaced(left["spec"])
    return {**left, "metadata": metadata}


def _unplaced(spec: Manifest) -> Manifest:
    """A spec without the node and the addresses that it was given."""
    addresses = {"clusterIP", "clusterIPs"} if spec.get("clusterIP") != "None" else set()
    return {k: v for k, v in spec.items() if k != "nodeName" and k not in addresses}
