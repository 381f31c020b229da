"""When a new cluster that is fit takes traffic, and how much of it.

Blue/green is the shift in one step, and the default. In more steps two clusters share the traffic for a while, by
labels on pods or by the weights of an HTTPRoute; which of the two it is makes no difference to what is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service import analysis, capacity, labelling, routes
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.share import WHOLE, Share, Sharing, share_of, taken_by
from rayserve_operator.render import labels


class Reason(StrEnum):
    """Why a cluster that is fit does not take more; the reasons of condition Reconciling."""

    ANALYSIS = "AnalyzingAnswers"
    """It does not answer its smoke requests as it must."""
    PAUSED = "Paused"
    """A user has paused it."""
    AWAITING_PROMOTION = "AwaitingPromotion"
    """A user has to let it go on."""
    ROUTE = "RouteNotReady"
    """The HTTPRoute cannot share the traffic."""
    SHIFTING = "ShiftingTraffic"
    """It has its share, and takes the next one when it has had this one for long enough."""
    CAPACITY = "MovingCapacity"
    """The old cluster gives up the capacity that the new one needs for its next share."""
    RETREATING = "GivingTrafficBack"
    """It is not to take over any more, and has a share until the old cluster has the capacity for all the traffic."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the new cluster does not take more traffic yet."""

    reason: Reason
    message: str


def wait(course: Course) -> Wait | None:
    """What a new cluster that is fit waits for; None where it may take more."""
    pending, found = course.roles.pending, held(course)
    if pending is None or found is not None:
        return found
    wanted = next_step(course, pending)
    if capacity.percent_of(pending) >= wanted:
        return None
    takes = f"{pending.name} takes {taken_by(pending)}% of the traffic ({_told(course)})"
    return Wait(Reason.CAPACITY, f"{takes} and is to have the capacity for {wanted}%")


def held(course: Course) -> Wait | None:
    """What a new cluster that is fit waits for, whatever its capacity."""
    pending = course.roles.pending
    if pending is None or course.is_first_start:
        return None
    noted, share, service = pending.cluster.meta.annotations, share_of(pending), course.observed.service.meta.name
    percent, is_full = taken_by(pending), _is_full(pending)
    takes = f"{pending.name} takes {percent}% of the traffic ({_told(course)})"
    smoke = analysis.smoke(course, pending)
    if smoke is not None:
        return Wait(Reason.ANALYSIS, f"{takes}: {smoke}")
    if noted.get(labels.PAUSE) == "true":
        return Wait(Reason.PAUSED, f"{takes} and is paused: `rayserve rollout resume {service}` lets it go on")
    if is_full and course.goal.spec.surge == WHOLE:
        return None
    barrier = course.goal.spec.pauses_at
    if barrier is not None and percent >= barrier and noted.get(labels.PROMOTE) != "true" and not is_full:
        words = f"{takes} and waits to be promoted: `rayserve rollout promote {service}` lets it go on"
        return Wait(Reason.AWAITING_PROMOTION, words)
    if share is None:
        return None
    if not is_in_place(course):
        why = _why_not_in_place(course)
        return Wait(why.reason, f"{takes}; {why.message}")
    until = share.since + timedelta(seconds=course.goal.spec.share_interval if percent and not is_full else 0)
    return Wait(Reason.SHIFTING, f"{takes} until {until:%H:%M:%S}") if course.now < until else None


def due(course: Course, pending: ObservedCluster) -> int:
    """The share that the new cluster is to take now, in percent: the one that it has, as long as it waits."""
    if not course.is_fit or wait(course) is not None:
        return taken_by(pending)
    return WHOLE if course.is_first_start else next_step(course, pending)


def next_step(course: Course, pending: ObservedCluster) -> int:
    """The share after the one that the new cluster has, in percent."""
    spec = course.goal.spec
    return step_after(taken_by(pending), (WHOLE,) if _is_full(pending) else spec.shares, spec.surge)


def step_after(percent: int, shares: Iterable[int], surge: int) -> int:
    """The share after this one, in percent.

    It is further on by the surge at most, because the old cluster keeps the capacity for its traffic until that has
    moved.
    """
    return min(next(share for share in shares if share > percent), percent + surge)


def next_share(course: Course, pending: ObservedCluster) -> Share | None:
    """The share to be noted on the new cluster. All of the traffic is no share: then it moves with the Service."""
    share, percent = share_of(pending), due(course, pending)
    if percent in (0, WHOLE) or (share is not None and percent == share.percent):
        return share
    return Share(0 if share is None else percent, course.now)


def is_in_place(course: Course) -> bool:
    """Whether traffic is shared as is noted."""
    return routes.is_in_place(course) if course.is_by_route else labelling.is_in_place(course)


def endpoints(course: Course) -> tuple[int, int]:
    """The pods of the active and of the new cluster that take traffic."""
    return routes.endpoints(course) if course.is_by_route else labelling.endpoints(course)


def real_shares(course: Course) -> dict[str, Share]:
    """The shares that clusters really take, in pods or weights, by name; empty where the traffic is not shared."""
    sharing, (old, new) = course.sharing, _parts(course)
    if sharing is None or not new:
        return {}
    percent, since = round(100 * new / (old + new)), sharing.share.since
    return {sharing.active.name: Share(100 - percent, since), sharing.pending.name: Share(percent, since)}


def _is_full(pending: ObservedCluster) -> bool:
    """Whether a user has asked for all the traffic at once."""
    return pending.cluster.meta.annotations.get(labels.PROMOTE) == "full"


def told_of_retreat(course: Course, retreat: Sharing) -> str:
    """What a cluster that is not to take over any more waits for with its share, in words."""
    takes = f"{retreat.pending.name} takes {retreat.share.percent}% of the traffic ({_told(course)})"
    return f"{takes} until {retreat.active.name} has the capacity for it"


def _parts(course: Course) -> tuple[int, int]:
    """How the traffic is really shared, in pods or weights of the active and of the new cluster."""
    return routes.weights(course) if course.is_by_route else labelling.endpoints(course)


def _told(course: Course) -> str:
    old, new = _parts(course)
    return f"weight {new} of {old + new}" if course.is_by_route else f"{new} of {old + new} pods"


def _why_not_in_place(course: Course) -> Wait:
    fact = routes.fact(course.observed)
    if fact is None:
        return Wait(Reason.SHIFTING, "its pods are being added")
    if fact.holds is not True:
        return Wait(Reason.ROUTE, fact.message)
    return Wait(Reason.SHIFTING, "its HTTPRoute is being changed, or its Gateway has not seen it yet")
