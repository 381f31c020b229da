"""What is known of the world, as frozen values: the one input of the planners beside the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, TypeAlias

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.render import labels


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod."""

    name: str
    running: bool
    ready: bool
    started: bool
    restarts: int
    waiting: str | None
    """Why it does not run, as the kubelet's word (`ImagePullBackOff`, `CrashLoopBackOff` …)."""
    terminated: str | None
    """Why it ended, as the kubelet's word (`OOMKilled`, `Error` …)."""
    message: str

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> Self:
        """Read an entry of `status.containerStatuses`."""
        state = status.get("state") or {}
        waiting = state.get("waiting") or {}
        terminated = state.get("terminated") or {}
        return cls(
            name=status["name"],
            running="running" in state,
            ready=bool(status.get("ready")),
            started=bool(status.get("started")),
            restarts=status.get("restartCount", 0),
            waiting=waiting.get("reason"),
            terminated=terminated.get("reason"),
            message=waiting.get("message") or terminated.get("message") or "",
        )


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of a Ray cluster, without what nobody reads."""

    meta: Meta
    phase: str
    ip: str | None
    node: str | None
    ready: bool
    unschedulable: str | None
    """The scheduler's words, while the pod fits no node."""
    containers: tuple[ContainerView, ...]
    init_containers: tuple[ContainerView, ...]
    ray_container: str
    """Name of the container that runs Ray, the first of the pod's spec."""

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a pod."""
        status = manifest.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled = conditions.get("PodScheduled", {})
        spec = manifest["spec"]
        return cls(
            meta=Meta.parse(manifest),
            phase=status.get("phase", "Pending"),
            ip=status.get("podIP"),
            node=spec.get("nodeName"),
            ready=conditions.get("Ready", {}).get("status") == "True",
            unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else None,
            containers=tuple(ContainerView.parse(c) for c in status.get("containerStatuses") or ()),
            init_containers=tuple(ContainerView.parse(c) for c in status.get("initContainerStatuses") or ()),
            ray_container=spec["containers"][0]["name"],
        )

    @property
    def is_head(self) -> bool:
        """Whether this is the head pod."""
        return self.meta.labels.get(labels.NODE_TYPE) == labels.HEAD

    @property
    def group(self) -> str:
        """Name of its worker group."""
        return self.meta.labels.get(labels.GROUP, "")

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.phase in ("Failed", "Succeeded")

    @property
    def alive(self) -> bool:
        """Whether it counts as one of the wanted pods."""
        return not self.finished and not self.meta.deleting

    @property
    def ray(self) -> ContainerView | None:
        """The container that runs Ray, once the kubelet reports it."""
        return next((c for c in self.containers if c.name == self.ray_container), None)

    @property
    def up(self) -> bool:
        """Whether Ray has started in it: the start-up probe has passed."""
        return self.alive and self.ray is not None and self.ray.running and self.ray.started

    @property
    def serving(self) -> bool:
        """Whether a Service that selects serving pods sends traffic to it."""
        return self.alive and self.ready and self.meta.labels.get(labels.SERVE) == "true"


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service of ours, or one that stands where ours should."""

    meta: Meta
    spec: Mapping[str, Any]

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Service."""
        return cls(meta=Meta.parse(manifest), spec=manifest.get("spec") or {})


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A ControllerRevision without its data."""

    meta: Meta
    number: int

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a ControllerRevision."""
        return cls(meta=Meta.parse(manifest), number=manifest.get("revision", 0))

    @property
    def part(self) -> str | None:
        """Stands for the cluster part that it holds."""
        return self.meta.annotations.get(labels.PART)

    @property
    def attempt(self) -> int:
        """The attempt at its cluster part that was begun last."""
        return int(self.meta.annotations.get(labels.ATTEMPT, "1"))


@dataclass(frozen=True, slots=True)
class Silence:
    """Ray did not answer, which says nothing about whether it serves."""

    reason: str
    since: datetime | None = None
    """Since when it has not answered; None where it has never been asked."""


ServeReport: TypeAlias = ServeStatus | Silence
"""What Ray's Serve REST API said in this pass."""


@dataclass(frozen=True, slots=True)
class ObservedCluster:
    """A RayCluster with all that belongs to it."""

    cluster: RayCluster
    pods: tuple[PodView, ...]
    serve: ServeReport = Silence("not asked")
    assigned: ServeConfig | None = None
    """The Serve config of the revision that this cluster was given, where one is recorded."""
    head_proxy_answers: bool | None = None
    """Whether the head's Serve proxy answered its health check; None where it was not asked."""

    @property
    def name(self) -> str:
        """Name of the RayCluster."""
        return self.cluster.meta.name

    @property
    def head(self) -> PodView | None:
        """The head pod, unless it is on its way out."""
        return next((p for p in self.pods if p.is_head and p.alive), None)

    @property
    def serving_pods(self) -> int:
        """Pods that would take traffic if the Service selected this cluster."""
        return sum(p.serving for p in self.pods)


@dataclass(frozen=True, slots=True)
class ObservedRayCluster:
    """A RayCluster with its own children, as the planner of clusters sees it."""

    cluster: RayCluster
    pods: tuple[PodView, ...]
    services: Mapping[str, ServiceView]
    """The Services that it owns, by name."""


@dataclass(frozen=True, slots=True)
class ObservedService:
    """A RayService with all that belongs to it."""

    service: RayService
    clusters: tuple[ObservedCluster, ...]
    """Its RayClusters, the terminating ones included, oldest first."""
    revisions: tuple[RevisionView, ...]
    serve_service: ServiceView | None
    """Whatever stands under the name of the serve Service, ours or not."""
    head_service: ServiceView | None
    """Whatever stands under the name of the stable head Service, ours or not."""
    ghosts: frozenset[str] = frozenset()
    """Names of clusters that are gone while pods of theirs are still there."""

    @property
    def living(self) -> tuple[ObservedCluster, ...]:
        """The clusters that are not on their way out."""
        return tuple(c for c in self.clusters if not c.cluster.meta.deleting)


def age(meta: Meta, now: datetime) -> float:
    """Seconds since the object was created."""
    return (now - meta.created).total_seconds() if meta.created else 0.0
