"""One operator, as its users install it, for all scenarios."""

from collections.abc import Iterator

import pytest

from scenarios.harness.kube import Kube, KubectlError
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.release import OperatorRelease


@pytest.fixture(scope="session", autouse=True)
def operator(kube: Kube) -> OperatorRelease:
    """The operator, installed by its chart."""
    release = OperatorRelease(kube)
    try:
        release.install()
    except KubectlError as error:
        pytest.exit(f"the operator could not be installed: {error}", returncode=1)
    return release


@pytest.fixture(scope="module")
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the scenarios of one module."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with fresh_namespace(kube, name):
        yield name
