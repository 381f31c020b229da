"""One operator, as its users install it, for all scenarios."""

from collections.abc import Iterator

import pytest

from scenarios.harness import busy as busy_service
from scenarios.harness.crowd import Crowd
from scenarios.harness.kube import Kube, KubectlError
from scenarios.harness.namespaces import fresh_namespace, recreate
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import LANE, OperatorRelease
from scenarios.harness.table import Tables


@pytest.fixture(scope="session", autouse=True)
def operator(kube: Kube) -> OperatorRelease:
    """The operator, installed by its chart."""
    release = OperatorRelease(kube)
    try:
        if LANE:
            recreate(kube, LANE)
        release.install()
    except KubectlError as error:
        pytest.exit(f"the operator could not be installed: {error}", returncode=1)
    return release


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Where the scenarios tell what became of their requests."""
    return Tables()


@pytest.fixture(scope="module")
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for the scenarios of one module; in a lane there is but one."""
    if LANE:
        yield LANE
        return
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with fresh_namespace(kube, name):
        yield name


@pytest.fixture(scope="module")
def busy(kube: Kube, namespace: str) -> RayService:
    """One replica on one worker, serving."""
    service = RayService(kube, namespace, "busy")
    service.apply(busy_service.SAMPLE)
    service.wait_answer(busy_service.ASK)
    service.wait_ready()
    return service


@pytest.fixture(scope="module")
def crowd(busy: RayService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """Users who never stop asking, few at first."""
    with Crowd(busy.url, tmp_path_factory.mktemp("crowd")).running(busy_service.FEW_USERS) as users:
        yield users
