"""The CRDs of the Gateway API, from its own release, which is a Go module."""

from collections.abc import Iterable
from pathlib import Path

from localcluster import binaries
from localcluster.progress import Steps
from localcluster.versions import GATEWAY_API
from scenarios.harness.kube import kubectl

GROUP = "gateway.networking.k8s.io"
API_VERSION = f"{GROUP}/v1"
PLURALS = ("gateways", "httproutes")
"""The kinds that the operator writes."""
CRDS = tuple(f"{plural}.{GROUP}" for plural in PLURALS)


def crd_files(plurals: Iterable[str] = PLURALS) -> list[Path]:
    """The file of each CRD, fetched where it is missing: once this has run it needs no network."""
    with Steps() as steps:
        go = binaries.find_go(steps)
    folder = binaries.module(go, "sigs.k8s.io/gateway-api", GATEWAY_API) / "config/crd/standard"
    return [folder / f"{GROUP}_{plural}.yaml" for plural in plurals]


def install(files: Iterable[Path]) -> None:
    """Have these CRDs, and wait until they are served."""
    named = [part for path in files for part in ("-f", str(path))]
    kubectl("apply", "--server-side", *named)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *named)
