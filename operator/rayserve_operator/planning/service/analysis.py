"""What a new cluster is held against while it is to take over: smoke requests, and what its answers to users are like.

Both clusters are counted from the moment at which the present share of the traffic began. What cannot be counted, or
is too little to say anything, holds nothing back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from rayserve_operator.model.rayservice import Analysis
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import ObservedCluster, Traffic
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.roles import Roles
from rayserve_operator.planning.service.share import share_of
from rayserve_operator.render import labels

TRIED_FOR = timedelta(seconds=15)
"""For so long a smoke request may go wrong: a replica that has just started may be slow."""


def is_tried(observed: ObservedCluster, goal: Goal, roles: Roles) -> bool:
    """Whether smoke requests are to be sent to the cluster."""
    is_next = observed is roles.pending and roles.active is not None
    return is_next and bool(goal.spec.analysis.smoke_requests)


def is_measured(goal: Goal, roles: Roles) -> bool:
    """Whether it matters what was counted of the traffic of both clusters."""
    share = None if roles.pending is None else share_of(roles.pending)
    return share is not None and share.percent > 0 and goal.spec.analysis.is_measured


def smoke(course: Course, pending: ObservedCluster) -> str | None:
    """What is wrong with the answers to the smoke requests; None where all are well, or none is asked for."""
    wanted = course.goal.spec.analysis.smoke_requests
    if not wanted:
        return None
    if pending.smoke is None:
        return "its smoke requests were not sent yet"
    wrong = [
        f"GET {one.path} gave {pending.smoke.get(one.path) or 'no answer'} and not {one.expected}"
        for one in wanted
        if pending.smoke.get(one.path) != one.expected
    ]
    return "; ".join(wrong) or None


def notes_of(course: Course, pending: ObservedCluster) -> dict[str, str | None]:
    """What is written down on the new cluster: since when it gives smoke, and where the counts began."""
    is_wrong = pending.smoke is not None and smoke(course, pending) is not None
    since = pending.cluster.meta.annotations.get(labels.SMOKE_SINCE, course.now.isoformat())
    return {labels.SMOKE_SINCE: since if is_wrong else None, **_base(course, pending)}


def complaints(course: Course) -> Iterator[str]:
    """Why the new cluster is not to take over, in words; what was noted of an earlier goal does not count."""
    pending = course.roles.pending
    if pending is None or not course.is_given_the_goal(pending):
        return
    words, since = smoke(course, pending), notes.time_of(pending.cluster.meta, labels.SMOKE_SINCE)
    if words is not None and since is not None and course.now - since >= TRIED_FOR:
        yield f"cluster {pending.name}: {words}"
    window = _window(course, pending)
    if window is not None:
        for said in _of_answers(window, course.goal.spec.analysis):
            yield f"cluster {pending.name}: {said}"


@dataclass(frozen=True, slots=True)
class _Window:
    """What was counted on both clusters, in all or since the present share began."""

    old: Traffic
    new: Traffic


def _base(course: Course, pending: ObservedCluster) -> dict[str, str | None]:
    """Counted anew with every share: its note goes with the old share, and comes when both clusters have been asked."""
    active, noted = course.roles.active, pending.cluster.meta.annotations.get(labels.MEASURED)
    if noted is not None or active is None or active.traffic is None or pending.traffic is None:
        return {}
    if not is_measured(course.goal, course.roles):
        return {}
    return {labels.MEASURED: notes.written(asdict(_Window(active.traffic, pending.traffic)))}


def _window(course: Course, pending: ObservedCluster) -> _Window | None:
    active, noted = course.roles.active, notes.record_of(pending.cluster.meta, labels.MEASURED)
    if active is None or active.traffic is None or pending.traffic is None:
        return None
    try:
        old, new = (Traffic(**noted[side]) for side in ("old", "new"))
    except (KeyError, TypeError):
        return None
    return _Window(active.traffic.since(old), pending.traffic.since(new))


def _of_answers(window: _Window, analysis: Analysis) -> Iterator[str]:
    old, new = window.old, window.new
    if new.requests < analysis.fewest:
        return
    errors, before = _errors(new), _errors(old)
    if analysis.max_error_percent is not None and errors > max(analysis.max_error_percent, before):
        yield f"{errors:.0f}% of {new.requests} answers are errors, and {before:.0f}% of the old cluster's"
    if analysis.max_latency_percent is not None and old.requests >= analysis.fewest:
        took, usual = new.milliseconds / new.requests, old.milliseconds / old.requests
        if took * 100 > usual * analysis.max_latency_percent:
            yield f"{new.requests} answers took {took:.0f} ms in the mean, and those of the old cluster {usual:.0f} ms"


def _errors(counted: Traffic) -> float:
    """Errors in percent."""
    return 100 * counted.errors / counted.requests if counted.requests else 0.0
