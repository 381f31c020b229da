"""A share of the traffic in pods: those that take it bear a label of ours for as long as two clusters share it.

The stable Service selects by that label. It begins to when all pods that serve bear it, and a moment later: whoever
puts pods behind a Service learns of labels and of selectors in two ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rayserve_operator.planning.actions import Annotate, AnyAction, Kind
from rayserve_operator.planning.observed import PodView
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.share import Sharing, pods_of, takes_traffic
from rayserve_operator.render import labels

LABELLED_FOR = timedelta(seconds=2)
"""From the labels until the Service selects by them."""


def is_shared(course: Course) -> bool:
    """Whether the stable Service is to select by label, and not a whole cluster."""
    sharing = _sharing(course)
    if sharing is None:
        return False
    return selects_by_label(course) or (_is_labelled(course) and course.now >= sharing.share.since + LABELLED_FOR)


def is_in_place(course: Course) -> bool:
    """Whether traffic is shared as is noted."""
    return selects_by_label(course) and _is_labelled(course)


def label_pods(course: Course) -> Iterator[AnyAction]:
    """Bring the label to the pods that are to take traffic, and take it from the others."""
    service, wanted = course.observed.service.meta.name, _wanted(course)
    if wanted is None and selects_by_label(course):
        # The Service comes first, or it would lead nowhere.
        return
    for pod in _concerned(course, shares=wanted is not None):
        belongs = wanted is not None and pod.meta.name in wanted
        if belongs != takes_traffic(pod, service):
            value = labels.check_label(service) if belongs else None
            yield Annotate(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, labels={labels.TRAFFIC: value})


def endpoints(course: Course) -> tuple[int, int]:
    """The pods of the active and of the new cluster that take traffic by the stable Service."""
    active, beside = course.roles.active, course.roles.beside
    if not selects_by_label(course):
        return (active.serving_pods if active else 0), 0
    service = course.observed.service.meta.name
    old, new = (
        sum(pod.serving and takes_traffic(pod, service) for pod in cluster.pods) if cluster else 0
        for cluster in (active, beside)
    )
    return old, new


def selects_by_label(course: Course) -> bool:
    """Whether the stable Service leads to the pods that bear the label."""
    service = course.observed.serve_service
    return service is not None and labels.TRAFFIC in (service.spec.get("selector") or {})


def _sharing(course: Course) -> Sharing | None:
    return None if course.is_by_route else course.sharing


def _is_labelled(course: Course) -> bool:
    service, wanted = course.observed.service.meta.name, _wanted(course)
    pods = _concerned(course, shares=True)
    return wanted == frozenset(pod.meta.name for pod in pods if takes_traffic(pod, service))


def _wanted(course: Course) -> frozenset[str] | None:
    found, service = _sharing(course), course.observed.service.meta.name
    return None if found is None else pods_of(service, found.active, found.pending, found.share.percent)


def _concerned(course: Course, *, shares: bool) -> Iterator[PodView]:
    """The pods whose label matters. One that does not serve at the moment keeps it, unless its cluster has no share."""
    for cluster in course.roles.watched:
        yield from (pod for pod in cluster.pods if pod.serving or (not shares and pod.alive))
    for cluster in course.roles.leaving:
        yield from (pod for pod in cluster.pods if pod.alive)
