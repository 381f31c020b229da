"""A share of the traffic as weights of an HTTPRoute: of the one that the operator makes, or of one of the user's.

The operator's own leads to the clusters' own Services at all times, as KubeRay's does. The user's leads to the stable
Service, and to those of the clusters only while two of them share. No Service is led to before it leads to pods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from rayserve_operator.model.conditions import ServiceCondition
from rayserve_operator.model.objects import Meta
from rayserve_operator.model.rayservice import ClusterUpgradeOptions
from rayserve_operator.planning.actions import Announcement, AnyAction, Apply, Delete, Kind, Patch
from rayserve_operator.planning.condition_list import Fact
from rayserve_operator.planning.drift import has_drifted, stamped
from rayserve_operator.planning.observed import GatewayView, ObservedCluster, ObservedService
from rayserve_operator.planning.service.backends import Json, Own, Part, Rule
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.roles import Roles, is_conflict
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.render import gateways, labels, names, ports


class Reason(StrEnum):
    """Whether the route can share the traffic, and why not; the reasons of condition RouteReady."""

    ACCEPTED = "Accepted"
    """It is there, and whoever has looked at it has taken it."""
    NO_API = "GatewayAPIMissing"
    """The API server does not know the Gateway API."""
    UNKNOWN = "Unknown"
    """The API server does not tell."""
    PENDING = "Pending"
    """It is on its way."""
    CONFLICT = "Conflict"
    """Somebody else's Gateway or HTTPRoute stands under its name."""
    MISSING = "Missing"
    """The user's is not there."""
    NO_BACKEND = "NoBackend"
    """The user's does not lead to the stable Service."""
    INDIVISIBLE = "Indivisible"
    """The weight that the user's gives to the stable Service cannot be divided."""
    REFUSED = "NotAccepted"
    """A controller of Gateways refuses it, or the Gateway."""


_NO_API = (
    f"the API server does not know {gateways.API_VERSION}: install the CRDs of the Gateway API and a controller for it"
    " (gateway-api.sigs.k8s.io), or leave gatewayClassName, gateway and httpRoute out, and pods share the traffic"
)


def names_of(observed: ObservedService) -> frozenset[str]:
    """Names of the HTTPRoutes that lead to clusters, or are to."""
    noted = (cluster.cluster.meta.annotations.get(labels.ROUTE) for cluster in observed.clusters)
    wanted = _wanted(observed)
    return frozenset(name for name in (*noted, wanted) if name is not None)


def backends_of(observed: ObservedService) -> frozenset[str]:
    """Names of the Services that the HTTPRoutes lead to."""
    return frozenset[str]().union(*map(_led_to, _present(observed)))


def needs_endpoints(observed: ObservedService, roles: Roles) -> tuple[ObservedCluster, ...]:
    """The clusters of which it matters whether their own Service leads to pods: before a route first leads to it."""
    options = _options(observed)
    if options is None or (options.http_route and roles.beside is None):
        return ()
    return tuple(cluster for cluster in roles.watched if not leads_to(observed, cluster))


def leads_to(observed: ObservedService, cluster: ObservedCluster) -> bool:
    """Whether an HTTPRoute leads to the cluster, or nobody can tell."""
    if observed.routing.silence is not None:
        return labels.ROUTE in cluster.cluster.meta.annotations
    return _service_of(cluster) in backends_of(observed)


def notes_of(course: Course, cluster: ObservedCluster) -> dict[str, str | None]:
    """What is noted on a cluster: by which HTTPRoute it is led to, so that its own Service and the route are found."""
    routing, noted = course.observed.routing, cluster.cluster.meta.annotations.get(labels.ROUTE)
    route = _by_name(course.observed, noted)
    is_led_to = route is not None and _service_of(cluster) in _led_to(route)
    stays = noted is not None and (is_led_to or routing.silence is not None)
    wanted = _wanted(course.observed)
    return {labels.ROUTE: noted if stays else wanted}


def keep(course: Course) -> Iterator[AnyAction]:
    """Let the route lead where it is to, and no other one."""
    observed = course.observed
    yield from _give_up(observed, kept=_wanted(observed))
    if observed.routing.is_served and observed.routing.silence is None:
        yield from _keep_gateway(observed)
        yield from _keep_route(course)


def give_up(observed: ObservedService) -> Iterator[AnyAction]:
    """Delete what was made, and give a route of the user's back to the stable Service."""
    yield from _give_up(observed, kept=None)


def is_in_place(course: Course) -> bool:
    """Whether traffic is shared as is noted, and the controllers of Gateways have seen it."""
    route, found = _live(course.observed), fact(course.observed)
    if route is None or found is None or found.holds is not True or not _can_be_led_to(course):
        return False
    return not any(_keep_route(course)) and all(_is_seen(route, condition) for condition in _judged(route))


def endpoints(course: Course) -> tuple[int, int]:
    """The pods of the active and of the new cluster that take traffic by the route."""
    active, beside, (_, taken) = course.roles.active, course.roles.beside, weights(course)
    return active.serving_pods if active else 0, beside.serving_pods if beside and taken else 0


def weights(course: Course) -> tuple[int, int]:
    """The real weights of the active and of the new cluster, in the first rule that leads to both."""
    sharing, route = course.sharing, _live(course.observed)
    if sharing is None or route is None:
        return WHOLE, 0
    old, new = _service_of(sharing.active), _service_of(sharing.pending)
    for refs in _refs(route):
        found = {ref["name"]: int(ref.get("weight", 1)) for ref in refs}
        if {old, new} <= found.keys():
            return found[old], found[new]
    return WHOLE, 0


def fact(observed: ObservedService) -> Fact | None:
    """Whether the route can share the traffic; None where it is not to."""
    options = _options(observed)
    if options is None:
        return None
    told = next(_obstacles(observed, options), None)
    if told is not None:
        reason, words = told
        is_open = reason in (Reason.UNKNOWN, Reason.PENDING)
        return Fact(ServiceCondition.ROUTE_READY, None if is_open else False, reason, words)
    return Fact(ServiceCondition.ROUTE_READY, True, Reason.ACCEPTED, f"HTTPRoute {_wanted(observed)} is in order")


# What is wrong. -----------------------------------------------------------------------------------------------------


def _obstacles(observed: ObservedService, options: ClusterUpgradeOptions) -> Iterator[tuple[Reason, str]]:
    routing, route = observed.routing, _live(observed)
    if routing.silence is not None:
        yield Reason.UNKNOWN, routing.silence
    elif not routing.is_served:
        yield Reason.NO_API, _NO_API
    elif options.http_route:
        yield from _obstacles_of_user(observed, route)
    else:
        yield from _obstacles_of_own(observed, route)
    yield from _refusals("Gateway", routing.gateway if _class_name(observed) else None)
    yield from _refusals("HTTPRoute", route)


def _obstacles_of_user(observed: ObservedService, route: GatewayView | None) -> Iterator[tuple[Reason, str]]:
    name, stable = _wanted(observed), names.serve_service_name(observed.service)
    if route is None:
        yield Reason.MISSING, f"HTTPRoute {name} does not exist; make it, with a backendRef to Service {stable}"
        return
    rules = [rule for rule in _rules(observed, route) if rule.weight]
    if not rules:
        yield Reason.NO_BACKEND, f"no rule of HTTPRoute {name} has a backendRef to Service {stable}; give it one"
    if not all(rule.is_divisible for rule in rules):
        words = f"HTTPRoute {name} gives Service {stable} a weight below {WHOLE} beside others"
        yield Reason.INDIVISIBLE, f"{words}, which cannot be divided by percent; multiply the weights of that rule"


def _obstacles_of_own(observed: ObservedService, route: GatewayView | None) -> Iterator[tuple[Reason, str]]:
    gateway = None if _class_name(observed) is None else observed.routing.gateway
    for view, kind, field in ((gateway, "Gateway", "gateway"), (route, "HTTPRoute", "httpRoute")):
        if view is not None and not _is_ours(observed, view):
            words = f"{kind} {view.meta.name} exists and is not this RayService's; delete it, or name it as {field}"
            yield Reason.CONFLICT, words
    if route is None:
        yield Reason.PENDING, f"HTTPRoute {_wanted(observed)} is not made yet"


def _refusals(kind: str, view: GatewayView | None) -> Iterator[tuple[Reason, str]]:
    """What the controllers of Gateways have against an object as it is now."""
    if view is None:
        return
    for condition in _judged(view):
        if condition["status"] == "False" and _is_seen(view, condition):
            words = f"{condition['type']} of {kind} {view.meta.name} is False: {condition.get('reason')}"
            yield Reason.REFUSED, f"{words} ({condition.get('message')})"


def _judged(view: GatewayView) -> Iterator[Mapping[str, Any]]:
    """The conditions that say whether requests go as a Gateway or an HTTPRoute wants it."""
    for told in (view.status, *(view.status.get("parents") or ())):
        for condition in told.get("conditions") or ():
            if condition["type"] in ("Accepted", "ResolvedRefs", "Programmed"):
                yield condition


def _is_seen(view: GatewayView, condition: Mapping[str, Any]) -> bool:
    """Whether a condition speaks of the object as it is now."""
    seen = condition.get("observedGeneration")
    return seen is None or int(seen) >= view.meta.generation


# What is done. ------------------------------------------------------------------------------------------------------


def _give_up(observed: ObservedService, *, kept: str | None) -> Iterator[AnyAction]:
    routing = observed.routing
    for view in _present(observed):
        if view.meta.name == kept or view.meta.deleting:
            continue
        if _is_ours(observed, view):
            yield _delete(Kind.HTTP_ROUTE, view.meta)
        else:
            yield from _rewrite(observed, view, Rule.united)
    gateway = routing.gateway
    is_kept = kept is not None and _class_name(observed) is not None
    if gateway is not None and not is_kept and _is_ours(observed, gateway) and not gateway.meta.deleting:
        yield _delete(Kind.GATEWAY, gateway.meta)


def _delete(kind: Kind, meta: Meta) -> Delete:
    told = Announcement(f"Deleted{kind}", f"Deleted {kind} {meta.name}: it is no longer wanted")
    return Delete(kind=kind, name=meta.name, uid=meta.uid, announce=told)


def _keep_gateway(observed: ObservedService) -> Iterator[AnyAction]:
    class_name, live = _class_name(observed), observed.routing.gateway
    if class_name is None or (live is not None and not _is_ours(observed, live)):
        return
    wanted = stamped(gateways.gateway(observed.service, class_name))
    if live is None:
        yield Apply(kind=Kind.GATEWAY, manifest=wanted)
        return
    # Listeners are told apart by name, and others may have added some.
    present = {listener["name"]: listener for listener in live.spec.get("listeners") or ()}
    listeners = [present.get(listener["name"]) for listener in wanted["spec"]["listeners"]]
    if has_drifted(live.meta, {"spec": {**live.spec, "listeners": listeners}}, wanted):
        yield Apply(kind=Kind.GATEWAY, manifest=_fenced(wanted, live))


def _keep_route(course: Course) -> Iterator[AnyAction]:
    observed, options, live = course.observed, _options(course.observed), _live(course.observed)
    parts = _parts(course)
    if options is None or is_conflict(observed):
        return
    if options.http_route:
        if live is not None:
            yield from _rewrite(observed, live, partial(_shared, course))
    elif parts and _can_be_led_to(course):
        shares = [(cluster.cluster, percent) for cluster, percent in parts]
        wanted = stamped(gateways.http_route(observed.service, options, shares))
        if live is None:
            yield Apply(kind=Kind.HTTP_ROUTE, manifest=wanted)
        elif _is_ours(observed, live) and has_drifted(live.meta, {"spec": live.spec}, wanted):
            yield Apply(kind=Kind.HTTP_ROUTE, manifest=_fenced(wanted, live))


def _parts(course: Course) -> Sequence[tuple[ObservedCluster, int]]:
    """The clusters that are to take traffic, each with its percent."""
    active, sharing = course.roles.active, course.sharing
    if sharing is not None:
        return ((sharing.active, WHOLE - sharing.share.percent), (sharing.pending, sharing.share.percent))
    return () if active is None else ((active, WHOLE),)


def _can_be_led_to(course: Course) -> bool:
    """Whether the own Service of each cluster that is to take traffic leads to pods."""
    observed = course.observed
    return all(c.name in observed.routing.reached or leads_to(observed, c) for c, _ in _parts(course))


def _shared(course: Course, rule: Rule) -> Sequence[Json]:
    """The backendRefs of a rule of the user's, as they are to be."""
    if course.sharing is None:
        return rule.united()
    if not _can_be_led_to(course):
        return rule.refs
    old, new = (Part(_service_of(cluster), percent) for cluster, percent in _parts(course))
    return rule.divided(old, new)


def _rewrite(observed: ObservedService, view: GatewayView, wanted: Callable[[Rule], Sequence[Json]]) -> Iterator[Patch]:
    """Give the rules of an HTTPRoute the backendRefs that are wanted, and touch nothing else."""
    changed = tuple(
        {"op": "replace", "path": f"/spec/rules/{index}/backendRefs", "value": refs}
        for index, rule in enumerate(_rules(observed, view))
        if (refs := wanted(rule)) != rule.refs
    )
    if changed:
        same = {"op": "test", "path": "/metadata/resourceVersion", "value": view.meta.version}
        yield Patch(kind=Kind.HTTP_ROUTE, name=view.meta.name, operations=(same, *changed))


def _fenced(wanted: Mapping[str, Any], live: GatewayView) -> Mapping[str, Any]:
    return {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": live.meta.version}}


# What is there. -----------------------------------------------------------------------------------------------------


def _options(observed: ObservedService) -> ClusterUpgradeOptions | None:
    """Which HTTPRoute is to share the traffic; None where none is."""
    return observed.service.spec.route_options


def _wanted(observed: ObservedService) -> str | None:
    """Its name."""
    return None if _options(observed) is None else names.http_route_name(observed.service)


def _class_name(observed: ObservedService) -> str | None:
    """GatewayClass of the Gateway that is to be made; None where none is."""
    options = _options(observed)
    return None if options is None or options.http_route or options.gateway else options.gateway_class_name


def _live(observed: ObservedService) -> GatewayView | None:
    """The HTTPRoute that is to share the traffic, as it is."""
    return _by_name(observed, _wanted(observed))


def _by_name(observed: ObservedService, name: str | None) -> GatewayView | None:
    return next((view for view in _present(observed) if view.meta.name == name), None)


def _present(observed: ObservedService) -> Iterator[GatewayView]:
    return (view for view in observed.routing.routes.values() if view is not None)


def _rules(observed: ObservedService, view: GatewayView) -> list[Rule]:
    own = _own(observed)
    return [Rule(refs, own) for refs in _refs(view)]


def _led_to(view: GatewayView) -> frozenset[str]:
    """Names of the Services that an HTTPRoute leads to."""
    return frozenset(ref["name"] for refs in _refs(view) for ref in refs)


def _refs(view: GatewayView) -> list[Sequence[Json]]:
    """The backendRefs of each of its rules."""
    return [rule.get("backendRefs") or [] for rule in view.spec.get("rules") or ()]


def _is_ours(observed: ObservedService, view: GatewayView) -> bool:
    return view.meta.owner == observed.service.meta.uid


def _service_of(cluster: ObservedCluster) -> str:
    """Name of the cluster's own serve Service."""
    return names.cluster_serve_service_name(cluster.name)


def _own(observed: ObservedService) -> Own:
    """By what backends are known as those of the RayService, also where the cluster and its Service are gone."""
    meta, service = observed.service.meta, observed.serve_service
    gone = (name for name in backends_of(observed) - observed.routing.services if _may_have_been(meta.name, name))
    living = {_service_of(cluster): ports.serve_ports(cluster.cluster) for cluster in observed.clusters}
    stable_ports = () if service is None else service.spec.get("ports") or ()
    members = {**dict.fromkeys(gone, ()), **living}
    return Own(meta.namespace, names.serve_service_name(observed.service), stable_ports, members)


def _may_have_been(service: str, name: str) -> bool:
    """Whether this may have been the own Service of a cluster of the RayService."""
    cluster = rf"{re.escape(service)}-(raycluster-)?[{names.NAME_ALPHABET}]{{5}}"
    return re.fullmatch(names.cluster_serve_service_name(cluster), name) is not None
