"""What platform teams do with the operator touches no service: upgrade, rollback, uninstall.

Here the webhook is installed too. How long another replica needs to take over is told by the
prints.
"""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, kubectl
from scenarios.harness.load import Load
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import CRDS, NAMESPACE, OperatorRelease
from scenarios.harness.waiting import Stopwatch, until

SAMPLE = manifests.sample("minimal")
WEBHOOK = "webhook.enabled=true"


@pytest.fixture(scope="module")
def release(operator: OperatorRelease) -> Iterator[OperatorRelease]:
    """The operator, which is for the others again as it was when this module is done."""
    yield operator
    operator.install()


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str, release: OperatorRelease) -> RayService:
    """The minimal sample, serving."""
    release.install(WEBHOOK)
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


def test_upgrade_and_rollback_touch_no_pod(echo: RayService, release: OperatorRelease) -> None:
    """Another operator pod comes and goes; those of Ray stay, and no request is lost."""
    pods, operator = echo.uids, release.pod["metadata"]["name"]
    with Load(echo.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        release.install(WEBHOOK, "podAnnotations.release=second", "logLevel=INFO")
        assert release.pod["metadata"]["name"] != operator
        _edit(echo, "after the upgrade")
        release.roll_back()
        _edit(echo, "after the rollback")
    assert not load.failed, load.explain()
    assert echo.uids == pods


def _end(pod: str) -> None:
    kubectl("delete", "pod", pod, f"--namespace={NAMESPACE}", "--wait=false")


def _lose(pod: str) -> None:
    os.kill(OperatorRelease.process_in(pod), signal.SIGKILL)
    kubectl("delete", "pod", pod, f"--namespace={NAMESPACE}", "--force", "--wait=false")


def _stop(pod: str) -> None:
    os.kill(OperatorRelease.process_in(pod), signal.SIGSTOP)


@pytest.mark.parametrize(
    "befall", [_end, _lose, _stop], ids=["ended in order", "killed with its pod", "stopped"]
)
def test_another_replica_takes_over(
    befall: Callable[[str], None], echo: RayService, release: OperatorRelease
) -> None:
    """The one that waits acts on the next edit; no pod of Ray notices."""
    release.install(WEBHOOK, "replicas=2")
    pods, leader = echo.uids, release.leader
    watch = Stopwatch()
    befall(leader)
    new = until(lambda: release.leader not in ("", leader) and release.leader, "another leads", 60)
    print(f"{befall.__name__.strip('_')}: another leads after {watch.seconds:.1f} s")
    _edit(echo, f"led by {new}")
    if befall is _stop:
        os.kill(OperatorRelease.process_in(leader), signal.SIGCONT)
    _edit(echo, f"still led by {new}")
    assert release.leader == new
    assert echo.uids == pods


def test_uninstalling_leaves_everything_serving(
    echo: RayService, release: OperatorRelease, kube: Kube
) -> None:
    """The service, its pods and the CRDs stay; installed again, the operator goes on."""
    pods = echo.uids
    with Load(echo.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        release.uninstall()
        assert not kube.list("validatingwebhookconfigurations")
        assert all(kube.find("customresourcedefinitions", None, name) for name in CRDS)
        echo.patch(manifests.with_user_config(SAMPLE, "Echo", greeting="Nobody"))
        release.install(WEBHOOK)
        echo.wait_answer(GREET, 60, greeting="Nobody")
    assert not load.failed, load.explain()
    assert echo.uids == pods


def test_a_service_goes_without_an_operator(echo: RayService, release: OperatorRelease) -> None:
    """No finalizer of ours holds it."""
    release.uninstall()
    kubectl("delete", "rayservice", echo.name, f"--namespace={echo.namespace}", "--timeout=60s")
    until(lambda: not echo.pods(), "its pods are gone", 120)


def _edit(service: RayService, greeting: str) -> None:
    service.patch(manifests.with_user_config(SAMPLE, "Echo", greeting=greeting))
    service.wait_answer(GREET, 60, greeting=greeting)
