"""The CRDs on a real API server, and the operator as a process beside it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scenarios.harness import kuberay, manifests
from scenarios.harness.fakes import FakeKubelet, FakeRay
from scenarios.harness.kube import Kube, kubectl
from scenarios.harness.line import Line, line_to_api_server
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.process import OperatorProcess


@pytest.fixture(scope="session", autouse=True)
def crds() -> None:
    """The CRDs, as `kubectl apply` without any option brings them."""
    kubectl("apply", "-f", str(manifests.CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(manifests.CRDS))


@pytest.fixture
def kuberays_crds() -> Iterator[None]:
    """KubeRay's CRDs in the place of ours, for one test."""
    ours = [manifests.load(path) for path in sorted(manifests.CRDS.glob("*.yaml"))]
    for crds in (kuberay.crds(ours), ours):
        kubectl("replace", "--save-config", "-f", "-", text=yaml.safe_dump_all(crds))
        names = [f"crd/{crd['metadata']['name']}" for crd in crds]
        kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        if crds is not ours:
            yield


@pytest.fixture
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test."""
    name = request.node.name.partition("[")[0].replace("_", "-")[:50].rstrip("-")
    with fresh_namespace(kube, name):
        yield name


@pytest.fixture
def ray(kube: Kube, namespace: str) -> Iterator[FakeRay]:
    """Pods that run, and a Ray in them that does what it is told."""
    with FakeRay().running() as fake, FakeKubelet(kube, namespace).running():
        yield fake


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """The operator's line to the API server."""
    line = line_to_api_server(Path(os.environ["KUBECONFIG"]), tmp_path / "kubeconfig")
    yield line
    line.close()


@pytest.fixture
def operator(namespace: str, line: Line, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator, running."""
    process = OperatorProcess(namespace, tmp_path / "kubeconfig", tmp_path / "operator.log")
    process.start()
    yield process
    process.kill()
    print(process.log)
