"""What a rollout needs at its peak, against what the nodes have free now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from rayserve_operator.advice.amounts import Amounts, Demand, Pod, Pods, left_over
from rayserve_operator.cli.scene import Manifest, Scene
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus, WorkerGroupSpec
from rayserve_operator.model.resources import parse_quantity, pod_requests, total
from rayserve_operator.model.scale import desired_pods
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.planning.service import surge
from rayserve_operator.planning.service.course import Course
from rayserve_operator.render import clusters, labels, names, pods
from rayserve_operator.render.options import RenderOptions

PODS = "pods"
"""The name under which nodes tell how many pods they take."""
_KEEPING_OUT = frozenset({"NoSchedule", "NoExecute"})
_ALWAYS = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Row:
    """Pods of one kind."""

    group: str
    pods: int
    requests: Mapping[str, Decimal]
    """Of all of them together."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is needed, and what there is."""

    now: Row
    """The pods that there are of the RayService."""
    added: tuple[Row, ...]
    """The pods that are made."""
    peak: Row
    """Both, as they stand side by side until the old ones end; the larger of them where the old ones end first."""
    free: Mapping[str, Decimal] | None
    """What all nodes that take pods have free now; None where that is not known."""
    unplaced: Mapping[str, int]
    """Pods that fit no node as it is now, by group."""


@dataclass(frozen=True, slots=True)
class Addition:
    """Pods that are to be made."""

    group: str
    count: int
    pod: Manifest

    @property
    def row(self) -> Row:
        """What they need."""
        each = pod_requests(self.pod["spec"])
        return Row(self.group, self.count, {name: amount * self.count for name, amount in each.items()})


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """What a node has free."""

    node: Manifest
    free: Mapping[str, Decimal]

    def takes(self, pod: Mapping[str, Any]) -> bool:
        """Whether a pod with this spec may run there: by its node selector and the node's taints.

        Affinity and spread are left to the scheduler.
        """
        on_node = self.node["metadata"].get("labels") or {}
        if not (pod.get("nodeSelector") or {}).items() <= on_node.items():
            return False
        taints = (self.node.get("spec") or {}).get("taints") or ()
        tolerations = pod.get("tolerations") or ()
        kept_out = (taint for taint in taints if taint["effect"] in _KEEPING_OUT)
        return all(any(_tolerates(one, taint) for one in tolerations) for taint in kept_out)


def room_for(scene: Scene, course: Course, nodes: Sequence[NodeRoom] | None) -> Room:
    """What is needed at the peak of what the course leads to.

    Args:
        scene: the world, with its pods.
        course: the RayService on its way to the new manifest.
        nodes: the nodes that take pods; None where they are not known.
    """
    own = {cluster.name for cluster in course.observed.clusters}
    living = [pod for pod in scene.pods if _is_alive(pod) and _cluster_of(pod) in own]
    now = Row("now", len(living), total(*(pod_requests(pod["spec"]) for pod in living)))
    additions = list(additions_of(course))
    added = tuple(addition.row for addition in additions)
    new = Row("new", sum(row.pods for row in added), total(*(row.requests for row in added)))
    peak = (_larger if course.makes_room else _both)(now, new)
    if nodes is None:
        return Room(now, added, peak, None, {})
    free = total(*(node.free for node in nodes))
    # What the old pods leave behind is not told by the nodes yet.
    return Room(now, added, peak, free, {} if course.makes_room else _unplaced(additions, nodes))


def _both(now: Row, new: Row) -> Row:
    return Row("peak", now.pods + new.pods, total(now.requests, new.requests))


def _larger(now: Row, new: Row) -> Row:
    resources = {*now.requests, *new.requests}
    most = {name: max(now.requests.get(name, Decimal(0)), new.requests.get(name, Decimal(0))) for name in resources}
    return Row("peak", max(now.pods, new.pods), most)


def additions_of(course: Course) -> Iterator[Addition]:
    """The pods that are made for the goal."""
    if course.goal.spec.suspend or course.failure is not None:
        return
    candidate, service = course.roles.candidate, course.observed.service
    if candidate is None:
        name = names.ray_cluster_name(service.meta.name, service.meta.uid, course.goal.part_digest, 1)
        spec = surge.first_spec(course)
        manifest = clusters.ray_cluster(service, name, spec, course.goal.revision, course.goal.serve.cluster_part)
        made = RayCluster(Meta.parse(manifest), RayClusterSpec.model_validate(manifest["spec"]), RayClusterStatus())
        yield from _missing(made, ())
    else:
        yield from _missing(_changed(course, candidate), [pod for pod in candidate.pods if pod.alive])


def free_of(nodes: Iterable[Manifest], running: Iterable[Manifest]) -> list[NodeRoom]:
    """What the nodes that take pods have free: what they can give, without what the pods on them ask for."""
    taken: dict[str, dict[str, Decimal]] = {}
    for pod in running:
        name = pod["spec"].get("nodeName")
        if name and _is_alive(pod):
            taken[name] = total(taken.get(name, {}), pod_requests(pod["spec"]), {PODS: Decimal(1)})
    return [NodeRoom(node, _left(node, taken.get(node["metadata"]["name"], {}))) for node in nodes if _is_open(node)]


def _changed(course: Course, candidate: ObservedCluster) -> RayCluster:
    """The RayCluster as it will be: what the autoscaler decides of it stays."""
    live = {group.group_name: group for group in candidate.cluster.spec.worker_group_specs}
    config = course.goal.spec.ray_cluster_config
    groups = [
        _with_replicas(g, live.get(g.group_name) if config.autoscaling else None) for g in config.worker_group_specs
    ]
    spec = candidate.cluster.spec.model_copy(update={"worker_group_specs": groups})
    return replace(candidate.cluster, spec=spec)


def _with_replicas(group: WorkerGroupSpec, live: WorkerGroupSpec | None) -> WorkerGroupSpec:
    return group if live is None else group.model_copy(update={"replicas": live.replicas})


def _missing(cluster: RayCluster, there: Sequence[PodView]) -> Iterator[Addition]:
    options = RenderOptions()
    if not any(pod.is_head for pod in there):
        yield Addition("head", 1, pods.head_pod(cluster, options))
    for group in cluster.spec.worker_group_specs:
        count = desired_pods(cluster, group) - sum(not pod.is_head and pod.group == group.group_name for pod in there)
        if count > 0:
            yield Addition(f"group {group.group_name}", count, pods.worker_pod(cluster, group, options))


def _unplaced(additions: Sequence[Addition], nodes: Sequence[NodeRoom]) -> Mapping[str, int]:
    """How many pods find no node. Whether a node takes a group counts as one more resource of it."""
    demands = [
        Demand(
            one.group, _amounts({**pod_requests(one.pod["spec"]), PODS: Decimal(1), one.group: Decimal(1)}), one.count
        )
        for one in additions
    ]
    rooms = []
    for node in nodes:
        open_to = {one.group: _ALWAYS for one in additions if node.takes(one.pod["spec"])}
        free = _amounts({**node.free, **open_to})
        rooms.append(Pods(Pod(free.cpus, free.memory, free.others), 1))
    return left_over(demands, rooms)


def _amounts(resources: Mapping[str, Decimal]) -> Amounts:
    """Resources of Kubernetes for packing; GPUs are told apart by their names, and never shared."""
    others = {name: amount for name, amount in resources.items() if name not in ("cpu", "memory")}
    return Amounts(cpus=resources.get("cpu", Decimal(0)), memory=resources.get("memory", Decimal(0)), others=others)


def _left(node: Manifest, taken: Mapping[str, Decimal]) -> dict[str, Decimal]:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return {
        name: max(parse_quantity(str(quantity)) - taken.get(name, Decimal(0)), Decimal(0))
        for name, quantity in allocatable.items()
    }


def _is_open(node: Manifest) -> bool:
    """Whether the scheduler places pods there."""
    conditions = {c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()}
    return conditions.get("Ready") == "True" and not (node.get("spec") or {}).get("unschedulable")


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Kubernetes' rule: an empty key tolerates all keys, an empty effect all effects."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")


def _is_alive(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _cluster_of(pod: Manifest) -> str | None:
    found: str | None = (pod["metadata"].get("labels") or {}).get(labels.CLUSTER)
    return found
