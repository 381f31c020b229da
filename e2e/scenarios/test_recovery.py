"""What is lost comes back: a worker, and a head after an invalid edit; see test_head_loss too."""

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube
from scenarios.harness.rayservice import RayService, all_ready
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import until

pytestmark = pytest.mark.ci

SAMPLE = manifests.sample("minimal")
RECOVERY = 120.0


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str) -> RayService:
    """The minimal sample, serving."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


def test_recovery_of_a_worker(echo: RayService) -> None:
    """A deleted worker pod is replaced, and the service answers from the new one."""
    [lost] = echo.workers()
    echo.delete_pod(lost)
    until(lambda: echo.workers() and lost not in echo.workers(), "a new worker comes", 10)
    _wait_recovered(echo, without=lost)


def test_recovery_keeps_to_the_last_valid_config(
    echo: RayService, operator: OperatorRelease
) -> None:
    """An invalid edit, then a head crash, then an operator restart: the last valid config runs."""
    valid = manifests.with_user_config(SAMPLE, "Echo", greeting="still here")
    echo.patch(valid)
    echo.wait_answer(GREET, 30, greeting="still here")
    echo.patch(manifests.with_serve_config(SAMPLE, "applications: [{name: echo"))
    until(lambda: _spec_is_refused(echo), "the invalid edit is refused", 15)
    [lost] = echo.heads()
    echo.delete_pod(lost)
    operator.restart()
    until(lambda: echo.heads() and lost not in echo.heads(), "a new head comes", 30)
    _wait_recovered(echo, without=lost)
    assert echo.ask(GREET)["greeting"] == "still here"
    assert _spec_is_refused(echo)
    echo.patch(SAMPLE)
    echo.wait_answer(GREET, 30, greeting="hello")


def _spec_is_refused(service: RayService) -> bool:
    return service.conditions.get("SpecValid", {}).get("status") == "False"


def _wait_recovered(service: RayService, *, without: str) -> None:
    """Wait until Ray runs the application on pods that are all ready, and the Service answers."""

    def recovered() -> bool:
        report = service.serve_report()
        assert report["applications"]["echo"]["status"] == "RUNNING", report["applications"]
        assert all_ready(service.pods(service.active_cluster))
        assert service.ask(GREET)
        return True

    until(recovered, "Ray runs the application again", RECOVERY, every=0.25)
    assert without not in service.pods()
