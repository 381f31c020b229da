"""How a cluster leaves: at once if it never took traffic, else in a moment when nobody asks it anything.

At the switch no connection moves: a client that keeps one open goes on with the old cluster, whose proxies never tell
it to leave. Such connections end with their pod, so the pods end at a moment when no request is under way, all at
once and quickly. Left to Ray's own drain instead, they would go on for most of a minute in which Ray moves replicas to
and fro between nodes that all leave, and the head's proxy would take requests that nobody answers any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Announcement, AnyAction, Confirm, Delete, Kind, Step
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.planning.service import routes
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.roles import Roles, has_ended, is_detached, may_have_served
from rayserve_operator.render import labels

QUIET_FOR = timedelta(seconds=15)
"""From the first look that finds no request to one that counts, because Ray's gauges lag 10 s behind. Looks in between
may find some: a long request would be found by all of them, and short ones come for as long as connections are kept."""
LOOKED_AT_EVERY = timedelta(seconds=5)
SPREAD_EVERY = timedelta(seconds=0.5)
"""How often the EndpointSlices are read until they show the switch."""
GRACE = 1
"""Seconds that a pod is given to end, at a moment when there is nothing that it could end well."""
GONE_WITHIN = timedelta(seconds=30)
"""For so long a cluster that has to make room is kept until its pods are gone: one on a lost node may never go."""


def is_looked_at(cluster: ObservedCluster, goal: Goal, now: datetime) -> bool:
    """Whether it matters how many requests are under way on the cluster."""
    clock = _clock(cluster, goal)
    return clock is not None and now >= clock.looks_begin and not has_ended(cluster)


def needs_endpoints(roles: Roles) -> bool:
    """Whether it matters where the serve Service sends traffic: before the first step against a cluster."""
    return any(_takes_leave(cluster) for cluster in roles.leaving)


def steps(course: Course) -> Iterator[Step]:
    """The next step of every cluster that leaves."""
    for cluster in course.roles.leaving:
        clock = _clock(cluster, course.goal)
        if has_ended(cluster):
            yield tuple(_end_pods(cluster))
            if not _is_awaited(course, cluster):
                yield from _delete(course, cluster)
        elif not may_have_served(cluster):
            yield from _end(course, cluster, _why_superseded(course))
        elif clock is None:
            if _has_left_the_service(course, cluster):
                told = Announcement("RetiredRayCluster", f"{cluster.name} takes no new traffic and is drained")
                yield (notes.on_cluster(cluster, {labels.RETIRED_AT: course.now.isoformat()}, told),)
        else:
            yield from _drain(course, cluster, clock)


def to_be_asked(observed: ObservedCluster) -> tuple[PodView, ...]:
    """The pods that may have requests under way: all in which Ray runs, be they on their way out."""
    return tuple(pod for pod in observed.pods if pod.ray is not None and pod.ray.running)


def recheck(course: Course) -> timedelta | None:
    """When to look at a leaving cluster again."""
    waits = []
    for cluster in course.roles.leaving:
        clock = _clock(cluster, course.goal)
        if clock is None or has_ended(cluster):
            waits.append(SPREAD_EVERY)
        elif course.now < clock.looks_begin:
            waits.append(clock.looks_begin - course.now)
        else:
            waits.append(max(min(LOOKED_AT_EVERY, clock.ends - course.now), timedelta()))
    return min(waits, default=None)


def progress(course: Course) -> str:
    """What the clusters that leave wait for, in words; empty where none is drained."""
    told = []
    for cluster in course.roles.leaving:
        if _takes_leave(cluster):
            behind = "an HTTPRoute" if routes.leads_to(course.observed, cluster) else "the serve Service"
            told.append(f"{cluster.name} still stands behind {behind}")
        elif may_have_served(cluster):
            told.append(f"{cluster.name} is drained")
    return "; ".join(told)


def _drain(course: Course, cluster: ObservedCluster, clock: _Clock) -> Iterator[Step]:
    now = course.now
    if now < clock.looks_begin:
        return
    if now >= clock.ends:
        count = "an unknown number of" if cluster.ongoing is None else cluster.ongoing
        yield from _end(course, cluster, f"the drain timeout has passed, with {count} requests under way")
    elif cluster.ongoing == 0:
        quiet_at = notes.time_of(cluster.cluster.meta, labels.QUIET_AT)
        if quiet_at is None:
            yield (notes.on_cluster(cluster, {labels.QUIET_AT: now.isoformat()}),)
        elif now >= max(quiet_at + QUIET_FOR, clock.delayed_until):
            yield from _end(course, cluster, "no request is under way")


def _end(course: Course, cluster: ObservedCluster, why: str) -> Iterator[Step]:
    """End the pods of the cluster, then the cluster: from the note on, nobody makes new ones."""
    yield from _confirm(course)
    told = Announcement("EndedRayCluster", f"The pods of {cluster.name} end: {why}")
    yield (notes.on_cluster(cluster, {labels.ENDED_AT: course.now.isoformat()}, told),)
    yield tuple(_end_pods(cluster))


def _end_pods(cluster: ObservedCluster) -> Iterator[AnyAction]:
    for pod in cluster.pods:
        if not pod.meta.deleting:
            yield Delete(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, grace=GRACE)


def _delete(course: Course, cluster: ObservedCluster) -> Iterator[Step]:
    """Delete a cluster that has ended, and that the serve Service, read afresh, still does not name.

    Its own version is no condition: nothing takes it up again, and its status changes with every pod that goes.
    """
    meta = cluster.cluster.meta
    yield from _confirm(course)
    told = Announcement("DeletedRayCluster", f"Deleted {meta.name}")
    yield (Delete(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid, announce=told),)


def _is_awaited(course: Course, cluster: ObservedCluster) -> bool:
    """Whether pods of a cluster that makes room still hold it: a pod that is made too early may call for a node."""
    ended = notes.time_of(cluster.cluster.meta, labels.ENDED_AT)
    is_late = ended is None or course.now >= ended + GONE_WITHIN
    return course.goal.spec.recreates and bool(cluster.pods) and not is_late


def _confirm(course: Course) -> Iterator[Step]:
    service = course.observed.serve_service
    if service is not None:
        meta = service.meta
        yield (Confirm(kind=Kind.SERVICE, name=meta.name, uid=meta.uid, version=meta.version),)


def _why_superseded(course: Course) -> str:
    is_given_up = course.failure is not None or course.goal.instead_of is not None
    return "its rollout was given up" if is_given_up else "it was superseded before it took traffic"


def _takes_leave(cluster: ObservedCluster) -> bool:
    """Whether it has lost the traffic, which is not written down yet."""
    return may_have_served(cluster) and notes.time_of(cluster.cluster.meta, labels.RETIRED_AT) is None


def _has_left_the_service(course: Course, cluster: ObservedCluster) -> bool:
    """Whether Kubernetes sends traffic to the active cluster, or rightly to none, and none to this one any more."""
    active, endpoints = course.roles.active, course.observed.endpoints
    if endpoints is None or endpoints & _names(cluster) or routes.leads_to(course.observed, cluster):
        return False
    return is_detached(course.observed) if active is None else bool(endpoints & _names(active))


def _names(cluster: ObservedCluster) -> frozenset[str]:
    return frozenset(pod.meta.name for pod in cluster.pods)


@dataclass(frozen=True, slots=True)
class _Clock:
    """The times of a drain, counted from when the cluster was retired."""

    looks_begin: datetime
    delayed_until: datetime
    ends: datetime
    """When the pods end in any case: never before the deletion delay has passed."""


def _clock(cluster: ObservedCluster, goal: Goal) -> _Clock | None:
    retired = notes.time_of(cluster.cluster.meta, labels.RETIRED_AT)
    if retired is None:
        return None
    delay, longest = timedelta(seconds=goal.spec.deletion_delay), timedelta(seconds=goal.spec.drain_timeout)
    return _Clock(retired + max(delay - QUIET_FOR, timedelta()), retired + delay, retired + max(delay, longest))
