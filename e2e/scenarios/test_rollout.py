"""Blue/green rollouts under load, again and again and with the operator gone in the middle."""

import random
from collections.abc import Callable

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube
from scenarios.harness.load import Load
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import Stopwatch, until

SAMPLE = manifests.with_spec(manifests.sample("minimal"), rayClusterDeletionDelaySeconds=5)
ROLLOUTS = 5
A_ROLLOUT_TAKES = 25.0


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str) -> RayService:
    """The minimal sample, serving."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


@pytest.mark.ci
def test_rollout_survives_an_operator_killed(echo: RayService, operator: OperatorRelease) -> None:
    """Killed at a random moment and started by the kubelet, the operator ends what it began."""
    moment = random.SystemRandom().uniform(0, A_ROLLOUT_TAKES)
    print(f"the operator is killed {moment:.1f} s after the edit")
    restarts = operator.restarts

    def disturb(began: Stopwatch) -> None:
        until(lambda: began.seconds >= moment, "the moment comes", moment + 5)
        operator.kill()
        operator.wait_restarted(restarts)

    _roll(echo, "killed", disturb)
    assert len(echo.workers()) == 1
    assert len(echo.heads()) == 1


def test_five_rollouts_lose_no_request(echo: RayService) -> None:
    """Five in a row under the same load, one after the other."""
    for number in range(1, ROLLOUTS + 1):
        _roll(echo, f"number-{number}")


def _roll(
    service: RayService, colour: str, disturb: Callable[[Stopwatch], None] = lambda _: None
) -> None:
    """Roll to a new cluster under load until the old one is gone; no request may fail."""
    old = service.active_cluster
    with Load(service.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        load.mark()
        watch = Stopwatch()
        service.patch(manifests.with_env(SAMPLE, "COLOUR", colour))
        disturb(watch)
        new = service.wait_switched(old)
        switched = watch.seconds
        service.wait_alone()
        until(lambda: load.by_cluster[new] > 20, "the new cluster answers", 30)
    print(
        f"{colour}: switched after {switched:.1f} s, old pods gone after {watch.seconds:.1f} s,"
        f" {load.sent} requests, {len(load.failed)} failed; slowest: {load.slowest}"
    )
    assert not load.failed, load.explain()
    assert load.by_cluster.keys() == {old, new}
    service.wait_ready()
