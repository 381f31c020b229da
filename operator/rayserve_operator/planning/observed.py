"""What is known of the world, as frozen values: the one input of the planners beside the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, TypeAlias

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.model.sharing import interned
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class End:
    """How a container ended."""

    reason: str
    """The kubelet's word (`OOMKilled`, `Error`, `Completed` …)."""
    code: int | None
    at: datetime | None
    message: str
    """Its last words: the end of its log, where it has no other."""

    @classmethod
    def parse(cls, state: Mapping[str, Any] | None) -> Self | None:
        """Read a container's `terminated` state; None where it has none."""
        if state is None:
            return None
        return cls(state.get("reason", "Ended"), state.get("exitCode"), _time(state.get("finishedAt")),
                   state.get("message") or "")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container of a pod."""

    name: str
    ready: bool
    started: bool
    restarts: int
    running_since: datetime | None
    """Since when it runs, by the clock of its node; None while it does not."""
    waiting: str | None
    """Why it does not run, as the kubelet's word (`ImagePullBackOff`, `CrashLoopBackOff` …)."""
    waiting_message: str
    ended: End | None
    """How it ended, while it is not started anew."""
    crashed: End | None
    """How it ended before it was last started."""

    @classmethod
    def parse(cls, status: Mapping[str, Any]) -> Self:
        """Read an entry of `status.containerStatuses`."""
        state = status.get("state") or {}
        waiting, running = state.get("waiting") or {}, state.get("running")
        return cls(
            name=interned(status["name"]),
            ready=bool(status.get("ready")),
            started=bool(status.get("started")),
            restarts=status.get("restartCount", 0),
            running_since=None if running is None else _time(running.get("startedAt")) or _LONG_AGO,
            waiting=waiting.get("reason"),
            waiting_message=waiting.get("message") or "",
            ended=End.parse(state.get("terminated")),
            crashed=End.parse((status.get("lastState") or {}).get("terminated")),
        )

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.running_since is not None


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of a Ray cluster, without what nobody reads."""

    meta: Meta
    phase: str
    reason: str | None
    """Why it is as it is, as the word of whoever ended it (`Evicted` …)."""
    message: str
    ip: str | None
    node: str | None
    ready: bool
    unready_since: datetime | None
    unschedulable: str | None
    """The scheduler's words, while the pod fits no node."""
    restart_policy: str
    containers: tuple[ContainerView, ...]
    init_containers: tuple[ContainerView, ...]
    names: tuple[str, ...]
    """Names of its containers; the first runs Ray."""

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a pod."""
        status = manifest.get("status") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
        spec = manifest["spec"]
        return cls(
            meta=Meta.parse(manifest),
            phase=interned(status.get("phase", "Pending")),
            reason=status.get("reason"),
            message=status.get("message") or "",
            ip=status.get("podIP"),
            node=interned(spec.get("nodeName")),
            ready=ready.get("status") == "True",
            unready_since=_time(ready.get("lastTransitionTime")) if ready.get("status") == "False" else None,
            unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else None,
            restart_policy=spec.get("restartPolicy", "Always"),
            containers=tuple(ContainerView.parse(c) for c in status.get("containerStatuses") or ()),
            init_containers=tuple(ContainerView.parse(c) for c in status.get("initContainerStatuses") or ()),
            names=tuple(interned(container["name"]) for container in spec["containers"]),
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
        """Whether Ray has ended in it for good, though a container beside it may run on."""
        if self.phase in ("Failed", "Succeeded"):
            return True
        if self.ray is None or self.ray.ended is None:
            return False
        return self.restart_policy == "Never" or (self.restart_policy == "OnFailure" and self.ray.ended.code == 0)

    @property
    def stopped(self) -> bool:
        """Whether none of its containers runs or will ever run again."""
        if self.phase in ("Failed", "Succeeded"):
            return True
        if not self.meta.deleting:
            return False
        if self.phase == "Pending" and self.node is None:
            return True
        return bool(self.containers) and all(c.ended is not None for c in self.containers)

    @property
    def alive(self) -> bool:
        """Whether it counts as one of the wanted pods."""
        return not self.finished and not self.meta.deleting

    @property
    def ray(self) -> ContainerView | None:
        """The container that runs Ray, once the kubelet reports it."""
        return next((c for c in self.containers if c.name == self.names[0]), None)

    @property
    def up(self) -> bool:
        """Whether Ray has started in it: the start-up probe has passed."""
        return self.alive and self.ray is not None and self.ray.running and self.ray.started

    @property
    def serving(self) -> bool:
        """Whether a Service that selects serving pods sends traffic to it."""
        return self.alive and self.ready and self.meta.labels.get(labels.SERVE) == "true"

    @property
    def cut_off(self) -> bool:
        """Whether Kubernetes calls it not ready although its own kubelet said otherwise last: its node is in doubt."""
        return self.alive and not self.ready and bool(self.containers) and all(c.ready for c in self.containers)

    @property
    def failures(self) -> int:
        """How many pods in a row failed in its place before it."""
        noted = self.meta.annotations.get(labels.FAILURES, "")
        return int(noted) if noted.isdecimal() else 0

    @property
    def replica(self) -> str | None:
        """Common to the hosts of one multi-host replica."""
        return self.meta.labels.get(labels.REPLICA_NAME)

    @property
    def replica_index(self) -> int | None:
        """Number of its replica in its group."""
        return _number(self.meta.labels.get(labels.REPLICA_INDEX))

    @property
    def host_index(self) -> int | None:
        """Number of its host in its replica."""
        return _number(self.meta.labels.get(labels.HOST_INDEX))


@dataclass(frozen=True, slots=True)
class NodeView:
    """A Kubernetes node, as far as it tells what became of its pods."""

    name: str
    silent_since: datetime | None
    """Since when its kubelet has not been heard of (Ready=Unknown); None while it is."""
    out_of_service: bool
    """Whether somebody has sworn that nothing runs on it any more, by the taint of that name."""

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a node."""
        conditions = {c["type"]: c for c in (manifest.get("status") or {}).get("conditions") or ()}
        ready = conditions.get("Ready", {})
        taints = (manifest.get("spec") or {}).get("taints") or ()
        return cls(
            name=manifest["metadata"]["name"],
            silent_since=_time(ready.get("lastTransitionTime")) if ready.get("status") == "Unknown" else None,
            out_of_service=any(taint["key"] == "node.kubernetes.io/out-of-service" for taint in taints),
        )


@dataclass(frozen=True, slots=True)
class BelongingView:
    """An object that the operator made for a RayCluster, beside its pods and Services."""

    kind: Kind
    meta: Meta
    content: Mapping[str, Any]
    """Everything but its metadata, and its status only where that decides something."""

    @classmethod
    def parse(cls, kind: Kind, manifest: Mapping[str, Any]) -> Self:
        """Read an object of the kind."""
        left_out = {"apiVersion", "kind", "metadata"} | (set() if kind is Kind.JOB else {"status"})
        content = interned({key: value for key, value in manifest.items() if key not in left_out})
        return cls(kind, Meta.parse(manifest), content)


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service of ours, or one that stands where ours should."""

    meta: Meta
    spec: Mapping[str, Any]
    foreign_entry: int | None = None
    """Which of its managed fields are those of somebody else who made it, by a plain write."""

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Service."""
        managed = manifest["metadata"].get("managedFields") or ()
        foreign = (index for index, entry in enumerate(managed) if _is_by_its_maker(entry))
        spec = interned(manifest.get("spec") or {})
        return cls(meta=Meta.parse(manifest), spec=spec, foreign_entry=next(foreign, None))


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A Gateway or an HTTPRoute, with what the controllers of Gateways say of it."""

    meta: Meta
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Gateway or an HTTPRoute."""
        return cls(Meta.parse(manifest), manifest.get("spec") or {}, manifest.get("status") or {})


@dataclass(frozen=True, slots=True)
class Routing:
    """What was found of the Gateway API; see planning.service.routes for when it matters."""

    silence: str | None = None
    """Why nothing is known of it."""
    is_served: bool = True
    """Whether the API server knows it."""
    gateway: GatewayView | None = None
    """Whatever stands under the name of the Gateway that is made, ours or not."""
    routes: Mapping[str, GatewayView | None] = field(default_factory=dict)
    """The HTTPRoutes that were asked for, by name, None where there is none."""
    services: frozenset[str] = frozenset()
    """Names of the Services that there are, of those that the HTTPRoutes lead to."""
    reached: frozenset[str] = frozenset()
    """Names of the clusters whose own serve Service leads to pods that take traffic."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rollout was given up."""

    reason: str
    """One word, as a condition's reason."""
    message: str
    means: Mapping[str, Any] | None = None
    """What the goal was to be reached by; None where that is not noted."""
    since: str = ""
    """When it was given up, as that is noted."""

    @classmethod
    def parse(cls, noted: str | None) -> Self | None:
        """Read the note on a ControllerRevision; None where there is none, or none that can be read."""
        try:
            record = json.loads(noted or "{}")
            return cls(str(record["reason"]), str(record["message"]), record.get("means"), str(record.get("since", "")))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


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
    def failure(self) -> Failure | None:
        """Why its rollout was given up; None while it was not."""
        return Failure.parse(self.meta.annotations.get(labels.FAILED))

    @property
    def attempt(self) -> int:
        """The attempt at its cluster part that was begun last."""
        return _number(self.meta.annotations.get(labels.ATTEMPT)) or 1


@dataclass(frozen=True, slots=True)
class Silence:
    """Ray did not answer, which says nothing about whether it serves."""

    reason: str
    since: datetime | None = None
    """Since when it has not answered; None where it has never been asked."""


ServeReport: TypeAlias = ServeStatus | Silence
"""What Ray's Serve REST API said in this pass."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was counted of HTTP requests on the pods of a cluster since they started."""

    requests: int
    errors: int
    """Those that were answered with 5xx."""
    milliseconds: float
    """What all of them took together."""

    def since(self, earlier: Traffic) -> Traffic:
        """What came after an earlier count. Pods that are gone have taken their counts along."""
        return Traffic(
            max(self.requests - earlier.requests, 0),
            max(self.errors - earlier.errors, 0),
            max(self.milliseconds - earlier.milliseconds, 0.0),
        )

    def __add__(self, other: Traffic) -> Traffic:
        """Both together."""
        return Traffic(
            self.requests + other.requests, self.errors + other.errors, self.milliseconds + other.milliseconds
        )


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
    answering: frozenset[str] = frozenset()
    """Names of the pods whose Serve proxy answered its health check; see planning.service.gate for who is asked."""
    ongoing: int | None = None
    """Requests under way on its pods; None where that is not known, or was not asked."""
    traffic: Traffic | None = None
    """What was counted of its requests; None where that is not known, or was not asked."""
    smoke: Mapping[str, int | None] | None = None
    """The status with which each smoke request was answered, by path, None where none came; None if none was sent."""

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
    belongings: tuple[BelongingView, ...] = ()
    """Everything else that was made for it."""
    nodes: Mapping[str, NodeView | None] = field(default_factory=dict)
    """The nodes that were asked about, None where a node is gone; see planning.cluster.nodes for which."""
    namespace_leaving: bool = False
    """Whether its namespace is on its way out, so that nothing can be made there any more."""

    @property
    def heads(self) -> tuple[PodView, ...]:
        """All head pods that there are, the leaving ones included."""
        return tuple(pod for pod in self.pods if pod.is_head)

    @property
    def workers(self) -> tuple[PodView, ...]:
        """All worker pods that there are, the leaving ones included."""
        return tuple(pod for pod in self.pods if not pod.is_head)


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
    preview_service: ServiceView | None = None
    """Whatever stands under the name of the preview Service, ours or not."""
    strays: tuple[ServiceView, ...] = ()
    """Services of its own under names that it has no use for any more."""
    endpoints: frozenset[str] | None = None
    """Names of the pods that the serve Service's EndpointSlices send traffic to; None where they were not read."""
    ghosts: frozenset[str] = frozenset()
    """Names of clusters that are gone while pods of theirs are still there."""
    routing: Routing = Routing()
    """What was found of the Gateway API, where it shares the traffic."""

    @property
    def stable_services(self) -> tuple[ServiceView, ...]:
        """Whatever stands under the names of its Services."""
        found = (self.serve_service, self.head_service, self.preview_service)
        return tuple(view for view in found if view is not None)

    @property
    def living(self) -> tuple[ObservedCluster, ...]:
        """The clusters that are not on their way out."""
        return tuple(c for c in self.clusters if not c.cluster.meta.deleting)


def age(meta: Meta, now: datetime) -> float:
    """Seconds since the object was created."""
    return (now - meta.created).total_seconds() if meta.created else 0.0


def _is_by_its_maker(entry: Mapping[str, Any]) -> bool:
    """Whether managed fields are of one who made a Service, or all of its spec, without server-side apply."""
    spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
    return entry.get("operation") == "Update" and "f:selector" in spec


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
