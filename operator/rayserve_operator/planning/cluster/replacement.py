"""When a pod that ended is replaced: at once the first time, later and later if its successors end early too.

The memory of that is on the pods: each says how many before it, in its place, ended early.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rayserve_operator.planning.observed import PodView, age
from rayserve_operator.render import labels

STEADY = timedelta(minutes=10)
"""A pod that lived for this long did not end early, and counts as no failure."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)


def is_due(pod: PodView, now: datetime) -> bool:
    """Whether a pod that has ended is to be replaced now."""
    return time_left(pod, now) <= timedelta()


def time_left(pod: PodView, now: datetime) -> timedelta:
    """How long a pod that has ended still keeps its place, counted from its creation."""
    if pod.failures == 0:
        return timedelta()
    wait: timedelta = min(FIRST_WAIT * 2 ** min(pod.failures - 1, 16), LONGEST_WAIT)
    return wait - timedelta(seconds=age(pod.meta, now))


def failures_after(pod: PodView, now: datetime) -> int:
    """What the pod that replaces this one says."""
    lived = timedelta(seconds=age(pod.meta, now))
    return 0 if lived >= STEADY else pod.failures + 1


def memory_of(failures: int) -> dict[str, str]:
    """The annotations of a pod that so many failed before."""
    return {labels.FAILURES: str(failures)} if failures else {}
