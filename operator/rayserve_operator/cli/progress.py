"""How far a RayService is: what the operator has written down, put together for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from rayserve_operator.cli.scene import Manifest, Scene, course_of
from rayserve_operator.model.conditions import ClusterCondition, Condition, ServiceCondition
from rayserve_operator.model.objects import Meta
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.rayservice import ClusterServiceStatus, RayServiceStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import RevisionView
from rayserve_operator.planning.service import shifting
from rayserve_operator.planning.service.analysis import TRIED_FOR
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.gate import Stage
from rayserve_operator.planning.service.share import WHOLE, share_noted, share_of
from rayserve_operator.planning.service.status import BAD_WHEN_FALSE, BAD_WHEN_TRUE
from rayserve_operator.render import labels

EVENTS = 6
"""How many of the last events are told."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Phase(StrEnum):
    """Where a RayService is."""

    WAITING = "waiting for the operator"
    """The operator has not looked at this spec yet."""
    INVALID = "invalid"
    """The spec cannot be followed; what ran last goes on."""
    STALLED = "stalled"
    """The goal was given up, or is overdue: it waits for a person."""
    STARTING = "starting"
    """No cluster takes traffic yet."""
    ROLLING_OUT = "rolling out"
    """A new cluster is to take over."""
    UPDATING = "updating in place"
    """The serving cluster is not as the spec says yet."""
    SUSPENDED = "suspended"
    SERVING = "serving"
    """The spec is reached."""

    @property
    def is_end(self) -> bool:
        """Whether nothing more happens without an edit."""
        return self in {Phase.INVALID, Phase.STALLED, Phase.SUSPENDED, Phase.SERVING}

    @property
    def is_good(self) -> bool:
        """Whether this is what the user asked for."""
        return self in {Phase.SERVING, Phase.SUSPENDED}


@dataclass(frozen=True, slots=True)
class Gate:
    """Something that is not as it has to be."""

    reason: str
    """One word of a closed set."""
    message: str
    since: datetime | None
    until: datetime | None
    """When something follows though it has not changed: a share ends, or the rollout is given up."""


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """A Serve application, in Ray's words."""

    name: str
    status: str
    message: str
    deployments: Mapping[str, str]
    """Ray's word for the state of each."""


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One of the clusters of a RayService."""

    role: str
    name: str
    since: datetime | None
    """Since when it plays this role."""
    ready_pods: int
    """The head included."""
    wanted_pods: int
    traffic_percent: int
    """Its share of the traffic."""
    wanted_percent: int | None
    """The share that it is to take; None where the traffic is not shared."""
    applications: tuple[ApplicationRow, ...]


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event about the RayService."""

    last: datetime | None
    type: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What people see of a RayService."""

    name: str
    namespace: str
    phase: Phase
    message: str
    """Why, or what is waited for."""
    revision: int | None
    """Number of the revision that is the goal."""
    began: datetime | None
    """When its present attempt began."""
    endpoints: int
    """Pods that take traffic."""
    clusters: tuple[ClusterRow, ...]
    gates: tuple[Gate, ...]
    """What is not as it has to be."""
    events: tuple[EventRow, ...]
    """The last ones, the newest last."""


def progress_of(scene: Scene, now: datetime) -> Progress:
    """How far a RayService is."""
    meta = Meta.parse(scene.service)
    status = RayServiceStatus.model_validate(scene.service.get("status") or {})
    told = {c.type: c for c in status.conditions if c.observed_generation == meta.generation}
    phase = _phase(status, told.keys(), {type_ for type_, c in told.items() if c.status == "True"})
    about = _ABOUT.get(phase)
    goal = max(_owned(meta, map(RevisionView.parse, scene.revisions)), key=lambda one: one.number, default=None)
    return Progress(
        name=meta.name,
        namespace=meta.namespace,
        phase=phase,
        message=told[about].message if about in told else "",
        revision=None if goal is None else goal.number,
        began=None if goal is None else notes.time_of(goal.meta, labels.STARTED_AT),
        endpoints=status.num_serve_endpoints or 0,
        clusters=tuple(_rows(meta, status, scene.clusters)),
        gates=tuple(_gates(told.values(), course_of(scene, now))) if phase is not Phase.SUSPENDED else (),
        events=_last_events(scene.events),
    )


_ABOUT: Mapping[Phase, str] = {
    Phase.INVALID: ServiceCondition.SPEC_VALID,
    Phase.STALLED: ServiceCondition.STALLED,
    Phase.STARTING: ServiceCondition.RECONCILING,
    Phase.ROLLING_OUT: ServiceCondition.RECONCILING,
    Phase.UPDATING: ServiceCondition.RECONCILING,
    Phase.SERVING: ServiceCondition.RECONCILING,
}
"""The condition whose message says more of a phase."""


def _phase(status: RayServiceStatus, told: AbstractSet[str], holds: AbstractSet[str]) -> Phase:
    if ServiceCondition.SPEC_VALID not in told:
        return Phase.WAITING
    if ServiceCondition.SUSPENDED in holds:
        return Phase.SUSPENDED
    if ServiceCondition.SPEC_VALID not in holds:
        return Phase.INVALID
    if ServiceCondition.STALLED in holds:
        return Phase.STALLED
    if status.active_service_status is None:
        return Phase.STARTING
    if status.pending_service_status is not None:
        return Phase.ROLLING_OUT
    return Phase.UPDATING if ServiceCondition.RECONCILING in holds else Phase.SERVING


def _owned(meta: Meta, revisions: Iterable[RevisionView]) -> Iterator[RevisionView]:
    return (revision for revision in revisions if revision.meta.owner == meta.uid)


# Gates. ------------------------------------------------------------------------------------------------------------


_OF_A_SHIFT = frozenset(map(str, shifting.Reason))


def _gates(conditions: Iterable[Condition], course: Course | None) -> Iterator[Gate]:
    for condition in conditions:
        is_reconciling = condition.type == ServiceCondition.RECONCILING and condition.status == "True"
        if is_reconciling or _is_bad(condition):
            since = datetime.fromisoformat(condition.last_transition_time)
            span = _span(condition.reason, since, course) if is_reconciling else (since, None)
            yield Gate(condition.reason, condition.message, *span)


def _is_bad(condition: Condition) -> bool:
    if condition.type in BAD_WHEN_FALSE:
        return condition.status != "True"
    return condition.type in BAD_WHEN_TRUE and condition.status == "True"


def _span(reason: str, since: datetime, course: Course | None) -> tuple[datetime, datetime | None]:
    """Since when the rollout waits for just this, and when that ends at the latest."""
    if course is None:
        return since, None
    pending = course.roles.pending
    share = None if pending is None else share_of(pending)
    if pending is not None and reason == Stage.MATCHING:
        return notes.time_of(pending.cluster.meta, labels.WARM_SINCE) or since, course.warm_up_ends
    if pending is not None and reason == shifting.Reason.ANALYSIS:
        wrong = notes.time_of(pending.cluster.meta, labels.SMOKE_SINCE)
        return (since, None) if wrong is None else (wrong, wrong + TRIED_FOR)
    if reason in _OF_A_SHIFT:
        begun = since if share is None else share.since
        goes_on = begun + timedelta(seconds=course.goal.spec.share_interval)
        return begun, goes_on if share is not None and reason == shifting.Reason.SHIFTING else None
    return since, course.deadline


# Clusters. ---------------------------------------------------------------------------------------------------------


def _rows(meta: Meta, status: RayServiceStatus, manifests: Iterable[Manifest]) -> Iterator[ClusterRow]:
    found = {one.name: (one, manifest) for manifest in manifests if (one := Meta.parse(manifest)).owner == meta.uid}
    serving, coming = status.active_service_status, status.pending_service_status
    for role, cluster in (("serving", serving), ("next", coming)):
        if cluster is not None and cluster.ray_cluster_name:
            known, _ = found.pop(cluster.ray_cluster_name, (None, None))
            yield _row(role, cluster, known)
    for name, (known, manifest) in sorted(found.items()):
        role = "draining" if labels.RETIRED_AT in known.annotations else "leaving"
        left = RayClusterStatus.model_validate(manifest.get("status") or {})
        yield _row(role, ClusterServiceStatus(ray_cluster_name=name, ray_cluster_status=left), known)


def _row(role: str, cluster: ClusterServiceStatus, known: Meta | None) -> ClusterRow:
    found = cluster.ray_cluster_status
    ready = wanted = 0
    if found is not None:
        head = ClusterCondition.HEAD_POD_READY
        is_up = any(condition.type == head and condition.status == "True" for condition in found.conditions)
        ready, wanted = is_up + (found.ready_worker_replicas or 0), 1 + (found.desired_worker_replicas or 0)
    real = cluster.traffic_routed_percent
    share = None if known is None else share_noted(known)
    return ClusterRow(
        role=role,
        name=cluster.ray_cluster_name or "",
        since=None if known is None else _since(role, known),
        ready_pods=ready,
        wanted_pods=wanted,
        traffic_percent=(WHOLE if role == "serving" else 0) if real is None else real,
        wanted_percent=None if share is None else share.percent,
        applications=tuple(
            ApplicationRow(
                name=name,
                status=app.status or "",
                message=app.message or "",
                deployments={one: state.status or "" for one, state in app.serve_deployment_statuses.items()},
            )
            for name, app in cluster.application_statuses.items()
        ),
    )


_BEGINS: Mapping[str, str] = {"serving": labels.ROUTED_AT, "draining": labels.RETIRED_AT}
"""The note that says when a cluster came into a role."""


def _since(role: str, cluster: Meta) -> datetime | None:
    return notes.time_of(cluster, _BEGINS[role]) if role in _BEGINS else cluster.created


# Events. -----------------------------------------------------------------------------------------------------------


def _last_events(events: Sequence[Manifest]) -> tuple[EventRow, ...]:
    rows = sorted(map(_event, events), key=lambda row: row.last or _LONG_AGO)
    return tuple(rows[-EVENTS:])


def _event(event: Mapping[str, Any]) -> EventRow:
    series = event.get("series") or {}
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return EventRow(
        last=datetime.fromisoformat(last) if last else None,
        type=event.get("type") or "Normal",
        reason=event.get("reason") or "",
        message=event.get("message") or "",
        count=series.get("count") or event.get("count") or 1,
    )
