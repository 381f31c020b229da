"""Where traffic goes: the two stable Services, the head's label, and the switch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Step,
)
from rayserve_operator.planning.drift import disown, drifted, fitted, is_headless, stamped
from rayserve_operator.planning.observed import ObservedCluster, ObservedService, ServiceView
from rayserve_operator.planning.service import labelling, shifting
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.roles import is_conflict, is_detached, stamped_cluster, was_routed
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.render import labels, services

SWITCHED = "SwitchedTraffic"
"""Reason of the announcement that traffic goes to another cluster."""
DETACHED = "StoppedTraffic"
"""Reason of the announcement that traffic goes to none."""
_LOADING = frozenset({"NOT_STARTED", "DEPLOYING"})


def stamp(course: Course) -> Iterator[Step]:
    """Write down which cluster was found to be serving, where no Service says so."""
    active = course.roles.active
    if active is None:
        return
    words = f"The serve Service did not say which cluster takes traffic; {active.name} was found to be it"
    is_adopted = labels.REVISION not in active.cluster.meta.annotations
    found = Announcement("FoundActiveCluster", words, "Normal" if is_adopted else "Warning")
    yield tuple(_mark_routed(active, course.now))
    yield tuple(_route(course.observed, active.cluster, found))


def keep(course: Course) -> Iterator[Step]:
    """Keep traffic where it is."""
    active = course.roles.active
    if active is None:
        if is_detached(course.observed):
            yield tuple(_route(course.observed, _nobody(course)))
    elif _successor(course) is None and not course.makes_room:
        yield tuple(labelling.label_pods(course))
        yield tuple(_route(course.observed, active.cluster, is_shared=labelling.is_shared(course)))


def detach(course: Course) -> Iterator[Step]:
    """Take the traffic from the cluster that is to leave before there is another one: connections are refused then."""
    active, service = course.roles.active, course.observed.service.meta
    if active is not None and course.makes_room:
        yield (Confirm(kind=Kind.RAY_SERVICE, name=service.name, uid=service.uid, version=service.version),)
        words = f"No cluster takes traffic from now on: {active.name} leaves before another one is made"
        yield tuple(_route(course.observed, _nobody(course), Announcement(DETACHED, words, "Warning")))


def keep_preview(course: Course) -> Iterator[AnyAction]:
    """Let a Service lead to the new cluster as long as it does not take over, where the user wants one."""
    live, pending, service = course.observed.preview_service, course.roles.pending, course.observed.service
    if live is not None and live.meta.owner != service.meta.uid:
        return
    if pending is not None and not course.is_first_start and course.goal.spec.has_preview:
        yield from _apply(live, stamped(services.preview_service(service, pending.cluster)), None)
    elif live is not None and not live.meta.deleting:
        told = Announcement("DeletedService", f"Deleted Service {live.meta.name}: no cluster is to take over")
        yield Delete(kind=Kind.SERVICE, name=live.meta.name, uid=live.meta.uid, announce=told)


def clear(course: Course) -> Iterator[AnyAction]:
    """Delete what stood under an earlier name of the serve Service, once the new one leads to the active cluster."""
    serve, active = course.observed.serve_service, course.roles.active
    if serve is None or active is None or stamped_cluster(course.observed) != active.name:
        return
    for stray in course.observed.strays:
        if not stray.meta.deleting:
            told = Announcement("DeletedService", f"Deleted Service {stray.meta.name}: it is {serve.meta.name} now")
            yield Delete(kind=Kind.SERVICE, name=stray.meta.name, uid=stray.meta.uid, announce=told)


def switch(course: Course) -> Iterator[Step]:
    """Move traffic to the new cluster once that is fit."""
    successor = _successor(course)
    if successor is not None:
        meta = successor.cluster.meta
        yield tuple(_mark_routed(successor, course.now, course.goal.revision))
        yield (Confirm(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid),)
        switched = Announcement(SWITCHED, f"Traffic goes to {meta.name} now")
        yield tuple(_route(course.observed, successor.cluster, switched))


def _successor(course: Course) -> ObservedCluster | None:
    """The cluster that all the traffic moves to now."""
    pending = course.roles.pending
    if pending is None or is_conflict(course.observed):
        return None
    return pending if shifting.due(course, pending) == WHOLE else None


def _nobody(course: Course) -> RayCluster:
    """What the Services lead to while they lead nowhere: a cluster that cannot be, with the ports of the goal."""
    options = {labels.SERVE_OPTIONS: notes.written(course.goal.serve.cluster_part)}
    meta = replace(course.observed.service.meta, name=labels.NO_CLUSTER, annotations=options)
    return RayCluster(meta, course.goal.spec.ray_cluster_config, RayClusterStatus())


def label_heads(course: Course) -> Iterator[AnyAction]:
    """The head takes traffic while its proxy answers; its readiness alone does not tell, unlike a worker's.

    One that is to be left out goes only when a worker serves, because until then it is all that does. A new one comes
    in beside workers that serve when its applications are loaded: its proxy answers well before it has any replicas.
    """
    for cluster in course.roles.watched:
        head = cluster.head
        if head is None:
            continue
        is_in = head.meta.labels.get(labels.SERVE) == "true"
        answers = is_in if cluster.head_proxy_answers is None else cluster.head_proxy_answers
        is_excluded = course.goal.spec.exclude_head_pod_from_serve_svc
        others_serve = any(pod.serving for pod in cluster.pods if pod is not head)
        may_come = is_in or not others_serve or not _loads(course, cluster)
        belongs = answers and may_come and (not is_excluded or (is_in and not others_serve))
        if belongs != is_in:
            yield Annotate(
                kind=Kind.POD,
                name=head.meta.name,
                uid=head.meta.uid,
                labels={labels.SERVE: "true" if belongs else "false"},
            )


def _loads(course: Course, cluster: ObservedCluster) -> bool:
    """Whether an application is still on its way, and has not failed."""
    config = course.config_of(cluster)
    if config is None or not isinstance(cluster.serve, ServeStatus):
        return False
    found = cluster.serve.applications
    return any(name not in found or found[name].status in _LOADING for name in config.application_names)


def _mark_routed(cluster: ObservedCluster, now: datetime, proven: str | None = None) -> Iterator[AnyAction]:
    noted: dict[str, str | None] = {} if was_routed(cluster) else {labels.ROUTED_AT: now.isoformat()}
    if proven is not None and cluster.cluster.meta.annotations.get(labels.SERVED) != proven:
        noted[labels.SERVED] = proven
    if noted:
        yield notes.on_cluster(cluster, noted)


def _route(
    observed: ObservedService,
    active: RayCluster,
    announce: Announcement | None = None,
    *,
    is_shared: bool = False,
) -> Iterator[AnyAction]:
    """Keep the two stable Services on the active cluster. The serve Service carries the stamp."""
    service = observed.service
    serve = stamped(services.stable_serve_service(service, active, is_shared=is_shared))
    head = stamped(services.stable_head_service(service, active))
    yield from _apply(observed.serve_service, serve, announce)
    if observed.head_service is None or observed.head_service.meta.owner == service.meta.uid:
        yield from _apply(observed.head_service, head, None)


def _apply(live: ServiceView | None, wanted: Mapping[str, Any], announce: Announcement | None) -> Iterator[AnyAction]:
    if live is None:
        yield Create(kind=Kind.SERVICE, manifest=wanted, announce=announce)
    elif is_headless(live.spec) and not is_headless(wanted["spec"]):
        told = Announcement("RecreatingService", f"{live.meta.name} cannot be given an address in place")
        yield Delete(kind=Kind.SERVICE, name=live.meta.name, uid=live.meta.uid, announce=told)
    elif drifted(live, possible := fitted(live, wanted)):
        fenced = {**possible, "metadata": {**possible["metadata"], "resourceVersion": live.meta.version}}
        yield Apply(kind=Kind.SERVICE, manifest=fenced, announce=announce)
    elif (patch := disown(live)) is not None:
        yield patch
