"""Workers of a head that is gone: without fault tolerance a new head knows nothing of them.

Ray in them clings to the old head for a minute and serves meanwhile. Once others can do their work they leave in two
steps. They leave the Services first, because nobody could drain them: told to stop, Ray in them is gone at once, and
sooner than the last node has heard that no connection is to be made to them any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Annotate, Kind
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.render import fault_tolerance, labels

LEAVES_FOR = timedelta(seconds=10)
"""From the Services to the end: in it every node hears of it, and requests under way have their time."""


def is_orphaned(pod: PodView, observed: ObservedRayCluster, head: PodView | None) -> bool:
    """Whether a worker belongs to a head that is gone.

    Its creation is compared, and not only its start, because that clock is its node's.
    """
    if head is None or head.meta.created is None or pod.meta.created is None or pod.ray is None:
        return False
    if fault_tolerance.is_fault_tolerant(observed.cluster) or pod.ray.running_since is None:
        return False
    return pod.meta.created < head.meta.created and pod.ray.running_since < head.meta.created


def has_left(pod: PodView, now: datetime) -> bool:
    """Whether nobody asks it anything any more, so that it may be deleted."""
    return not pod.serving and _time_left(pod, now) <= timedelta()


def leave(pods: Iterable[PodView], now: datetime) -> Iterator[Annotate]:
    """Take them from the Services."""
    for pod in pods:
        if pod.serving:
            yield Annotate(
                kind=Kind.POD,
                name=pod.meta.name,
                uid=pod.meta.uid,
                labels={labels.SERVE: "false"},
                annotations={labels.RETIRED_AT: now.isoformat()},
            )


def recheck(pods: Iterable[PodView], now: datetime) -> timedelta | None:
    """When one of them has left."""
    waits = (_time_left(pod, now) for pod in pods if not pod.meta.deleting)
    return min((wait for wait in waits if wait > timedelta()), default=None)


def _time_left(pod: PodView, now: datetime) -> timedelta:
    left_at = notes.time_of(pod.meta, labels.RETIRED_AT)
    return timedelta() if left_at is None else left_at + LEAVES_FOR - now
