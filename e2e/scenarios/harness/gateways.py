"""The CRDs of the Gateway API, from its own release, which is a Go module."""

from pathlib import Path

from localcluster import binaries
from localcluster.progress import Steps
from localcluster.versions import GATEWAY_API

CRDS = ("gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io")


def crd_files() -> list[Path]:
    """The file of each CRD, fetched where it is missing: once this has run it needs no network."""
    with Steps() as steps:
        go = binaries.find_go(steps)
    folder = binaries.module(go, "sigs.k8s.io/gateway-api", GATEWAY_API) / "config/crd/standard"
    return [folder / f"gateway.networking.k8s.io_{name.partition('.')[0]}.yaml" for name in CRDS]
