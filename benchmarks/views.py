"""What is seen of each RayService and of all that came of it, and the questions that are asked of that: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.manifests import PODS, SERVICE

_ENDED = frozenset({"Failed", "Succeeded"})
_SERVE_SERVICE = "-serve-svc"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a Ray cluster."""

    uid: str
    name: str
    cluster: str
    address: str
    is_head: bool
    is_ready: bool
    is_leaving: bool
    """Whether it is about to go, or has ended where it is."""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Pod:
        """Read a pod."""
        metadata, status = manifest["metadata"], manifest.get("status", {})
        return cls(
            uid=metadata["uid"],
            name=metadata["name"],
            cluster=metadata["labels"].get("ray.io/cluster", ""),
            address=status.get("podIP", ""),
            is_head=metadata["labels"].get("ray.io/node-type") == "head",
            is_ready=_holds(status, "Ready"),
            is_leaving="deletionTimestamp" in metadata or status.get("phase") in _ENDED,
        )


@dataclass(slots=True)
class View:
    """One RayService, as the API server and Ray tell of it."""

    name: str
    namespace: str = ""
    exists: bool = False
    is_ready: bool = False
    """Whether its condition Ready holds for what is asked of it now."""
    applications: Mapping[str, str] = field(default_factory=dict)
    """The state of each Serve application on the active cluster, by its status."""
    routed_to: str = ""
    """The RayCluster that its serve Service selects."""
    clusters: set[str] = field(default_factory=set)
    pods: dict[str, Pod] = field(default_factory=dict)
    edit: int = -1
    """Number of the last edit of the Serve config that Ray was sent."""

    def saw(self, plural: str, manifest: Mapping[str, Any], *, is_gone: bool) -> None:
        """Take in an event about the RayService, or about something that came of it."""
        metadata = manifest["metadata"]
        match plural:
            case "rayservices":
                self.exists, self.namespace = not is_gone, metadata["namespace"]
                self._saw_status(manifest.get("status") or {}, metadata["generation"])
            case "services":
                selector = manifest["spec"].get("selector") or {}
                self.routed_to = "" if is_gone else selector.get("ray.io/cluster", "")
            case "rayclusters" if is_gone:
                self.clusters.discard(metadata["name"])
            case "rayclusters":
                self.clusters.add(metadata["name"])
            case "pods" if is_gone:
                self.pods.pop(metadata["uid"], None)
            case _:
                self.pods[metadata["uid"]] = Pod.of(manifest)

    def _saw_status(self, status: Mapping[str, Any], generation: int) -> None:
        self.is_ready = _holds(status, "Ready", generation)
        active = status.get("activeServiceStatus") or {}
        found = active.get("applicationStatuses") or {}
        self.applications = {name: application.get("status", "") for name, application in found.items()}

    @property
    def living(self) -> list[Pod]:
        """Its pods that are there to stay."""
        return [pod for pod in self.pods.values() if not pod.is_leaving]

    @property
    def head_address(self) -> str:
        """Where the Ray that takes traffic is asked; empty where there is none."""
        heads = (pod for pod in self.living if pod.is_head and pod.cluster == self.routed_to)
        return next((pod.address for pod in heads), "")

    @property
    def workers(self) -> list[Pod]:
        """The workers of the cluster that takes traffic."""
        return [pod for pod in self.living if not pod.is_head and pod.cluster == self.routed_to]


Question = Callable[[View], bool]
"""Whether something is the case."""


def pods_exist(view: View) -> bool:
    """Whether all pods have been created."""
    return len(view.living) >= PODS


def pods_are_ready(view: View) -> bool:
    """Whether there are as many ready pods as there should be, and no other."""
    return len(view.living) == PODS and all(pod.is_ready for pod in view.living)


def is_ready(view: View) -> bool:
    """Whether the RayService says that it serves what is asked of it."""
    return view.is_ready


def is_unhealthy(view: View) -> bool:
    """Whether its status says that an application is UNHEALTHY."""
    return "UNHEALTHY" in view.applications.values()


def is_running(view: View) -> bool:
    """Whether its status says that every application runs."""
    return bool(view.applications) and set(view.applications.values()) == {"RUNNING"}


def has_one_cluster(view: View) -> bool:
    """Whether nothing is left but the cluster that takes traffic, and its pods."""
    return view.clusters == {view.routed_to} and {pod.cluster for pod in view.pods.values()} == {view.routed_to}


def is_gone(view: View) -> bool:
    """Whether nothing of it is left."""
    return not (view.exists or view.clusters or view.pods or view.routed_to)


def was_sent(edit: int) -> Question:
    """Whether Ray was sent this edit of the Serve config."""
    return lambda view: view.edit == edit


def has_left(clusters: Mapping[str, str]) -> Question:
    """Whether traffic goes to another RayCluster than the one that is named for the RayService."""
    return lambda view: view.routed_to not in ("", clusters[view.name])


def has_ready_pods(cluster: str, count: int) -> Question:
    """Whether so many pods of a RayCluster are ready."""
    return lambda view: sum(pod.is_ready and pod.cluster == cluster for pod in view.living) >= count


def is_whole_without(pods: frozenset[str]) -> Question:
    """Whether there are as many ready pods as there should be, none of them with one of these uids."""
    return lambda view: pods_are_ready(view) and not pods & {pod.uid for pod in view.living}


def concerned(plural: str, manifest: Mapping[str, Any]) -> str:
    """Name of the RayService that an object is about; empty where it is about none."""
    metadata = manifest["metadata"]
    match plural:
        case "rayservices":
            return str(metadata["name"])
        case "services":
            name: str = metadata["name"]
            return name.removesuffix(_SERVE_SERVICE) if name.endswith(_SERVE_SERVICE) else ""
        case "pods":
            return str(metadata.get("labels", {}).get(SERVICE, ""))
        case _:
            owners = metadata.get("ownerReferences", ())
            return next((str(owner["name"]) for owner in owners if owner["kind"] == "RayService"), "")


def _holds(status: Mapping[str, Any], condition: str, generation: int | None = None) -> bool:
    """Whether a condition is True, and not about an earlier generation than the one that is asked about."""
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    found = next((c for c in conditions if c["type"] == condition), {})
    is_current = generation is None or found.get("observedGeneration") in (None, 0, generation)
    return is_current and found.get("status") == "True"
