from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.cluster.budget import min_available, recheck
from rayserve_operator.planning.observed import BelongingView, PodView
from rayserve_operator.render import labels

from ..builders import NOW, belonging, cluster_config, group, pod, ray_cluster

SPARE = pod("spare", ready=False, age=3600)
NEW = pod("new", ready=False, age=30)
GOING = pod("going", leaving=True)


def budget_for(serving: int) -> BelongingView:
    return belonging(Kind.BUDGET, "demo-a-workers", spec={"minAvailable": serving - 1})


OTHER = belonging(Kind.NETWORK_POLICY, "demo-a-head", spec={"minAvailable": 7})
UNREADABLE = [
    belonging(Kind.BUDGET, "demo-a-workers"),
    belonging(Kind.BUDGET, "demo-a-workers", spec={"minAvailable": "50%"}),
]


def serving(count: int) -> list[PodView]:
    return [pod(f"serving-{number}") for number in range(count)]


def budget(*pods: PodView, before: int | None = None, replicas: int = 0, **fields: Any) -> int | None:
    belongings = () if before is None else (OTHER, budget_for(before))
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
        ([pod("going", leaving=True, ready=False)], 2, 1),
        ([GOING, pod("slow", ready=False, age=600)], 3, 1),
    ],
    ids=[
        "not replaced yet",
        "replaced",
        "replaced by none that serves",
        "scaled down",
        "scaled up",
        "no longer ready",
        "replaced ten minutes ago",
    ],
)
def test_an_evicted_worker_counts_until_its_successor_serves(pods: list[PodView], replicas: int, expected: int) -> None:
    assert budget(*serving(2), *pods, before=3, replicas=replicas) == expected


@pytest.mark.parametrize(
    ("pods", "there", "minutes"),
    [
        ([NEW], [], None),
        ([NEW], [OTHER, budget_for(3)], 9.5),
        ([SPARE, pod("newer", ready=False, age=10), NEW], [budget_for(3)], 9.5),
        ([SPARE], [budget_for(3)], None),
        ([], [budget_for(3)], None),
    ],
    ids=["no budget", "one", "two", "too old", "none"],
)
def test_the_budget_is_looked_at_again_when_a_successor_has_had_its_time(
    pods: list[PodView], there: list[BelongingView], minutes: float | None
) -> None:
    observed = ray_cluster(cluster_config(group(replicas=3)), *serving(2), *pods, belongings=tuple(there))
    assert recheck(observed, NOW) == (None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize("there", UNREADABLE, ids=["empty", "in percent"])
def test_a_budget_that_is_not_as_ours_tells_nothing(there: BelongingView) -> None:
    observed = ray_cluster(cluster_config(group(replicas=3)), *serving(2), of_service=True, belongings=(there,))
    assert min_available(observed, NOW) == 1


def test_the_budget_is_for_services_and_can_be_left_out() -> None:
    assert budget(*serving(3), of_service=False) is None
    assert budget(*serving(3), notes={labels.DISRUPTION_BUDGET: "false"}) is None
