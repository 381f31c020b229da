"""Which pods stand side by side on the way to a goal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeAlias

from rayserve_operator.cli.scene import Manifest, Scene
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus, WorkerGroupSpec
from rayserve_operator.model.resources import pod_requests, total
from rayserve_operator.model.scale import desired_pods
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.planning.service import capacity, surge
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.render import clusters, labels, names, pods
from rayserve_operator.render.options import RenderOptions


@dataclass(frozen=True, slots=True)
class Batch:
    """Pods that are alike."""

    group: str
    count: int
    pod: Manifest

    @property
    def spec(self) -> Mapping[str, Any]:
        """Of each of them."""
        found: Mapping[str, Any] = self.pod["spec"]
        return found

    @property
    def requests(self) -> Mapping[str, Decimal]:
        """What they need together."""
        return times(self.count, pod_requests(self.spec))


Batches: TypeAlias = Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands side by side at one time."""

    old: Batches
    """What is left of the pods that there are."""
    new: Batches
    """The pods that are made up to then."""

    @property
    def pods(self) -> Batches:
        """All of them."""
        return (*self.old, *self.new)


@dataclass(frozen=True, slots=True)
class Way:
    """How the pods change."""

    now: Batches
    """The pods that there are of the RayService."""
    stages: Sequence[Stage]
    """One after the other; one at least. At the last one all pods are made."""

    @property
    def made(self) -> Batches:
        """The pods that are made."""
        return self.stages[-1].new

    @property
    def first(self) -> Batches:
        """Those of them that are made while all pods are there still."""
        first = self.stages[0]
        return first.new if first.old == self.now else ()


def times(count: int, amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """So many times these amounts."""
    return {name: amount * count for name, amount in amounts.items()}


def together(batches: Batches) -> dict[str, Decimal]:
    """What pods need together."""
    return total(*(batch.requests for batch in batches))


def is_alive(pod: Manifest) -> bool:
    """Whether a pod has not ended."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def way_of(scene: Scene, course: Course) -> Way:
    """The way to the course's goal, if nothing goes wrong on it.

    Args:
        scene: the world, with its pods.
        course: the RayService in that world.
    """
    own = {cluster.name for cluster in course.observed.clusters}
    now = tuple(
        Batch(_group(pod), 1, pod) for pod in scene.pods if is_alive(pod) and _label(pod, labels.CLUSTER) in own
    )
    if course.goal.spec.suspend or course.failure is not None:
        return Way(now, (Stage(now, ()),))
    if course.makes_room:
        return Way(now, (Stage((), tuple(_made(course, WHOLE))),))
    parts = surge.parts_to_come(course)
    return Way(now, [Stage(tuple(_left(course, now, part.old)), tuple(_made(course, part.new))) for part in parts])


def _left(course: Course, now: Batches, percent: int) -> Iterator[Batch]:
    """What there is once the cluster that serves is asked for a part of its capacity, in percent."""
    active = course.roles.active
    if active is None or percent == capacity.percent_of(active):
        yield from now
        return
    groups: defaultdict[str, list[Batch]] = defaultdict(list)
    for batch in now:
        is_scaled = _label(batch.pod, labels.CLUSTER) == active.name and batch.group != _HEAD
        groups[batch.group if is_scaled else ""].append(batch)
    yield from groups.pop("", ())
    sized = replace(active.cluster, spec=capacity.sized(active.cluster.spec, active, _of_what_runs(active, percent)))
    wanted = {_named(group): desired_pods(sized, group) for group in sized.spec.worker_group_specs}
    for group, batches in groups.items():
        count = wanted.get(group, 0)
        yield from batches[:count]
        if count > len(batches):
            yield replace(batches[0], count=count - len(batches))


def _made(course: Course, percent: int) -> Iterator[Batch]:
    """The pods that are made for the goal up to the time when its cluster is asked for a part of its capacity."""
    candidate, service = course.roles.candidate, course.observed.service
    if candidate is None:
        name = names.ray_cluster_name(service.meta.name, service.meta.uid, course.goal.part_digest, 1)
        spec = _sized(course, percent)
        manifest = clusters.ray_cluster(service, name, spec, course.goal.revision, course.goal.serve.cluster_part)
        made = RayCluster(Meta.parse(manifest), RayClusterSpec.model_validate(manifest["spec"]), RayClusterStatus())
        yield from _missing(made, ())
    else:
        yield from _missing(_changed(course, candidate, percent), [pod for pod in candidate.pods if pod.alive])


def _sized(course: Course, percent: int) -> RayClusterSpec:
    """The goal's cluster with a part of the capacity of the one that serves."""
    active, config = course.roles.active, course.goal.spec.ray_cluster_config
    return config if active is None else capacity.sized(config, active, _of_what_runs(active, percent))


def _of_what_runs(active: ObservedCluster, percent: int) -> int:
    """A part of a cluster's capacity in percent of what it is asked for now, rounded up."""
    return -(-percent * WHOLE // capacity.percent_of(active))


def _changed(course: Course, candidate: ObservedCluster, percent: int) -> RayCluster:
    """The RayCluster as it will be: what the autoscaler decides of it stays, where no capacity moves."""
    if course.roles.pending is not None and course.goal.spec.surge != WHOLE:
        groups = _sized(course, percent).worker_group_specs
    else:
        live = {group.group_name: group for group in candidate.cluster.spec.worker_group_specs}
        config = course.goal.spec.ray_cluster_config
        groups = [
            _with_replicas(g, live.get(g.group_name) if config.autoscaling else None) for g in config.worker_group_specs
        ]
    spec = candidate.cluster.spec.model_copy(update={"worker_group_specs": groups})
    return replace(candidate.cluster, spec=spec)


def _with_replicas(group: WorkerGroupSpec, live: WorkerGroupSpec | None) -> WorkerGroupSpec:
    return group if live is None else group.model_copy(update={"replicas": live.replicas})


def _missing(cluster: RayCluster, there: Iterable[PodView]) -> Iterator[Batch]:
    options, found = RenderOptions(), list(there)
    if not any(pod.is_head for pod in found):
        yield Batch(_HEAD, 1, pods.head_pod(cluster, options))
    for group in cluster.spec.worker_group_specs:
        count = desired_pods(cluster, group) - sum(not pod.is_head and pod.group == group.group_name for pod in found)
        if count > 0:
            yield Batch(_named(group), count, pods.worker_pod(cluster, group, options))


_HEAD = "head"


def _named(group: WorkerGroupSpec) -> str:
    return f"group {group.group_name}"


def _group(pod: Manifest) -> str:
    return _HEAD if _label(pod, labels.NODE_TYPE) == labels.HEAD else f"group {_label(pod, labels.GROUP)}"


def _label(pod: Manifest, label: str) -> str | None:
    found: str | None = (pod["metadata"].get("labels") or {}).get(label)
    return found
