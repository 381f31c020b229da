"""What is told of a pass whose action was refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.engine.passes import blame
from rayserve_operator.planning.actions import Plan
from rayserve_operator.planning.service.planner import plan_service

from ..builders import NOW, aim_at, cluster, cluster_config, cluster_plan, head, pod, service_spec, world

AIM = aim_at(service_spec())


def of_service(status: Any, now: datetime) -> Plan[Any]:
    serving = cluster(routed=600)
    return plan_service(world(AIM, serving, active=serving, status=status), AIM, now)


def of_cluster(status: Any, now: datetime) -> Plan[Any]:
    return cluster_plan(cluster_config(), head(), pod(), status=status)


@pytest.mark.parametrize("planned", [of_service, of_cluster])
def test_what_is_refused_time_and_again_is_told_once(planned: Any) -> None:
    resting = planned(None, NOW).status
    later = NOW + timedelta(seconds=30)
    refused = blame(planned(resting, NOW), resting, "denied", NOW).status
    assert [c for c in refused.conditions if c.message == "denied"]
    again = blame(planned(refused, later), refused, "denied", later).status
    assert again == refused
