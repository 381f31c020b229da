"""The head of a RayCluster: exactly one, and never a second one beside it that still runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rayserve_operator.planning import condition_list
from rayserve_operator.planning.cluster import nodes, replacement
from rayserve_operator.planning.observed import ObservedRayCluster, PodView


@dataclass(frozen=True, slots=True)
class HeadCare:
    """What is to become of the head pods."""

    head: PodView | None
    """The head that there is, fit or not."""
    wanted: bool
    """Whether a new one is to be made now."""
    failures: int
    """What the new one says of those before it."""
    remove: tuple[tuple[PodView, str], ...]
    """Pods to delete, each with the reason."""
    given_up: tuple[PodView, ...]
    """Heads on lost nodes that a new one replaces; nothing must lead to them any more."""
    waits_for: str | None
    """Why no head is made although there is none, in words."""


def care(observed: ObservedRayCluster, now: datetime, lost_after: timedelta) -> HeadCare:
    """Decide about the heads of a cluster that is meant to have one."""
    given_up = tuple(
        pod for pod in observed.heads if not pod.stopped and nodes.may_be_doubled(pod, observed, now, lost_after)
    )
    candidates = [pod for pod in observed.heads if pod.alive and pod not in given_up]
    head = max(candidates, key=lambda pod: (pod.up, pod.ready, pod.phase == "Running"), default=None)
    ended = [pod for pod in observed.heads if pod.finished and not pod.meta.deleting]
    due = [pod for pod in ended if replacement.is_due(pod, now)]
    waits_for = None if head is not None else next(_obstacles(observed, given_up, ended, due, now), None)
    surplus = [(pod, f"{head.meta.name} is the head") for pod in candidates if head is not None and pod is not head]
    return HeadCare(
        head=head,
        wanted=head is None and waits_for is None,
        failures=max((replacement.failures_after(pod, now) for pod in due), default=0),
        remove=(
            *surplus,
            *((pod, end_of(pod)) for pod in due),
            *((pod, f"its node {pod.node} is lost") for pod in given_up if not pod.meta.deleting),
        ),
        given_up=given_up,
        waits_for=waits_for,
    )


def _obstacles(
    observed: ObservedRayCluster,
    given_up: tuple[PodView, ...],
    ended: list[PodView],
    due: list[PodView],
    now: datetime,
) -> Iterator[str]:
    for pod in observed.heads:
        if pod.meta.deleting and not pod.stopped and pod not in given_up:
            if nodes.is_lost(pod, observed):
                yield (
                    f"{pod.meta.name} may still run on its silent node {pod.node}, and a second head would destroy the "
                    f"storage of the first; if the node is really down, taint it node.kubernetes.io/out-of-service"
                )
            yield f"{pod.meta.name} is still stopping, and there is never a second head beside it"
    for pod in ended:
        if pod not in due:
            due_at = condition_list.timestamp(now + replacement.time_left(pod, now))
            yield f"{pod.meta.name}: {end_of(pod)}, as did {pod.failures} before it; the next is made at {due_at}"


def end_of(pod: PodView) -> str:
    """How a pod ended, in words that follow its name."""
    ended = pod.ray.ended if pod.ray else None
    return f"it {'ended' if pod.phase == 'Succeeded' else 'failed'}" + (f" ({ended.reason})" if ended else "")
