"""What is asked of the Gateway API, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.routes import Routes
from rayserve_operator.engine.store import Store
from rayserve_operator.model.errors import NotFound, NotServed, OperatorError, Refused, Unavailable
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import ObservedService, Routing
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import aim_at, cluster_config, service_spec, side, world

OPTIONS = {"steps": [20], "intervalSeconds": 60, "gatewayClassName": "istio"}
STRATEGY = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": OPTIONS}
OLD = aim_at(service_spec(upgradeStrategy=STRATEGY))
NEW = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy=STRATEGY))
PLAIN = aim_at(service_spec())


class Answers:
    """A Kube with these objects; an error among them is raised."""

    def __init__(self, objects: Mapping[str, Any], endpoints: Mapping[str, frozenset[str]]) -> None:
        self._objects, self._endpoints = objects, endpoints
        self.asked: list[str] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> Any:
        self.asked.append(f"{kind} {namespace}/{name}")
        found = self._objects.get(name, NotFound(name))
        if isinstance(found, OperatorError):
            raise found
        return found

    async def endpoints(self, namespace: str, service: str) -> frozenset[str]:
        self.asked.append(f"endpoints {namespace}/{service}")
        return self._endpoints.get(service, frozenset())


def route(*services: str) -> dict[str, Any]:
    refs = [{"name": f"{name}-serve-svc"} for name in services]
    return {"metadata": {"name": "demo-httproute", "uid": "route"}, "spec": {"rules": [{"backendRefs": refs}]}}


def service(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1"}}


async def look(
    goal: Any,
    *services: str,
    endpoints: Mapping[str, frozenset[str]] | None = None,
    objects: Mapping[str, Any] | None = None,
) -> tuple[Routing, list[str]]:
    """What is known of a RayService with two clusters, and what was asked for it."""
    kube, store = Answers(objects or {}, endpoints or {}), Store(lambda _: None)
    for name in services:
        store.put(Kind.SERVICE, service(name))
    old, new = side("demo-a", OLD, routed=60), side("demo-b", NEW)
    observed: ObservedService = world(goal, old, new, active=old, routing=Routing())
    found = await Routes(cast("Kube", kube), store).add(observed, assign_roles(observed, goal.goal))
    return found.routing, kube.asked


async def test_nothing_is_asked_where_no_route_shares_the_traffic() -> None:
    assert await look(PLAIN) == (Routing(), [])


async def test_what_is_there_is_found_and_what_is_not_is_none() -> None:
    routing, asked = await look(NEW)
    assert routing == Routing(routes={"demo-httproute": None})
    assert asked == ["Gateway default/demo-gateway", "HTTPRoute default/demo-httproute"]
    there = {"demo-httproute": route("demo", "gone"), "demo-gateway": {"metadata": {"name": "demo-gateway"}}}
    routing, _ = await look(NEW, "demo-serve-svc", objects=there)
    assert routing.gateway is not None
    assert routing.routes["demo-httproute"] is not None
    assert routing.services == {"demo-serve-svc"}


async def test_only_services_that_there_are_and_no_route_leads_to_are_asked_for_their_endpoints() -> None:
    behind = {f"demo-{name}-serve-svc": frozenset({"pod"}) for name in "ab"}
    routing, asked = await look(NEW, "demo-b-serve-svc", endpoints=behind)
    assert (*routing.reached, *asked[2:]) == ("demo-b", "endpoints default/demo-b-serve-svc")
    routing, asked = await look(NEW, *behind, endpoints=behind, objects={"demo-httproute": route("demo-a")})
    assert (*routing.reached, *asked[2:]) == ("demo-b", "endpoints default/demo-b-serve-svc")
    routing, asked = await look(NEW, *behind)
    assert (routing.reached, len(asked)) == (frozenset(), 4)


@pytest.mark.parametrize("where", ["demo-gateway", "demo-httproute"])
async def test_an_api_that_is_not_there_or_not_allowed_is_told_from_one_that_does_not_answer(where: str) -> None:
    assert (await look(NEW, objects={where: NotServed("no")}))[0] == Routing(is_served=False)
    assert (await look(NEW, objects={where: Refused("not you")}))[0] == Routing(silence="not you")
    with pytest.raises(Unavailable):
        await look(NEW, objects={where: Unavailable("busy")})


async def test_a_note_alone_leads_to_a_route() -> None:
    kube = Answers({}, {})
    noted = side("demo-a", PLAIN, notes={labels.ROUTE: "mine"})
    observed = world(PLAIN, noted, active=noted, routing=Routing())
    found = await Routes(cast("Kube", kube), Store(lambda _: None)).add(observed, assign_roles(observed, PLAIN.goal))
    assert found.routing == Routing(routes={"mine": None})
