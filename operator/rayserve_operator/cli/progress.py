"""How far a RayService is, told from its status alone."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rayserve_operator.model.conditions import ServiceCondition
from rayserve_operator.model.rayservice import ClusterServiceStatus, RayServiceStatus


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
class ClusterRow:
    """One of the clusters of a RayService."""

    role: str
    name: str
    pods: str
    """Ready pods of those wanted, the head included."""
    traffic: str
    """Its share of the traffic; empty where it is all or nothing."""
    applications: tuple[tuple[str, str], ...]
    """Names, each with Ray's word for its state."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What people see of a RayService."""

    phase: Phase
    words: str
    """Why, or what is waited for."""
    endpoints: int
    """Pods that take traffic."""
    clusters: tuple[ClusterRow, ...]


def progress_of(manifest: Mapping[str, Any]) -> Progress:
    """How far a RayService is."""
    status = RayServiceStatus.model_validate(manifest.get("status") or {})
    generation = manifest["metadata"]["generation"]
    told = {c.type: c for c in status.conditions if c.observed_generation == generation}
    holds = {type_ for type_, condition in told.items() if condition.status == "True"}
    phase = _phase(status, told.keys(), holds)
    about = _ABOUT.get(phase)
    return Progress(
        phase=phase,
        words=told[about].message if about in told else "",
        endpoints=status.num_serve_endpoints or 0,
        clusters=tuple(
            _row(role, cluster)
            for role, cluster in (("serving", status.active_service_status), ("next", status.pending_service_status))
            if cluster is not None and cluster.ray_cluster_name
        ),
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


def _row(role: str, cluster: ClusterServiceStatus) -> ClusterRow:
    found = cluster.ray_cluster_status
    ready = wanted = 0
    if found is not None:
        is_up = any(c.type == "HeadPodReady" and c.status == "True" for c in found.conditions)
        ready, wanted = is_up + (found.ready_worker_replicas or 0), 1 + (found.desired_worker_replicas or 0)
    return ClusterRow(
        role=role,
        name=cluster.ray_cluster_name or "",
        pods=f"{ready}/{wanted}",
        traffic="" if cluster.traffic_routed_percent is None else f"{cluster.traffic_routed_percent}%",
        applications=tuple((name, app.status or "") for name, app in cluster.application_statuses.items()),
    )
