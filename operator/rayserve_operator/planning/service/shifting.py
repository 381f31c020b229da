"""When a new cluster that is fit takes traffic, and how much of it.

Blue/green is the shift in one step, and the default. In more steps, the pods that take traffic bear a label of ours for
as long as two clusters share it, and the stable Service selects by that label. It begins to when all pods that serve
bear it, and a moment later: whoever puts pods behind a Service learns of labels and of selectors in two ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from rayserve_operator.planning.actions import Annotate, AnyAction, Kind
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.planning.service import analysis
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.share import WHOLE, Share, pods_of, share_of, takes_traffic
from rayserve_operator.render import labels

LABELLED_FOR = timedelta(seconds=2)
"""From the labels until the Service selects by them."""


class Reason(StrEnum):
    """Why a cluster that is fit does not take more; the reasons of condition Reconciling."""

    ANALYSIS = "AnalyzingAnswers"
    """It does not answer its smoke requests as it must."""
    PAUSED = "Paused"
    """A user has paused it."""
    AWAITING_PROMOTION = "AwaitingPromotion"
    """A user has to let it go on."""
    SHIFTING = "ShiftingTraffic"
    """It has its share, and takes the next one when it has had this one for long enough."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the new cluster does not take more traffic yet."""

    reason: Reason
    message: str


def wait(course: Course) -> Wait | None:
    """What a new cluster that is fit waits for; None where it may take more."""
    pending = course.roles.pending
    if pending is None or course.is_first_start:
        return None
    noted, share, service = pending.cluster.meta.annotations, share_of(pending), course.observed.service.meta.name
    percent = 0 if share is None else share.percent
    takes = f"{pending.name} takes {percent}% of the traffic ({_told(course)})"
    smoke = analysis.smoke(course, pending)
    if smoke is not None:
        return Wait(Reason.ANALYSIS, f"{takes}: {smoke}")
    if noted.get(labels.PAUSE) == "true":
        return Wait(Reason.PAUSED, f"{takes} and is paused: `rayserve rollout resume {service}` lets it go on")
    if noted.get(labels.PROMOTE) == "full":
        return None
    barrier = course.goal.spec.pauses_at
    if barrier is not None and percent >= barrier and noted.get(labels.PROMOTE) != "true":
        words = f"{takes} and waits to be promoted: `rayserve rollout promote {service}` lets it go on"
        return Wait(Reason.AWAITING_PROMOTION, words)
    if share is None:
        return None
    if not is_in_place(course):
        return Wait(Reason.SHIFTING, f"{takes}; its pods are being added")
    until = share.since + timedelta(seconds=course.goal.spec.share_interval if percent else 0)
    return Wait(Reason.SHIFTING, f"{takes} until {until:%H:%M:%S}") if course.now < until else None


def due(course: Course, pending: ObservedCluster) -> int:
    """The share that the new cluster is to take now, in percent: the one that it has, as long as it waits."""
    share = share_of(pending)
    percent = 0 if share is None else share.percent
    if not course.is_fit or wait(course) is not None:
        return percent
    if course.is_first_start or pending.cluster.meta.annotations.get(labels.PROMOTE) == "full":
        return WHOLE
    return next(step for step in course.goal.spec.shares if step > percent)


def next_share(course: Course, pending: ObservedCluster) -> Share | None:
    """The share to be noted on the new cluster. All of the traffic is no share: then it moves with the Service."""
    share, percent = share_of(pending), due(course, pending)
    if percent in (0, WHOLE) or (share is not None and percent == share.percent):
        return share
    return Share(0 if share is None else percent, course.now)


def is_shared(course: Course) -> bool:
    """Whether the stable Service is to select by label, and not a whole cluster."""
    sharing = _sharing(course)
    if sharing is None:
        return False
    share = sharing.share
    return share.percent > 0 or (_is_labelled(course) and course.now >= share.since + LABELLED_FOR)


def is_in_place(course: Course) -> bool:
    """Whether traffic is shared as is noted."""
    return _selects_by_label(course) and _is_labelled(course)


def label_pods(course: Course) -> Iterator[AnyAction]:
    """Bring the label to the pods that are to take traffic, and take it from the others."""
    service, wanted = course.observed.service.meta.name, _wanted(course)
    if wanted is None and _selects_by_label(course):
        # The Service comes first, or it would lead nowhere.
        return
    for pod in _concerned(course, shares=wanted is not None):
        belongs = wanted is not None and pod.meta.name in wanted
        if belongs != takes_traffic(pod, service):
            value = labels.check_label(service) if belongs else None
            yield Annotate(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, labels={labels.TRAFFIC: value})


def endpoints(course: Course) -> tuple[int, int]:
    """The pods of the active and of the new cluster that take traffic."""
    active, pending = course.roles.active, course.roles.pending
    if not _selects_by_label(course):
        return (active.serving_pods if active else 0), 0
    service = course.observed.service.meta.name
    old, new = (
        sum(pod.serving and takes_traffic(pod, service) for pod in cluster.pods) if cluster else 0
        for cluster in (active, pending)
    )
    return old, new


def real_shares(course: Course) -> dict[str, Share]:
    """The shares that clusters really take, in pods, by name; empty where the traffic is not shared."""
    sharing, (old, new) = _sharing(course), endpoints(course)
    if sharing is None or not new:
        return {}
    percent, since = round(100 * new / (old + new)), sharing.share.since
    return {sharing.active.name: Share(100 - percent, since), sharing.pending.name: Share(percent, since)}


@dataclass(frozen=True, slots=True)
class _Sharing:
    """Two clusters between which the traffic is to be shared."""

    active: ObservedCluster
    pending: ObservedCluster
    share: Share
    """What the new one is to take."""


def _sharing(course: Course) -> _Sharing | None:
    active, pending = course.roles.active, course.roles.pending
    share = None if pending is None else share_of(pending)
    if active is None or pending is None or share is None:
        return None
    return _Sharing(active, pending, share)


def _told(course: Course) -> str:
    old, new = endpoints(course)
    return f"{new} of {old + new} pods"


def _is_labelled(course: Course) -> bool:
    service, wanted = course.observed.service.meta.name, _wanted(course)
    pods = _concerned(course, shares=wanted is not None)
    return wanted == frozenset(pod.meta.name for pod in pods if takes_traffic(pod, service))


def _wanted(course: Course) -> frozenset[str] | None:
    found, service = _sharing(course), course.observed.service.meta.name
    return None if found is None else pods_of(service, found.active, found.pending, found.share.percent)


def _selects_by_label(course: Course) -> bool:
    service = course.observed.serve_service
    return service is not None and labels.TRAFFIC in (service.spec.get("selector") or {})


def _concerned(course: Course, *, shares: bool) -> Iterator[PodView]:
    """The pods whose label matters. One that does not serve at the moment keeps it, unless its cluster has no share."""
    for cluster in course.roles.watched:
        yield from (pod for pod in cluster.pods if pod.serving or (not shares and pod.alive))
    for cluster in course.roles.leaving:
        yield from (pod for pod in cluster.pods if pod.alive)
