"""How an HTTPRoute shares the traffic: one that is made, and one of the user's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Announcement, Apply, Kind, Patch
from rayserve_operator.planning.observed import GatewayView, ObservedCluster, Routing
from rayserve_operator.planning.service import routes
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    actions_of,
    ago,
    aim_at,
    announced,
    answer,
    cluster_config,
    in_words,
    revision,
    service_spec,
    side,
    world,
)

MADE = "demo-httproute"
BY_CLASS: dict[str, Any] = {"gatewayClassName": "istio"}
TO_GATEWAY: dict[str, Any] = {"gateway": {"name": "front", "namespace": "infra", "sectionName": "https"}}
BY_USER: dict[str, Any] = {"httpRoute": "mine"}


def strategy(**way: Any) -> dict[str, Any]:
    options = {"steps": [20, 50], "intervalSeconds": 60, **way}
    return {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}


def aim(image: str = "ray:2", **way: Any) -> Any:
    return aim_at(service_spec(cluster_config(image=image), upgradeStrategy=strategy(**(way or BY_CLASS))))


OLD = aim("ray:1")
NEW = aim()


def led(name: str = MADE, percent: int | None = None, since: float = 600) -> dict[str, str]:
    """The notes of a cluster that an HTTPRoute leads to, with its share if it has one."""
    share = {} if percent is None else {labels.SHARE: json.dumps({"percent": percent, "since": ago(since)})}
    return {labels.ROUTE: name, **share}


def shared(percent: int | None, since: float = 600, name: str = MADE, goal: Any = NEW) -> tuple[ObservedCluster, ...]:
    """The cluster that serves, and the one that has a share."""
    routed = {"routed": 60} if percent else {}
    new = side("demo-b", goal, notes=led(name, percent, since), created=900, **routed)
    return side("demo-a", aim("ray:1", **_way(goal)), notes=led(name), routed=900), new


def _way(goal: Any) -> dict[str, Any]:
    options = goal.goal.spec.upgrade_strategy.cluster_upgrade_options.manifest()
    return {key: options[key] for key in ("gatewayClassName", "gateway", "httpRoute") if key in options}


def view(spec: Mapping[str, Any], name: str = MADE, owner: str | None = "service", **fields: Any) -> GatewayView:
    """A Gateway or an HTTPRoute as it is found, of generation 2."""
    owners = [{"uid": owner, "controller": True}] if owner else []
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "9", "generation": 2, "ownerReferences": owners}
    metadata |= fields.pop("metadata", {})
    return GatewayView.parse({"metadata": metadata, "spec": spec, "status": fields})


def backend(name: str, weight: int | None = None) -> dict[str, Any]:
    return {"name": f"{name}-serve-svc", "port": 8000, **({} if weight is None else {"weight": weight})}


def of_rules(*rules: list[dict[str, Any]], **fields: Any) -> GatewayView:
    """A route of the user's with rules that have these backends, and one that redirects."""
    redirect = {"filters": [{"type": "RequestRedirect"}]}
    return view({"rules": [*({"backendRefs": refs} for refs in rules), redirect]}, "mine", owner=None, **fields)


def users(*refs: dict[str, Any], **fields: Any) -> GatewayView:
    """A route of the user's with a rule of another service before that of the RayService."""
    return of_rules([{"name": "shop", "port": 80}], list(refs), **fields)


def live(result: Any, kind: Kind) -> GatewayView:
    """What becomes of an object that a plan applies, as the API server completes it."""
    [manifest] = [a.manifest for a in actions_of(result) if isinstance(a, Apply) and a.kind is kind]
    metadata = manifest["metadata"] | {"uid": f"uid-{manifest['metadata']['name']}", "resourceVersion": "9"}
    return GatewayView.parse({**manifest, "metadata": metadata})


def plan(goal: Any, *found: ObservedCluster, routing: Routing | None = None, **fields: Any) -> Any:
    revisions = (revision(OLD), revision(goal, 2, started=900))
    observed = world(goal, *found, active=found[0], revisions=revisions, routing=routing, **fields)
    return plan_service(observed, goal, NOW)


def found(*routed: GatewayView, gateway: GatewayView | None = None, **fields: Any) -> Routing:
    known: dict[str, Any] = {
        "routes": {one.meta.name: one for one in routed},
        "gateway": gateway,
        "reached": {"demo-a", "demo-b"},
    }
    return Routing(**known | fields)


def made(percent: int | None = None, goal: Any = NEW) -> Routing:
    """The Gateway and the HTTPRoute as they are made for a share."""
    result = plan(goal, *shared(percent, goal=goal), routing=found())
    has_gateway = any(isinstance(action, Apply) and action.kind is Kind.GATEWAY for action in actions_of(result))
    gateway = live(result, Kind.GATEWAY) if has_gateway else None
    return found(live(result, Kind.HTTP_ROUTE), gateway=gateway)


def condition(result: Any, type_: str) -> tuple[str, str, str]:
    [one] = [c for c in result.status.conditions if c.type == type_]
    return one.status, one.reason, one.message


# What is made. ------------------------------------------------------------------------------------------------------


def test_a_cluster_is_noted_first_so_that_it_gets_a_service_of_its_own() -> None:
    serving = side("demo-a", OLD, routed=900)
    result = plan_service(world(OLD, serving, active=serving, routing=Routing()), OLD, NOW)
    assert in_words(result) == ["make Gateway demo-gateway", "note route on demo-a"]
    assert condition(result, "RouteReady") == ("Unknown", "Pending", f"HTTPRoute {MADE} is not made yet")
    silent = plan_service(world(OLD, serving, active=serving, routing=Routing(silence="no")), OLD, NOW)
    assert in_words(silent) == ["note route on demo-a"]


def test_the_route_leads_to_the_cluster_that_serves_once_its_service_leads_to_pods() -> None:
    serving = side("demo-a", OLD, notes=led(), routed=900)
    result = plan_service(world(OLD, serving, active=serving), OLD, NOW)
    assert in_words(result) == ["make Gateway demo-gateway", f"lead {MADE} to demo-a 100"]
    gateway = live(result, Kind.GATEWAY)
    assert gateway.spec["gatewayClassName"] == "istio"
    routing = Routing(gateway=gateway, routes={MADE: live(result, Kind.HTTP_ROUTE)})
    rested = plan_service(world(OLD, serving, active=serving, routing=routing), OLD, NOW)
    assert in_words(rested) == []
    assert condition(rested, "RouteReady") == ("True", "Accepted", f"HTTPRoute {MADE} is in order")
    assert rested.status.num_serve_endpoints == 4


@pytest.mark.parametrize(
    ("way", "routing"),
    [
        (BY_CLASS, Routing(is_served=False)),
        (BY_CLASS, found()),
        (BY_USER, found(users(backend("demo")))),
    ],
    ids=["no-api", "own", "of-the-user"],
)
def test_the_first_cluster_of_a_service_waits_for_no_route(way: dict[str, Any], routing: Routing) -> None:
    goal = aim(**way)
    first = side("demo-b", goal)
    result = plan_service(world(goal, first, revisions=(revision(goal),), routing=routing), goal, NOW)
    words = in_words(result)
    assert "point demo-serve-svc at demo-b" in words
    assert not any(word.startswith(("lead", "patch")) for word in words), "no cluster serves that it could lead to"
    assert result.status.num_serve_endpoints == 0


def test_a_gateway_that_is_there_already_is_named_and_none_is_made() -> None:
    goal = aim(**TO_GATEWAY)
    result = plan(goal, *shared(None, goal=goal), routing=found())
    assert "make Gateway demo-gateway" not in in_words(result)
    [parent] = live(result, Kind.HTTP_ROUTE).spec["parentRefs"]
    assert parent == {"name": "front", "namespace": "infra", "sectionName": "https"}


@pytest.mark.parametrize(
    "way",
    [TO_GATEWAY, BY_USER, BY_CLASS | TO_GATEWAY, BY_CLASS | BY_USER],
    ids=["to-one", "of-the-user", "to-one-beside-a-class", "of-the-user-beside-a-class"],
)
def test_where_no_gateway_is_to_be_made_one_of_that_name_matters_only_if_it_was_made(way: dict[str, Any]) -> None:
    goal, name = aim(**way), way.get("httpRoute", MADE)
    divided = users(backend("demo-a", 80), backend("demo-b", 20))
    routing = found(divided) if way.get("httpRoute") else made(20, goal)
    refused = {"type": "Accepted", "status": "False", "reason": "Invalid", "message": "why"}

    def beside(gateway: GatewayView | None) -> Any:
        return plan(goal, *shared(20, 30, name, goal), routing=replace(routing, gateway=gateway))

    theirs = beside(view({}, "demo-gateway", owner="somebody", conditions=[refused]))
    assert in_words(theirs) == []
    assert condition(theirs, "RouteReady") == ("True", "Accepted", f"HTTPRoute {name} is in order")
    assert in_words(beside(made().gateway)) == ["delete demo-gateway"]


def test_what_a_hand_has_changed_is_changed_back_and_what_it_has_added_stays() -> None:
    serving = side("demo-a", OLD, notes=led(), routed=900)
    routing = made()
    gateway, route = routing.gateway, routing.routes[MADE]
    assert gateway is not None
    assert route is not None
    https = {"name": "https", "port": 443, "protocol": "HTTPS"}

    def healed(gateway: GatewayView, route: GatewayView) -> Any:
        return plan_service(world(OLD, serving, active=serving, routing=found(route, gateway=gateway)), OLD, NOW)

    added = replace(gateway, spec={**gateway.spec, "listeners": [https, *gateway.spec["listeners"]]})
    assert in_words(healed(added, route)) == []
    for taken_away in ({**gateway.spec, "listeners": [https]}, {"gatewayClassName": "istio"}):
        assert in_words(healed(replace(gateway, spec=taken_away), route)) == ["make Gateway demo-gateway"]
    led_away = replace(route, spec={**route.spec, "rules": [{"backendRefs": [backend("theirs", 100)]}]})
    result = healed(gateway, led_away)
    assert in_words(result) == [f"lead {MADE} to demo-a 100"]
    [action] = actions_of(result)
    assert isinstance(action, Apply)
    assert action.manifest["metadata"]["resourceVersion"] == "9"


# The shift. ---------------------------------------------------------------------------------------------------------


def test_the_weights_are_moved_as_the_shares_are() -> None:
    opening = plan(NEW, *shared(None), routing=made())
    assert in_words(opening) == ["note share on demo-b"]
    for percent in (0, 20, 50):
        assert f"lead {MADE} to demo-a {100 - percent}, demo-b {percent}" in in_words(
            plan(NEW, *shared(percent, 1), routing=made())
        )
    assert in_words(plan(NEW, *shared(20, 59), routing=made(20))) == []
    assert "note share on demo-b" in in_words(plan(NEW, *shared(20, 60), routing=made(20)))
    assert f"lead {MADE} to demo-a 80, demo-b 20" in in_words(
        plan(NEW, *shared(20, 1), routing=replace(made(0), reached=frozenset()))
    ), "what it leads to already is not asked about"
    behind = plan(NEW, *shared(20, 61), routing=made(0))
    assert in_words(behind) == [f"lead {MADE} to demo-a 80, demo-b 20"], "the next share waits for this one"
    last = plan(NEW, *shared(50, 60), routing=made(50))
    assert "point demo-serve-svc at demo-b" in in_words(last)
    assert not any(word.startswith("lead") for word in in_words(last))


def test_the_stable_service_stays_with_the_cluster_that_serves() -> None:
    result = plan(NEW, *shared(20, 10), routing=made(20), selects="demo-b")
    assert in_words(result) == ["point demo-serve-svc at demo-a"]


def test_the_status_tells_the_weights() -> None:
    result = plan(NEW, *shared(20, 30), routing=made(20))
    active, pending = result.status.active_service_status, result.status.pending_service_status
    assert (active.traffic_routed_percent, pending.traffic_routed_percent) == (80, 20)
    assert pending.last_traffic_migrated_time == "2030-01-01T11:59:30Z"
    assert result.status.num_serve_endpoints == 8
    assert condition(result, "Reconciling") == (
        "True",
        "ShiftingTraffic",
        "demo-b takes 20% of the traffic (weight 20 of 100) until 12:00:30",
    )


@pytest.mark.parametrize("percent", [None, 0, 20])
def test_a_cluster_without_weight_takes_no_traffic_whatever_is_noted(percent: int | None) -> None:
    assert plan(NEW, *shared(percent, 30), routing=made(0)).status.num_serve_endpoints == 4


def test_after_the_switch_the_route_has_one_backend_and_the_old_cluster_stays_until_then() -> None:
    old, new = shared(None)
    old = side("demo-a", OLD, notes=led(), routed=900)
    new = side("demo-b", NEW, notes=led(), routed=60)
    behind = [pod.meta.name for pod in new.pods if pod.serving]

    def after(routing: Routing) -> Any:
        observed = world(NEW, old, new, active=new, revisions=(revision(NEW, 2),), routing=routing, endpoints=behind)
        return plan_service(observed, NEW, NOW)

    switched = after(made(50))
    assert in_words(switched) == [f"lead {MADE} to demo-b 100"]
    assert "demo-a still stands behind an HTTPRoute" in condition(switched, "Reconciling")[2]
    moved = replace(made(50), routes={MADE: live(switched, Kind.HTTP_ROUTE)})
    assert in_words(after(moved)) == ["note retired-at on demo-a"]


def test_a_rollout_that_is_given_up_takes_its_weight_back() -> None:
    old, new = shared(50)
    revisions = (revision(OLD), revision(NEW, 2, failed="AnalysisFailed"))
    observed = world(NEW, old, new, active=old, revisions=revisions, routing=made(50))
    assert f"lead {MADE} to demo-a 100" in in_words(plan_service(observed, NEW, NOW))


def test_no_service_is_led_to_that_leads_nowhere() -> None:
    waiting = plan(NEW, *shared(0, 60), routing=replace(made(), reached=frozenset({"demo-a"})))
    assert in_words(waiting) == []
    words = "; its HTTPRoute is being changed, or its Gateway has not seen it yet"
    assert condition(waiting, "Reconciling")[2].endswith(words)


# What holds it back. ------------------------------------------------------------------------------------------------


def judged(route: GatewayView, status: str, generation: int = 2, type_: str = "ResolvedRefs") -> GatewayView:
    told = {"type": type_, "status": status, "observedGeneration": generation, "reason": "Nope", "message": "why"}
    return replace(route, meta=replace(route.meta, generation=2), status={"parents": [{"conditions": [told]}]})


@pytest.mark.parametrize(
    ("status", "generation", "moves"),
    [("True", 2, True), ("True", 1, False), ("False", 2, False), ("False", 1, False), ("Unknown", 2, True)],
)
@pytest.mark.parametrize("type_", ["Accepted", "ResolvedRefs"])
def test_nothing_moves_before_the_route_is_accepted_as_it_is_now(
    type_: str, status: str, generation: int, moves: bool
) -> None:
    [route] = [one for one in made(20).routes.values() if one is not None]
    result = plan(NEW, *shared(20, 61), routing=found(judged(route, status, generation, type_), gateway=made().gateway))
    assert any("note share" in word for word in in_words(result)) is moves
    if (status, generation) != ("False", 2):
        assert condition(result, "RouteReady") == ("True", "Accepted", f"HTTPRoute {MADE} is in order")
    else:
        words = f"{type_} of HTTPRoute {MADE} is False: Nope (why)"
        assert condition(result, "RouteReady") == ("False", "NotAccepted", words)
        assert condition(result, "Reconciling")[1:] == (
            "RouteNotReady",
            f"demo-b takes 20% of the traffic (weight 20 of 100); {words}",
        )


def test_what_else_is_said_of_the_route_holds_nothing_back() -> None:
    [route] = [one for one in made(20).routes.values() if one is not None]
    routing = found(judged(route, "False", type_="PartiallyInvalid"), gateway=made().gateway)
    result = plan(NEW, *shared(20, 61), routing=routing)
    assert "note share on demo-b" in in_words(result)
    assert condition(result, "RouteReady")[1] == "Accepted"


def test_nor_before_the_gateway_is_programmed() -> None:
    gateway = made().gateway
    assert gateway is not None
    told = [{"type": "Programmed", "status": "False", "reason": "NoResources", "message": "why"}]
    routing = replace(made(20), gateway=replace(gateway, status={"conditions": told}))
    result = plan(NEW, *shared(20, 61), routing=routing)
    assert in_words(result) == []
    words = "Programmed of Gateway demo-gateway is False: NoResources (why)"
    assert condition(result, "RouteReady") == ("False", "NotAccepted", words)


def test_without_the_gateway_api_it_is_told_what_to_install_and_all_else_goes_on() -> None:
    result = plan(NEW, *shared(0, 60), routing=Routing(is_served=False), selects="demo-b")
    assert in_words(result) == ["point demo-serve-svc at demo-a"]
    words = (
        "the API server does not know gateway.networking.k8s.io/v1: install the CRDs of the Gateway API and a"
        " controller for it (gateway-api.sigs.k8s.io), or leave gatewayClassName, gateway and httpRoute out, and pods"
        " share the traffic"
    )
    assert condition(result, "RouteReady") == ("False", "GatewayAPIMissing", words)
    assert condition(result, "Reconciling")[1] == "RouteNotReady"


def test_a_full_promotion_waits_for_no_route() -> None:
    old, _ = shared(0, 60)
    promoted = side("demo-b", NEW, notes={**led(percent=0), labels.PROMOTE: "full"}, created=900)
    result = plan(NEW, old, promoted, routing=Routing(is_served=False))
    assert "point demo-serve-svc at demo-b" in in_words(result)


def test_while_the_api_server_does_not_tell_no_cluster_is_drained() -> None:
    old, new = side("demo-a", OLD, notes=led(), routed=900), side("demo-b", NEW, notes=led(), routed=60)
    behind = [pod.meta.name for pod in new.pods if pod.serving]
    observed = world(
        NEW, old, new, active=new, revisions=(revision(NEW, 2),), routing=Routing(silence="no"), endpoints=behind
    )
    result = plan_service(observed, NEW, NOW)
    assert in_words(result) == []
    assert condition(result, "RouteReady") == ("Unknown", "Unknown", "no")


@pytest.mark.parametrize(
    ("kind", "field"), [("Gateway", "gateway"), ("HTTPRoute", "httpRoute")], ids=["gateway", "route"]
)
def test_what_is_somebody_elses_is_left_alone(kind: str, field: str) -> None:
    name = {"Gateway": "demo-gateway", "HTTPRoute": MADE}[kind]
    theirs = view({}, name, owner="somebody")
    routing = made(20)
    routing = replace(routing, gateway=theirs) if kind == "Gateway" else replace(routing, routes={MADE: theirs})
    result = plan(NEW, *shared(20, 61), routing=routing)
    assert in_words(result) == []
    words = f"{kind} {name} exists and is not this RayService's; delete it, or name it as {field}"
    assert condition(result, "RouteReady") == ("False", "Conflict", words)


# A route of the user's. ---------------------------------------------------------------------------------------------

MINE = aim(**BY_USER)
DIVIDED = [backend("demo-a", 100), backend("demo-b", 0)]


def of_user(percent: int | None, route: GatewayView | None, since: float = 600, **fields: Any) -> Any:
    routing = found(**fields) if route is None else found(route, **fields)
    if route is None:
        routing = replace(routing, routes={"mine": None})
    return plan(MINE, *shared(percent, since, "mine", MINE), routing=routing)


def rewritten(result: Any) -> list[Any]:
    [patch] = [action for action in actions_of(result) if isinstance(action, Patch)]
    assert patch.operations[0] == {"op": "test", "path": "/metadata/resourceVersion", "value": "9"}
    assert {operation["op"] for operation in patch.operations[1:]} == {"replace"}
    return [(operation["path"], operation["value"]) for operation in patch.operations[1:]]


def test_of_a_users_route_only_its_own_backends_are_divided() -> None:
    result = of_user(20, users(backend("demo"), backend("shop", 0)), since=1)
    assert in_words(result) == [], "a weight of one cannot be divided"
    alone = of_user(20, users(backend("demo")), since=1)
    assert rewritten(alone) == [("/spec/rules/1/backendRefs", [backend("demo-a", 80), backend("demo-b", 20)])]
    beside = of_user(20, users(backend("shop", 50), backend("demo", 200)), since=1)
    parts = [backend("shop", 50), backend("demo-a", 160), backend("demo-b", 40)]
    assert rewritten(beside) == [("/spec/rules/1/backendRefs", parts)]
    assert not any(isinstance(action, Apply) for action in actions_of(beside))
    assert in_words(of_user(20, users(backend("demo")), since=1, reached={"demo-a"})) == [], "demo-b has no pods yet"


def test_the_ports_of_a_users_route_are_those_of_the_service_that_it_leads_to() -> None:
    ports = {"spec": {"ports": [{"name": "serve", "port": 80, "targetPort": 8000}]}}
    config = cluster_config(image="ray:2")
    goal = aim_at(service_spec(config, upgradeStrategy=strategy(**BY_USER), serveService=ports))
    whole = backend("demo", 1) | {"namespace": "default", "port": 80}
    parts = [backend(name, weight) | {"namespace": "default"} for name, weight in (("demo-a", 80), ("demo-b", 20))]
    for percent, before, after in ((20, [whole], parts), (None, parts, [whole])):
        result = plan(goal, *shared(percent, 1, "mine", goal), routing=found(users(*before)))
        assert rewritten(result) == [("/spec/rules/1/backendRefs", after)]


def test_a_users_route_is_in_place_once_it_is_divided() -> None:
    divided = users(backend("demo-a", 80), backend("demo-b", 20))
    assert in_words(of_user(20, divided, since=59)) == []
    later = of_user(20, divided, since=60)
    assert any("note share" in word for word in in_words(later))
    assert later.status.pending_service_status.traffic_routed_percent == 20


def test_the_weights_of_a_users_route_are_those_of_the_first_rule_that_leads_to_both_clusters() -> None:
    both = [backend("demo-a"), backend("demo-b", 3)]
    result = of_user(20, of_rules([backend("demo-b", 100)], both, DIVIDED), since=1)
    assert result.status.pending_service_status.traffic_routed_percent == 75, "a weight that is not given is 1"


def test_a_users_route_is_given_back_after_the_switch() -> None:
    divided = users(backend("demo-a", 50), backend("demo-b", 50))
    old = side("demo-a", OLD, notes=led("mine"), routed=900)
    new = side("demo-b", MINE, notes=led("mine"), routed=60)
    observed = world(MINE, old, new, active=new, revisions=(revision(MINE, 2),), routing=found(divided))
    result = plan_service(observed, MINE, NOW)
    assert rewritten(result) == [("/spec/rules/1/backendRefs", [backend("demo", 1)])]
    at_rest = world(MINE, old, new, active=new, revisions=(revision(MINE, 2),), routing=found(users(backend("demo"))))
    assert not any(isinstance(action, Patch) for action in actions_of(plan_service(at_rest, MINE, NOW)))


def test_a_users_route_loses_a_cluster_that_is_gone() -> None:
    serving = side("demo-a", MINE, notes=led("mine"), routed=900)
    gone = users(backend("demo-a", 80), backend("demo-bcdfg", 20))
    there = found(gone, services=frozenset({"demo-bcdfg-serve-svc"}))

    def result(routing: Routing) -> Any:
        return plan_service(world(MINE, serving, active=serving, routing=routing), MINE, NOW)

    assert rewritten(result(found(gone))) == [("/spec/rules/1/backendRefs", [backend("demo", 1)])]
    first_of_all = users(backend("demo-bcdfg", 20), backend("demo-a", 80))
    assert rewritten(result(found(first_of_all))) == [("/spec/rules/1/backendRefs", [backend("demo", 1)])]
    assert rewritten(result(there)) == [
        ("/spec/rules/1/backendRefs", [backend("demo", 80), backend("demo-bcdfg", 20)])
    ], "that one is a Service of somebody else's"


NO_BACKEND = "no rule of HTTPRoute mine has a backendRef to Service demo-serve-svc; give it one"
INDIVISIBLE = (
    "HTTPRoute mine gives Service demo-serve-svc a weight below 100 beside others, which cannot be divided by percent;"
    " multiply the weights of that rule"
)


@pytest.mark.parametrize(
    ("route", "reason", "words"),
    [
        (None, "Missing", "HTTPRoute mine does not exist; make it, with a backendRef to Service demo-serve-svc"),
        (users(backend("shop")), "NoBackend", NO_BACKEND),
        (users(backend("demo", 0)), "NoBackend", NO_BACKEND),
        (users(backend("demo", 9), backend("shop", 1)), "Indivisible", INDIVISIBLE),
        (of_rules(DIVIDED, [backend("demo", 9), backend("shop", 1)]), "Indivisible", INDIVISIBLE),
    ],
    ids=["missing", "no-backend", "no-weight", "one-rule", "one-of-two-rules"],
)
def test_what_is_missing_of_a_users_route_is_told(route: GatewayView | None, reason: str, words: str) -> None:
    result = of_user(0, route, since=60)
    assert in_words(result) == []
    assert condition(result, "RouteReady") == ("False", reason, words)
    assert condition(result, "Reconciling")[1] == "RouteNotReady"


# Leaving it. --------------------------------------------------------------------------------------------------------


def test_who_goes_back_to_shares_of_pods_loses_what_was_made() -> None:
    plain = aim_at(service_spec(cluster_config(image="ray:1")))
    serving = side("demo-a", plain, notes=led(), routed=900)
    routing = made()
    result = plan_service(world(plain, serving, active=serving, routing=routing), plain, NOW)
    assert in_words(result) == [f"delete {MADE}", "delete demo-gateway"]
    assert Announcement("DeletedGateway", "Deleted Gateway demo-gateway: it is no longer wanted") in announced(result)
    left = plan_service(world(plain, serving, active=serving, routing=Routing(routes={MADE: None})), plain, NOW)
    assert in_words(left) == ["note not route on demo-a"]
    silent = plan_service(world(plain, serving, active=serving, routing=Routing(silence="no")), plain, NOW)
    assert in_words(silent) == []


def test_what_is_not_ours_or_goes_already_is_not_deleted() -> None:
    plain = aim_at(service_spec(cluster_config(image="ray:1")))
    serving = side("demo-a", plain, notes=led(), routed=900)
    going = {"deletionTimestamp": ago(1)}
    route = view({"rules": [{"backendRefs": [backend("demo-a", 100)]}]}, metadata=going)
    for gateway in (view({}, "demo-gateway", metadata=going), view({}, "demo-gateway", owner="somebody")):
        routing = found(route, gateway=gateway)
        assert in_words(plan_service(world(plain, serving, active=serving, routing=routing), plain, NOW)) == []


def test_a_users_route_is_forgotten_once_it_is_given_back() -> None:
    plain = aim_at(service_spec(cluster_config(image="ray:1")))
    serving = side("demo-a", plain, notes=led("mine"), routed=900)

    def words(route: GatewayView) -> list[str]:
        return in_words(plan_service(world(plain, serving, active=serving, routing=found(route)), plain, NOW))

    assert words(users(backend("demo-a", 100))) == ["patch mine: /spec/rules/1/backendRefs"]
    assert words(users(backend("demo"))) == ["note not route on demo-a"]


def test_beside_somebody_elses_service_a_users_route_is_given_back_only_where_it_is_left() -> None:
    divided = users(backend("demo-a", 80), backend("demo-b", 20))

    def beside_theirs(goal: Any) -> Any:
        serving, new = shared(20, 30, "mine", MINE)
        observed = world(goal, serving, new, active=serving, owner="somebody", routing=found(divided))
        assert observed.serve_service is not None
        elsewhere = replace(observed.serve_service, spec={"type": "ExternalName", "externalName": "example.com"})
        return plan_service(replace(observed, serve_service=elsewhere), goal, NOW)

    assert not any(isinstance(action, Patch) for action in actions_of(beside_theirs(MINE)))
    plain = aim_at(service_spec(cluster_config(image="ray:2")))
    assert rewritten(beside_theirs(plain)) == [("/spec/rules/1/backendRefs", [backend("demo", 1)])]


def test_who_names_another_route_has_the_first_one_given_back() -> None:
    other = aim(httpRoute="other")
    divided, whole = users(backend("demo-a", 80), backend("demo-b", 20)), users(backend("demo"))
    routing = found(replace(whole, meta=replace(whole.meta, name="other")), divided)
    result = plan(other, *shared(20, 30, "mine", other), routing=routing)
    patched = {action.name: action.operations[1]["value"] for action in actions_of(result) if isinstance(action, Patch)}
    assert patched == {"mine": [backend("demo", 1)], "other": [backend("demo-a", 80), backend("demo-b", 20)]}
    assert not any("note route" in word for word in in_words(result)), "the first one is still known by the note"


def test_with_a_suspension_the_gateway_goes_too() -> None:
    suspended = aim_at(service_spec(cluster_config(image="ray:1"), upgradeStrategy=strategy(**BY_CLASS), suspend=True))
    serving = side("demo-a", suspended, notes=led(), routed=900)
    begun = plan_service(world(suspended, serving, active=serving), suspended, NOW).status
    observed = world(suspended, serving, active=serving, status=begun, routing=made())
    assert in_words(plan_service(observed, suspended, NOW))[:2] == [f"delete {MADE}", "delete demo-gateway"]
    first = world(suspended, serving, active=serving, status=RayServiceStatus(), routing=made())
    assert in_words(plan_service(first, suspended, NOW)) == []


# What is asked. -----------------------------------------------------------------------------------------------------


def asked(goal: Any, *clusters: ObservedCluster, routing: Routing) -> list[str]:
    observed = world(goal, *clusters, active=clusters[0], routing=routing)
    return [one.name for one in routes.needs_endpoints(observed, assign_roles(observed, goal.goal))]


def test_endpoints_matter_before_a_route_leads_to_them() -> None:
    assert asked(NEW, *shared(0), routing=found()) == ["demo-a", "demo-b"]
    assert asked(NEW, *shared(0), routing=made()) == ["demo-b"]
    assert asked(OLD, side("demo-a", OLD, routed=900), routing=found()) == ["demo-a"]
    assert asked(NEW, *shared(20), routing=made(20)) == []
    assert asked(MINE, side("demo-a", MINE, routed=900), routing=found(users(backend("demo")))) == []
    assert asked(MINE, *shared(0, goal=MINE), routing=found(users(backend("demo")))) == ["demo-a", "demo-b"]
    plain = aim_at(service_spec(cluster_config(image="ray:1")))
    assert asked(plain, side("demo-a", plain, routed=900), routing=found()) == []


def test_routes_are_known_by_the_spec_and_by_the_notes() -> None:
    plain = aim_at(service_spec())
    assert routes.names_of(world(plain, side("demo-a", plain))) == frozenset()
    assert routes.names_of(world(plain, side("demo-a", plain, notes=led("mine")))) == {"mine"}
    assert routes.names_of(world(NEW, side("demo-a", NEW, notes=led("mine")))) == {"mine", MADE}


def test_a_cluster_that_is_not_fit_keeps_its_weight() -> None:
    old, new = shared(20, 600)
    loading = replace(new, serve=answer(status="DEPLOYING"))
    assert in_words(plan(NEW, old, loading, routing=made(20))) == []
