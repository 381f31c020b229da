"""How the capacity moves from the old cluster to the new one where both together may not have twice as much.

Each cluster is asked for a part of its capacity, in percent, and three things hold at any time: both parts together are
no more than one whole and the surge; no cluster has a larger share of the traffic than of its capacity; and nothing is
taken from the old one that could still be needed at once, so that it gives up capacity only for the next step of the
traffic, after the present one has been held for its time and is approved of.

On the way there (the new cluster has share p and is to have q, no more than p and the surge) the old one is lowered to
what the surge leaves beside q, which is no less than its own share; then the new one is raised to q; then q of the
traffic moves. On the way back the new one is lowered to the share p that it still has, the old one raised to the rest,
and when that has its replicas, as much of the traffic returns as they are good for. A cluster that has all the traffic
is asked for all that its config says, without any target_capacity.

A pod's proxy reaches all replicas of its cluster. So the parts go by the shares that are wanted, be they made by the
weights of a route or by pods.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Annotate, Announcement, AnyAction, Kind, Patch
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.observed import ObservedCluster, Silence
from rayserve_operator.planning.service import capacity, gate, shifting
from rayserve_operator.planning.service.capacity import Portion
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.roles import needs_new_cluster
from rayserve_operator.planning.service.share import WHOLE, Share, Sharing, share_of, taken_by
from rayserve_operator.planning.words import few
from rayserve_operator.render import labels


def first_spec(course: Course) -> RayClusterSpec:
    """The spec with which a cluster is made that is to take over."""
    return capacity.sized(course.goal.spec.ray_cluster_config, course.roles.active, _first_part(course))


class Parts(NamedTuple):
    """What both clusters are asked for side by side, in percent of the capacity of one."""

    old: int
    new: int


def parts_to_come(course: Course) -> Iterator[Parts]:
    """The parts at each step that is left of the way to the goal, if nothing goes wrong on it."""
    active, pending, spec = course.roles.active, course.roles.pending, course.goal.spec
    if active is None or course.roles.candidate is active or spec.surge == WHOLE:
        yield Parts(WHOLE, WHOLE)
        return
    # Where nothing is on its way yet, an old cluster that was asked for less has all of it back before anything is.
    percent, old = (0, WHOLE) if pending is None else (taken_by(pending), capacity.percent_of(active))
    while percent < WHOLE:
        percent = shifting.step_after(percent, spec.shares, spec.surge)
        yield Parts(old, min(percent, WHOLE + spec.surge - old))
        old = min(old, WHOLE + spec.surge - percent)
        yield Parts(old, percent)


def first_notes(course: Course) -> dict[str, str]:
    """What is noted on it from the beginning."""
    part = _first_part(course)
    return {} if part == WHOLE else {labels.CAPACITY: Portion(part, course.now).written}


def spec_of(course: Course, candidate: ObservedCluster) -> RayClusterSpec:
    """What of the goal's spec the candidate is to have now."""
    spec = course.goal.spec.ray_cluster_config
    return capacity.held_down(spec, capacity.minima_of(spec), capacity.percent_of(candidate))


def hold_minima(course: Course) -> Iterator[AnyAction]:
    """Bring the minima of the old cluster's worker groups to the part of its capacity that it is asked for."""
    active = course.roles.active
    portion = None if active is None else capacity.portion_of(active)
    if active is None or portion is None:
        return
    spec = active.cluster.spec
    diff = compare(spec, capacity.held_down(spec, portion.minima, portion.percent))
    if diff.operations:
        words = f"Changed {few(diff.edited)} of {active.name}, which is to have {portion.percent}% of its capacity"
        told = Announcement("UpdatedRayCluster", words)
        yield Patch(kind=Kind.RAY_CLUSTER, name=active.name, operations=diff.operations, announce=told)


def notes_of_alone(course: Course, active: ObservedCluster) -> dict[str, str | None]:
    """What is noted on a cluster that has all the traffic: its minima come back first, unless the goal says them."""
    portion, spec, goal = capacity.portion_of(active), active.cluster.spec, course.goal
    follows_goal = goal.spec.holds_cluster or not needs_new_cluster(active, goal)
    if portion is None or follows_goal:
        return {labels.CAPACITY: None}
    is_whole = not compare(spec, capacity.held_down(spec, portion.minima, WHOLE)).operations
    return {labels.CAPACITY: None} if is_whole else _noted(course, active, WHOLE)


def notes_of_new(course: Course, pending: ObservedCluster) -> dict[str, str | None]:
    """What is noted on the cluster that is to take over. With more capacity it has all the time again to match it."""
    active, surge = course.roles.active, course.goal.spec.surge
    if active is None or surge == WHOLE:
        return {labels.CAPACITY: None}
    noted, follows = capacity.portion_of(pending), _follows(course, active)
    old = capacity.percent_of(active) if follows else WHOLE
    percent = max(taken_by(pending), min(shifting.next_step(course, pending), WHOLE + surge - old))
    if noted is not None and not follows:
        # One look that tells nothing takes no capacity away.
        percent = max(percent, noted.percent)
    changed = {} if noted is not None and noted.percent == percent else {labels.WARM_SINCE: None}
    return {**_noted(course, pending, percent), **changed}


def notes_of_old(course: Course, active: ObservedCluster) -> dict[str, str | None]:
    """What is noted on the cluster that is to be taken over from."""
    pending, surge = course.roles.pending, course.goal.spec.surge
    if pending is None or surge == WHOLE or share_of(pending) is None:
        return notes_of_alone(course, active)
    if not (course.is_given_the_goal(pending) and course.is_fit and shifting.held(course) is None):
        return {}
    percent = WHOLE + surge - shifting.next_step(course, pending)
    return _noted(course, active, percent) if percent < capacity.percent_of(active) else {}


def retreat(course: Course, sharing: Sharing) -> Iterator[Annotate]:
    """The next step back of a cluster that is not to take over any more.

    Where the old one does not get its capacity back within the time of a warm-up, the traffic returns in any case.
    """
    active, beside, percent = sharing.active, sharing.pending, sharing.share.percent
    surge, config = course.goal.spec.surge, course.config_of(active)
    rest = min(WHOLE, WHOLE + surge - percent)
    is_late = course.now >= _last_step(sharing) + timedelta(seconds=course.goal.spec.warm_up_timeout)
    if not (is_late or shifting.is_in_place(course)):
        return
    if capacity.percent_of(beside) != percent:
        yield notes.on_cluster(beside, _noted(course, beside, percent))
    elif capacity.percent_of(active) != rest:
        # One that cannot be asked will not have less.
        if is_late or isinstance(beside.serve, Silence) or _follows(course, beside):
            yield notes.on_cluster(active, _noted(course, active, rest))
    elif is_late or (config is not None and gate.is_settled(active, config)):
        left = max(percent - surge, 0)
        yield notes.on_cluster(beside, {labels.SHARE: Share(left, course.now).written if left else None})


def _last_step(sharing: Sharing) -> datetime:
    """When the traffic, or what a cluster is asked for, was changed last."""
    portions = map(capacity.portion_of, (sharing.active, sharing.pending))
    return max([sharing.share.since, *(portion.since for portion in portions if portion is not None)])


def _first_part(course: Course) -> int:
    spec = course.goal.spec
    is_alone = course.roles.active is None or spec.surge == WHOLE
    return WHOLE if is_alone else shifting.step_after(0, spec.shares, spec.surge)


def _follows(course: Course, cluster: ObservedCluster) -> bool:
    """Whether Ray has taken in what the cluster is asked for."""
    config = course.config_of(cluster)
    return config is not None and gate.in_sync(cluster, config)


def _noted(course: Course, cluster: ObservedCluster, percent: int) -> dict[str, str | None]:
    portion = capacity.portion_of(cluster)
    if portion is None:
        # The minima of one that is to take over stand in the goal.
        minima = capacity.minima_of(cluster.cluster.spec) if cluster is course.roles.active else {}
        return {labels.CAPACITY: Portion(percent, course.now, minima).written}
    changed = Portion(percent, course.now, portion.minima)
    return {} if portion.percent == percent else {labels.CAPACITY: changed.written}
