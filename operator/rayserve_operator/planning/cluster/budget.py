"""How many of a cluster's serving workers may be evicted at a time: one."""

from __future__ import annotations

from datetime import datetime, timedelta

from rayserve_operator.model.scale import desired_pods
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import ObservedRayCluster, age
from rayserve_operator.render import labels
from rayserve_operator.render.node import runs_service

FEWEST = 2
"""With fewer serving workers a budget could only forbid every eviction, and a node could never be drained."""
REFILLED_WITHIN = timedelta(minutes=10)
"""How long a new worker is awaited as a serving one. Afterwards it counts as one that has no replicas to serve."""


def min_available(observed: ObservedRayCluster, now: datetime) -> int | None:
    """The budget's minAvailable, one below the workers that serve; None for no budget.

    A worker that was evicted still counts until its successor serves. Else the budget would sink with every eviction,
    and allow the next one at once.
    """
    cluster = observed.cluster
    if not runs_service(cluster) or cluster.meta.annotations.get(labels.DISRUPTION_BUDGET) == "false":
        return None
    serving = sum(pod.serving for pod in observed.workers)
    wanted = sum(desired_pods(cluster, group) for group in cluster.spec.worker_group_specs)
    to_be_made = max(wanted - sum(pod.alive for pod in observed.workers), 0)
    awaited = serving + len(_ages_of_successors(observed, now)) + to_be_made
    expected = max(serving, min(_before(observed) or serving, awaited))
    return expected - 1 if expected >= FEWEST else None


def recheck(observed: ObservedRayCluster, now: datetime) -> timedelta | None:
    """When the budget may sink although nothing happens."""
    if _before(observed) is None:
        return None
    waits = [REFILLED_WITHIN - lived for lived in _ages_of_successors(observed, now)]
    return min(waits, default=None)


def _ages_of_successors(observed: ObservedRayCluster, now: datetime) -> list[timedelta]:
    ages = (timedelta(seconds=age(p.meta, now)) for p in observed.workers if p.alive and not p.ready)
    return [lived for lived in ages if lived < REFILLED_WITHIN]


def _before(observed: ObservedRayCluster) -> int | None:
    """The serving workers that the living budget was made for."""
    for belonging in observed.belongings:
        if belonging.kind is Kind.BUDGET:
            known = (belonging.content.get("spec") or {}).get("minAvailable")
            return known + 1 if isinstance(known, int) else None
    return None
