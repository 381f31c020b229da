"""The CRDs of other projects, each from its own release, which is a Go module."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster import binaries
from localcluster.progress import Steps
from localcluster.versions import CERT_MANAGER, GATEWAY_API, PROMETHEUS_OPERATOR
from scenarios.harness.kube import kubectl


@dataclass(frozen=True)
class Definitions:
    """Where a project keeps its CRDs, one in each file."""

    module: str
    version: str
    folder: str
    group: str

    def fetch(self) -> Path:
        """The folder, fetched where it is missing: once this has run it needs no network.

        Raises LocalClusterError where it cannot be fetched.
        """
        with Steps() as steps:
            go = binaries.find_go(steps)
        return binaries.module(go, self.module, self.version) / self.folder

    def files(self, plurals: Iterable[str]) -> list[Path]:
        """The file of each CRD; see `fetch`."""
        folder = self.fetch()
        return [folder / f"{self.group}_{plural}.yaml" for plural in plurals]


GATEWAYS = Definitions(
    "sigs.k8s.io/gateway-api", GATEWAY_API, "config/crd/standard", "gateway.networking.k8s.io"
)
MONITORS = Definitions(
    "github.com/prometheus-operator/prometheus-operator",
    PROMETHEUS_OPERATOR,
    "example/prometheus-operator-crd",
    "monitoring.coreos.com",
)
CERTIFICATES = Definitions(
    "github.com/cert-manager/cert-manager", CERT_MANAGER, "deploy/crds", "cert-manager.io"
)

ALL = (GATEWAYS, MONITORS, CERTIFICATES)


def install(files: Iterable[Path]) -> None:
    """Have these CRDs, and wait until they are served."""
    named = _named(files)
    kubectl("apply", "--server-side", *named)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *named)


def remove(files: Iterable[Path]) -> None:
    """Have them no longer."""
    kubectl("delete", "--wait", *_named(files))


def _named(files: Iterable[Path]) -> list[str]:
    return [part for path in files for part in ("-f", str(path))]
