from typing import Any

import pytest

from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.cluster.budget import min_available
from rayserve_operator.planning.observed import BelongingView, PodView
from rayserve_operator.render import labels

from ..builders import NOW, cluster_config, group, pod, ray_cluster

SPARE = pod("spare", ready=False, age=3600)
NEW = pod("new", ready=False, age=30)
GOING = pod("going", leaving=True)


def budget_for(serving: int) -> BelongingView:
    metadata = {"name": "demo-a-workers", "namespace": "default", "uid": "b", "resourceVersion": "1"}
    return BelongingView.parse(Kind.BUDGET, {"metadata": metadata, "spec": {"minAvailable": serving - 1}})


def serving(count: int) -> list[PodView]:
    return [pod(f"serving-{number}") for number in range(count)]


def budget(*pods: PodView, before: int | None = None, replicas: int = 0, **fields: Any) -> int | None:
    belongings = () if before is None else (budget_for(before),)
    config = cluster_config(group(replicas=replicas))
    observed = ray_cluster(config, *pods, belongings=belongings, **{"of_service": True, **fields})
    return min_available(observed, NOW)


@pytest.mark.parametrize(("count", "expected"), [(0, None), (1, None), (2, 1), (5, 4)])
def test_one_serving_worker_may_go_at_a_time(count: int, expected: int | None) -> None:
    assert budget(*serving(count)) == expected


def test_workers_without_replicas_do_not_count() -> None:
    assert budget(*serving(2), SPARE) == 1


@pytest.mark.parametrize(
    ("pods", "replicas", "expected"),
    [
        ([GOING], 3, 2),
        ([GOING, NEW], 3, 2),
        ([GOING, SPARE], 3, 1),
        ([GOING], 2, 1),
        ([NEW, NEW], 4, 2),
    ],
    ids=["not replaced yet", "replaced", "replaced by none that serves", "scaled down", "scaled up"],
)
def test_an_evicted_worker_counts_until_its_successor_serves(pods: list[PodView], replicas: int, expected: int) -> None:
    assert budget(*serving(2), *pods, before=3, replicas=replicas) == expected


def test_the_budget_is_for_services_and_can_be_left_out() -> None:
    assert budget(*serving(3), of_service=False) is None
    assert budget(*serving(3), notes={labels.DISRUPTION_BUDGET: "false"}) is None
