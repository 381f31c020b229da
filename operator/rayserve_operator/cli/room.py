"""What a rollout needs at its peak, against what the nodes have free now and what quotas leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rayserve_operator.advice.amounts import Amounts, Demand, Pod, Pods, left_over
from rayserve_operator.cli.peak import Batch, Batches, Way, is_alive, together
from rayserve_operator.cli.quotas import QuotaRoom, quota_room
from rayserve_operator.cli.scene import Manifest
from rayserve_operator.model.resources import largest, parse_quantity, pod_requests, total

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
    """The most of each resource at any time until the old pods have ended: where these end first, the larger of both;
    where capacity moves in steps, what is side by side at a step."""
    free: Mapping[str, Decimal] | None
    """What all nodes that take pods have free now; None where that is not known."""
    unplaced: Mapping[str, int]
    """Pods that are made before an old one ends, and fit no node as it is now, by group."""
    quotas: tuple[QuotaRoom, ...] | None
    """What the ResourceQuotas of the namespace leave; None where they are not known."""


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


def room_for(way: Way, nodes: Sequence[NodeRoom] | None, quotas: Sequence[Manifest] | None) -> Room:
    """What is needed at the peak of what is to be done.

    Args:
        way: how the pods change.
        nodes: the nodes that take pods; None where they are not known.
        quotas: the ResourceQuotas of the namespace; None where they are not known.
    """
    stages = [_row("peak", batches) for batches in (way.now, *(stage.pods for stage in way.stages))]
    return Room(
        now=_row("now", way.now),
        added=tuple(_row(batch.group, (batch,)) for batch in way.made),
        peak=Row("peak", max(row.pods for row in stages), largest(*(row.requests for row in stages))),
        free=None if nodes is None else total(*(node.free for node in nodes)),
        # What the old pods leave behind is not told by the nodes yet.
        unplaced={} if nodes is None else _unplaced(way.first, nodes),
        quotas=None if quotas is None else tuple(quota_room(quota, way) for quota in quotas),
    )


def _row(name: str, batches: Batches) -> Row:
    return Row(name, sum(batch.count for batch in batches), together(batches))


def free_of(nodes: Iterable[Manifest], running: Iterable[Manifest]) -> list[NodeRoom]:
    """What the nodes that take pods have free: what they can give, without what the pods on them ask for."""
    taken: dict[str, dict[str, Decimal]] = {}
    for pod in running:
        name = pod["spec"].get("nodeName")
        if name and is_alive(pod):
            taken[name] = total(taken.get(name, {}), pod_requests(pod["spec"]), {PODS: Decimal(1)})
    return [NodeRoom(node, _left(node, taken.get(node["metadata"]["name"], {}))) for node in nodes if _is_open(node)]


def _unplaced(made: Sequence[Batch], nodes: Sequence[NodeRoom]) -> Mapping[str, int]:
    """How many pods find no node. Whether a node takes a group counts as one more resource of it."""
    demands = [
        Demand(one.group, _amounts({**pod_requests(one.spec), PODS: Decimal(1), one.group: Decimal(1)}), one.count)
        for one in made
    ]
    rooms = []
    for node in nodes:
        open_to = {one.group: _ALWAYS for one in made if node.takes(one.spec)}
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
