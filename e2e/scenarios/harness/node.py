"""What the nodes say that they have."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from scenarios.harness.kube import Kube

GPU = "nvidia.com/gpu"


@contextmanager
def claiming_gpus(kube: Kube, amount: int) -> Iterator[None]:
    """Let one node claim so many GPUs, as a device plugin would, and the others none."""
    nodes = {node["metadata"]["name"]: node for node in kube.list("nodes")}
    before = {name: node["status"]["capacity"].get(GPU) for name, node in nodes.items()}
    claims = dict.fromkeys(nodes, "0") | {min(nodes): str(amount)}
    try:
        _claim(kube, claims)
        yield
    finally:
        _claim(kube, before)


def _claim(kube: Kube, claims: Mapping[str, str | None]) -> None:
    for name, amount in claims.items():
        told = {GPU: amount}
        kube.merge(
            "nodes", None, name, {"status": {"capacity": told, "allocatable": told}}, "status"
        )
