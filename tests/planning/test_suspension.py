"""What a suspended RayService still has to lose."""

from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.planning.observed import ObservedCluster, ServiceView
from rayserve_operator.planning.suspension import Phase, phase_of_service

from ..builders import aim_at, cluster, service_spec, stable_services, world

GOAL = aim_at(service_spec(suspend=True))
CLUSTER = cluster(goal=GOAL)
SERVE, HEAD = stable_services(GOAL, CLUSTER)
USERS, _ = stable_services(GOAL, CLUSTER, owner="somebody")


@pytest.mark.parametrize(
    ("clusters", "serve", "head", "phase"),
    [
        ([], None, None, Phase.SUSPENDED),
        ([CLUSTER], None, None, Phase.BEGINNING),
        ([], SERVE, None, Phase.BEGINNING),
        ([], None, HEAD, Phase.BEGINNING),
        ([], USERS, None, Phase.SUSPENDED),
    ],
    ids=["nothing", "a cluster", "the serve Service", "the head Service", "a Service of somebody else"],
)
def test_it_is_suspended_once_nothing_of_its_own_is_left(
    clusters: list[ObservedCluster], serve: ServiceView | None, head: ServiceView | None, phase: Phase
) -> None:
    found: dict[str, Any] = {"serve_service": serve, "head_service": head}
    assert phase_of_service(replace(world(GOAL, *clusters), **found)) is phase
