"""Traefik as a process in the cluster's network, which requests to Gateways go through."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster import binaries
from localcluster.progress import Steps
from localcluster.spec import NODE_ADDRESS
from scenarios.harness import gateways, published
from scenarios.harness import kube as kubernetes
from scenarios.harness.background import background
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.waiting import until

PROGRAM = "traefik"
CLASS = "traefik"
"""Name of its GatewayClass."""
PORTS = {"web": 80, "other": 8081}
"""Its entry points: the ports that a listener of a Gateway may have."""
TAKEN_UP = 2.0
"""Seconds within which requests go by what it has accepted: it gathers changes for so long."""

_WATCHED = (
    "backendtlspolicies",
    "gatewayclasses",
    "gateways",
    "grpcroutes",
    "httproutes",
    "referencegrants",
    "tlsroutes",
)
"""It waits for the CRD of each of these before it does anything."""
_GATEWAY_CLASS: Manifest = {
    "apiVersion": gateways.API_VERSION,
    "kind": "GatewayClass",
    "metadata": {"name": CLASS},
    "spec": {"controllerName": "traefik.io/gateway-controller"},
}


def build() -> None:
    """Build it, and fetch what it needs: once this has run it needs no network.

    Raises LocalClusterError where that cannot be done.
    """
    with Steps() as steps:
        binaries.build_all(steps, (PROGRAM,))
    published.GATEWAYS.fetch()


@contextmanager
def running(kube: Kube, folder: Path) -> Iterator[None]:
    """Run it, as the controller of its GatewayClass; its log is in the folder."""
    published.install(published.GATEWAYS.files(_WATCHED))
    kubernetes.apply(_GATEWAY_CLASS)
    log = folder / "traefik.log"
    options = [f"--{name}={value}" for name, value in _options().items()]
    with background([binaries.program(PROGRAM), *options], log) as process:
        until(lambda: _is_ready(kube, process, log), "Traefik has taken its GatewayClass", 60)
        yield


def address_of(kube: Kube, namespace: str, gateway: str) -> str:
    """Where clients find a Gateway of one listener, as its status says.

    Raises LookupError as long as it says nothing.
    """
    found = kube.get("gateways", namespace, gateway)
    [address], [listener] = found["status"]["addresses"], found["spec"]["listeners"]
    return f"http://{address['value']}:{listener['port']}"


def _options() -> dict[str, str]:
    return {
        "global.checknewversion": "false",
        "global.sendanonymoususage": "false",
        "log.level": "INFO",
        "accesslog": "true",
        "providers.providersthrottleduration": f"{TAKEN_UP:g}s",
        "providers.kubernetesgateway": "true",
        "providers.kubernetesgateway.statusaddress.ip": NODE_ADDRESS,
        **{f"entrypoints.{name}.address": f":{port}" for name, port in PORTS.items()},
    }


def _is_ready(kube: Kube, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Traefik has ended:\n{log.read_text()}")
    conditions = kube.get("gatewayclasses", None, CLASS)["status"]["conditions"]
    return any(c["type"] == "Accepted" and c["status"] == "True" for c in conditions)
