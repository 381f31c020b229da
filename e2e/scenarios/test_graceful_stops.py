"""Workers that go lose no request that others could serve: scaled down, or evicted."""

import copy

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import ApiError, Kube, Manifest
from scenarios.harness.load import Load
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import is_ready
from scenarios.harness.waiting import Stopwatch, until

pytestmark = pytest.mark.ci

DRAINED = 120.0
TOO_MANY_REQUESTS = 429


def _with_workers(count: int) -> Manifest:
    """The minimal sample with so many workers, a replica on each, and a head without traffic."""
    sample = manifests.with_spec(manifests.sample("minimal"), excludeHeadPodFromServeSvc=True)
    changed = copy.deepcopy(sample)
    [group] = changed["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    group["replicas"] = count
    config = manifests.serve_config(changed)
    [deployment] = config["applications"][0]["deployments"]
    deployment |= {"num_replicas": count, "max_replicas_per_node": 1}
    return manifests.with_serve_config(changed, config)


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str) -> RayService:
    """The minimal sample on two workers that both serve."""
    service = RayService(kube, namespace, "minimal")
    service.apply(_with_workers(2))
    service.wait_answer(GREET)
    until(lambda: len(_serving(service)) == 2, "both workers serve", 120)
    service.wait_ready()
    return service


def test_evictions_go_one_by_one(echo: RayService) -> None:
    """The budget lets one worker go, and the next only when another serves in its place."""
    first, second = sorted(echo.workers())
    until(lambda: _budget(echo) == 1, "the budget keeps one of two", 30)
    with Load(echo.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        watch = Stopwatch()
        until(lambda: _evict(echo, first), "the first may go", 30)
        assert not _evict(echo, second), "the second may not go together with the first"
        until(lambda: _evict(echo, second), "the second may go once another serves", DRAINED)
        replaced = watch.seconds
        assert {*_serving(echo)} - {first, second}, "the second went before another served"
        until(lambda: not {first, second} & echo.pods().keys(), "both are gone", DRAINED)
        until(lambda: len(_serving(echo)) == 2, "two others serve", DRAINED)
    print(
        f"two evictions: the second allowed after {replaced:.1f} s, both gone and replaced after"
        f" {watch.seconds:.1f} s; {load.explain()}"
    )
    assert not load.failed, load.explain()


def test_scale_down_loses_no_request(echo: RayService) -> None:
    """One of two workers is given up in place; its replica moves to the other first."""
    cluster = echo.active_cluster
    with Load(echo.url, GREET).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        watch = Stopwatch()
        echo.patch(_with_workers(1))
        until(lambda: len(echo.pods()) == 2, "one worker is left", DRAINED)
    print(f"scale-down: worker gone after {watch.seconds:.1f} s; {load.explain()}")
    assert not load.failed, load.explain()
    assert echo.clusters == [cluster]
    until(lambda: _budget(echo) is None, "there is no budget for one worker", 30)


def _serving(service: RayService) -> list[str]:
    return [name for name, pod in service.workers().items() if is_ready(pod)]


def _budget(service: RayService) -> int | None:
    """What the budget of the active cluster's workers keeps, None where there is no budget."""
    name = f"{service.active_cluster}-workers"
    found = service.kube.find("poddisruptionbudgets", service.namespace, name)
    return None if found is None else int(found["spec"]["minAvailable"])


def _evict(service: RayService, pod: str) -> bool:
    """Ask for the eviction of a pod, as a node drain does; whether it was allowed."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": service.namespace},
    }
    path = f"/api/v1/namespaces/{service.namespace}/pods/{pod}/eviction"
    try:
        service.kube.request("POST", path, eviction)
    except ApiError as error:
        if error.status == TOO_MANY_REQUESTS:
            return False
        raise
    return True
