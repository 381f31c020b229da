"""What is told of a pass whose action was refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.adapters.clock import SystemClock
from rayserve_operator.engine.passes import Passes, blame
from rayserve_operator.engine.store import Store
from rayserve_operator.model.errors import OperatorError, Refused, Unavailable
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Announcement, Kind, Plan
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, aim_at, cluster, cluster_config, cluster_plan, head, pod, service_spec, world

AIM = aim_at(service_spec())
META = cluster(routed=600).cluster.meta


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


class Scripted:
    """An executor of which each step says how it ends."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def carry_out(self, namespace: str, step: Any, tell: Any) -> None:
        [outcome] = step
        self.done.append(outcome)
        if isinstance(outcome, OperatorError):
            raise outcome


class Written:
    """A Kube that takes every status, and a recorder that hears everything."""

    def __init__(self) -> None:
        self.status: Any = None
        self.told: list[str] = []

    async def write_status(self, kind: Kind, namespace: str, name: str, status: Any) -> Any:
        self.status = status
        return {"metadata": {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": "2"}, "spec": {}}

    def tell(self, kind: Kind, meta: Any, announcement: Announcement) -> None:
        self.told.append(announcement.message)


async def follow(*strands: Any, gone: bool = False) -> tuple[Scripted, Written, OperatorError | None]:
    executor, written, store = Scripted(), Written(), Store(lambda _: None)
    metadata = {"name": META.name, "namespace": META.namespace, "uid": META.uid, "resourceVersion": "1"}
    store.put(Kind.RAY_SERVICE, {"metadata": metadata, "spec": {}})
    if gone:
        store.remove(Kind.RAY_SERVICE, META.uid)
    doubles: Any = (
        written,
        None,
        SystemClock(),
        store,
        None,
        executor,
        written,
        RenderOptions(),
        Custody(),
    )
    plan = replace(of_service(None, NOW), strands=strands)
    try:
        await Passes(*doubles)._follow(Kind.RAY_SERVICE, META, RayServiceStatus(), plan)
    except OperatorError as error:
        return executor, written, error
    return executor, written, None


async def test_a_refusal_ends_its_strand_alone_and_all_are_told_of_together() -> None:
    first, second = Refused("no quota"), Refused("no right")
    executor, written, raised = await follow([[first], ["needs it"]], [["a"], ["b"]], [[second]])
    assert executor.done == [first, "a", "b", second]
    assert raised is first
    assert written.told[0] == "no quota; no right"
    assert "no quota; no right" in str(written.status)


async def test_a_server_without_an_answer_ends_the_pass_and_what_was_refused_is_told() -> None:
    refused, silent = Refused("no quota"), Unavailable("no answer")
    executor, written, raised = await follow([[refused]], [[silent]], [["a"]])
    assert executor.done == [refused, silent]
    assert raised is silent
    assert "no quota" in str(written.status)


async def test_nothing_is_done_and_nothing_told_of_what_has_gone_while_it_was_looked_at() -> None:
    executor, written, raised = await follow([["a"]], gone=True)
    assert (executor.done, written.told, written.status, raised) == ([], [], None, None)
