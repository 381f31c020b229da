"""What an action that has succeeded means for a rollout, and how long it took to get there.

The stamps on RayClusters and ControllerRevisions outlive the process, and so do the durations that are counted from
them: a rollout that several operators have carried on took as long as all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from rayserve_operator.engine.store import ClusterRecord, Store
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Annotate, AnyAction, Kind
from rayserve_operator.planning.observed import Failure
from rayserve_operator.planning.service import routing
from rayserve_operator.render import labels


class Phase(StrEnum):
    """The parts of a rollout."""

    FIRST_START = "first_start"
    """From the start of the attempt until the first cluster of a RayService is fit for traffic."""
    PREPARE = "prepare"
    """The same for a cluster that takes over from another one."""
    WARM_UP = "warm_up"
    """The end of `prepare`, in which all works and only the capacity of the old cluster is missing."""
    IN_PLACE = "in_place"
    """From the start of the attempt until the new Serve config runs on a cluster that has served before."""
    DRAIN = "drain"
    """From when the old cluster has lost the traffic until its pods are ended."""


@dataclass(frozen=True, slots=True)
class PhaseEnded:
    """A part of a rollout is over."""

    phase: Phase
    took: timedelta


@dataclass(frozen=True, slots=True)
class Switched:
    """Traffic goes to another cluster."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A rollout has failed, and is not tried again."""

    reason: str


Milestone: TypeAlias = PhaseEnded | Switched | GivenUp


def milestones(store: Store, namespace: str, action: AnyAction, now: datetime) -> Iterator[Milestone]:
    """What is reached with this action, whose effect is in the store already."""
    if action.announce is not None and action.announce.reason == routing.SWITCHED:
        yield Switched()
    if not isinstance(action, Annotate):
        return
    noted = action.annotations or {}
    if action.kind is Kind.RAY_CLUSTER and (cluster := store.cluster(namespace, action.name)):
        for phase, since in _ended(store, cluster, noted):
            if since is not None:
                yield PhaseEnded(phase, now - since)
    elif action.kind is Kind.REVISION and (failure := Failure.parse(noted.get(labels.FAILED))):
        yield GivenUp(failure.reason)


def _ended(
    store: Store, cluster: ClusterRecord, noted: Mapping[str, str | None]
) -> Iterator[tuple[Phase, datetime | None]]:
    """The phases that end with these stamps, and when each began."""
    if noted.get(labels.ROUTED_AT):
        yield _preparation(store, cluster), _started(store, cluster, labels.REVISION)
        yield Phase.WARM_UP, notes.time_of(cluster.meta, labels.WARM_SINCE)
    elif noted.get(labels.SERVED) and labels.SHARE not in cluster.meta.annotations:
        yield Phase.IN_PLACE, _started(store, cluster, labels.SERVED)
    if noted.get(labels.ENDED_AT):
        yield Phase.DRAIN, notes.time_of(cluster.meta, labels.RETIRED_AT)


def _preparation(store: Store, cluster: ClusterRecord) -> Phase:
    family, revisions = store.clusters_of(cluster.meta.owner or ""), store.revisions_of(cluster.meta.owner or "")
    have_served = any(labels.ROUTED_AT in other.meta.annotations for other in family if other is not cluster)
    have_served |= any(labels.LAST_GOOD in revision.meta.annotations for revision in revisions)
    return Phase.PREPARE if have_served else Phase.FIRST_START


def _started(store: Store, cluster: ClusterRecord, key: str) -> datetime | None:
    """When the attempt began at the revision that the cluster's annotation names."""
    name = cluster.meta.annotations.get(key)
    found = (one for one in store.revisions_of(cluster.meta.owner or "") if one.meta.name == name)
    return next((notes.time_of(one.meta, labels.STARTED_AT) for one in found), None)
