"""From KubeRay to the operator and back under load: no pod begins or ends, no request is lost.

KubeRay itself does not run here. What it makes is written as it writes it, and Ray runs in its
pods.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from scenarios.harness import adopted, kuberay, manifests, ray
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import NEW, SHORT, Mix
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.rayservice import START, RayService, all_ready
from scenarios.harness.release import CRDS, LANE, OperatorRelease
from scenarios.harness.rollout import Rollout, Run, rolled, under_load
from scenarios.harness.sampler import sampling
from scenarios.harness.table import Tables
from scenarios.harness.waiting import Stopwatch, until

SAMPLE = manifests.with_deployment(
    manifests.sample("minimal"), "Echo", num_replicas=2, max_ongoing_requests=100
)
CLUSTER = "minimal-k2b4c"
RENEWED_EVERY = 2.0
"""Seconds; KubeRay has 15 before its Lease counts as given up."""
TAKEN_OVER = 60.0


@pytest.fixture(scope="module")
def crds(kube: Kube, operator: OperatorRelease) -> Iterator[None]:
    """KubeRay's CRDs in the place of ours, and no operator at first."""
    if LANE:
        pytest.skip("the CRDs are for all lanes")
    operator.scale(0)
    ours = [kube.get("customresourcedefinitions", None, name) for name in CRDS]
    _replace(kube, kuberay.crds(ours))
    yield
    _replace(kube, ours)
    operator.install()


@pytest.fixture
def echo(kube: Kube, namespace: str, crds: None) -> RayService:
    """The minimal sample with two replicas, as KubeRay serves it."""
    service = adopted.make(kube, namespace, SAMPLE, CLUSTER)
    config = manifests.serve_config(SAMPLE)
    until(lambda: ray.takes(service.head_address(CLUSTER), config), "Ray takes the config", START)
    until(lambda: all_ready(service.pods()), "its pods are ready", START)
    adopted.tell_that_it_serves(service, CLUSTER)
    service.wait_answer(GREET)
    return service


@pytest.fixture
def system(kube: Kube) -> Iterator[str]:
    """The namespace of KubeRay."""
    with fresh_namespace(kube, "kuberay-system") as name:
        yield name


def test_a_service_comes_from_kuberay_goes_back_and_comes_again(
    kube: Kube, echo: RayService, system: str, operator: OperatorRelease, tables: Tables
) -> None:
    """Its pods stay throughout; only a rollout, when it is the operator's, replaces them."""
    before = adopted.uids(echo)
    mix = Mix(echo.url).with_long(SHORT)
    with under_load(tables, "from KubeRay, back, and again", mix) as run:
        with _leading(kube, system):
            operator.scale(1)
            until(lambda: "Standing by for KubeRay" in operator.logs(), "it stands by", 30)
            _ask_more(run)
            assert echo.object["metadata"]["finalizers"] == [kuberay.FINALIZER]
            assert not echo.events
        run.steps["KubeRay stops → taken over"].append(_taken_over(echo))
        _ask_more(run)
        assert adopted.uids(echo) == before
        operator.scale(0)
        adopted.come_back(echo, CLUSTER)
        _ask_more(run)
        assert adopted.uids(echo) == before
        watch = Stopwatch()
        operator.scale(1)
        _taken_over(echo)
        run.steps["started again → taken over"].append(watch.seconds)
        _ask_more(run)
        assert adopted.uids(echo) == before
        run.remarks.append(
            "The same objects before and after: "
            + ", ".join(f"{len(before[plural])} {plural}" for plural in adopted.OWNED)
        )
        Rollout(echo, rolled(SAMPLE)).run(run)


def _replace(kube: Kube, crds: list[Manifest]) -> None:
    """Give the CRDs these schemas; who manages the objects stays as it is."""
    for crd in crds:
        kube.replace_spec("customresourcedefinitions", None, crd["metadata"]["name"], crd["spec"])


@contextmanager
def _leading(kube: Kube, system: str) -> Iterator[None]:
    """KubeRay renews its Lease."""
    kube.create("leases", {**kuberay.lease(_now()), "metadata": _LEASE | {"namespace": system}})

    def renew() -> None:
        kube.merge("leases", system, _LEASE["name"], {"spec": {"renewTime": _now()}})

    with sampling(renew, every=RENEWED_EVERY):
        yield


_LEASE = kuberay.lease("")["metadata"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _taken_over(service: RayService) -> float:
    """Wait until the operator has made the service its own; the seconds that it took."""
    watch = Stopwatch()
    until(
        lambda: not service.object["metadata"].get("finalizers"),
        "KubeRay's finalizer is gone",
        TAKEN_OVER,
    )
    service.wait_ready()
    return watch.seconds


def _ask_more(run: Run) -> None:
    """Wait for twenty more answers."""
    load = run.mix.kinds[NEW]
    sent = load.sent
    until(lambda: load.sent > sent + 20, "more is asked", 30)
