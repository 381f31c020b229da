"""What keeps a pod from running, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rayserve_operator.planning.observed import ContainerView, End, PodView

LATELY = timedelta(minutes=5)
"""A container that has ended more than once is in trouble for this long after, though it runs at the moment."""
_ONCE_MORE = 2
_BENIGN = (None, "ContainerCreating", "PodInitializing")
_LINE = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble of one pod."""

    pod: str
    """Its name."""
    reason: str
    """One word: the scheduler's, the kubelet's or ours."""
    words: str


def trouble_of(pod: PodView, now: datetime) -> Trouble | None:
    """The first trouble of a pod; None while it is well, or just starts."""
    if pod.unschedulable is not None:
        return Trouble(pod.meta.name, "Unschedulable", f"{pod.meta.name} fits no node: {pod.unschedulable}")
    if pod.finished and pod.reason is not None:
        return Trouble(pod.meta.name, pod.reason, f"{pod.meta.name}: {pod.message or pod.reason}")
    for container in (*pod.init_containers, *pod.containers):
        where = f"{pod.meta.name}, container {container.name}"
        if container.waiting not in _BENIGN:
            detail = last_words(container.crashed) if container.crashed else container.waiting_message
            return Trouble(pod.meta.name, str(container.waiting), f"{where}: {detail}".rstrip(": "))
        if container.ended is not None and container.ended.reason != "Completed":
            return Trouble(pod.meta.name, container.ended.reason, f"{where} ended: {last_words(container.ended)}")
        crashes = _crashes(container, now)
        if crashes is not None:
            again = f"has been started {container.restarts} times anew, last after: {last_words(crashes.last)}"
            return Trouble(pod.meta.name, "CrashLoop", f"{where} {again}")
    return None


def last_words(end: End) -> str:
    """How a container ended: its exit code, the kubelet's word, and the last line that it wrote."""
    lines = [line.strip() for line in end.message.splitlines() if line.strip()]
    code = "" if end.code is None else f"exit code {end.code}, "
    return f"{code}{end.reason}" + (f": {lines[-1][-_LINE:]}" if lines else "")


def recheck(pods: Iterable[PodView], now: datetime) -> timedelta | None:
    """When a trouble may be over although nothing happens."""
    found = (_crashes(container, now) for pod in pods for container in pod.containers)
    return min((crashes.told_for for crashes in found if crashes is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Crashes:
    last: End
    told_for: timedelta
    """How long they will still count as a trouble."""


def _crashes(container: ContainerView, now: datetime) -> _Crashes | None:
    last = container.crashed
    if container.restarts < _ONCE_MORE or last is None or last.at is None:
        return None
    told_for = last.at + LATELY - now
    return _Crashes(last, told_for) if told_for > timedelta() else None
