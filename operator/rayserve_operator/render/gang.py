"""Gang scheduling: the pods of a cluster start all together or not at all (KubeRay's semantics).

The operator is told of one batch scheduler: Volcano, YuniKorn or the coscheduling of Kubernetes' scheduler-plugins. It
then schedules every Ray pod whose template names no `schedulerName`; one that is named must itself know of the gang.
Users say the rest by labels of the RayCluster, or of the RayService, whose clusters inherit them:

- `ray.io/gang-scheduling-enabled`: makes a gang with YuniKorn and scheduler-plugins. Volcano always makes one.
- `volcano.sh/queue-name`, `ray.io/priority-class-name`, `volcano.sh/network-topology-mode` and
  `volcano.sh/network-topology-highest-tier-allowed`: for Volcano.
- `yunikorn.apache.org/app-id` and `yunikorn.apache.org/queue`: for YuniKorn.

The gang is the head and the workers that the cluster starts with: with autoscaling `minReplicas` of each group, else
`replicas`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import HeadGroupSpec
from rayserve_operator.model.resources import parse_quantity
from rayserve_operator.model.scale import desired_pods, fewest_pods
from rayserve_operator.render import autoscaler, labels, names
from rayserve_operator.render.containers import without_empty
from rayserve_operator.render.manifests import of_belonging
from rayserve_operator.render.node import Node
from rayserve_operator.render.options import BatchScheduler, RenderOptions
from rayserve_operator.render.ports import Group

_SCHEDULER: Final[Mapping[BatchScheduler, str]] = {
    "volcano": "volcano",
    "yunikorn": "yunikorn",
    "scheduler-plugins": "scheduler-plugins-scheduler",
}
"""The `schedulerName` that each goes by where it is installed beside the default scheduler."""

_VOLCANO_QUEUE = "volcano.sh/queue-name"
_VOLCANO_TOPOLOGY = "volcano.sh/network-topology-mode"
_VOLCANO_TIER = "volcano.sh/network-topology-highest-tier-allowed"

_YUNIKORN_LABELS = {"yunikorn.apache.org/app-id": "applicationId", "yunikorn.apache.org/queue": "queue"}
"""Labels of a cluster, and what every version of YuniKorn reads on a pod."""

Amounts = dict[str, Decimal]


def pod_labels(node: Node) -> dict[str, str]:
    """The labels by which the scheduler knows the application, the queue or the gang of a pod."""
    given = node.cluster.meta.labels
    match node.options.batch_scheduler:
        case "volcano":
            return {_VOLCANO_QUEUE: given[_VOLCANO_QUEUE]} if _VOLCANO_QUEUE in given else {}
        case "yunikorn":
            return {read: given[key] for key, read in _YUNIKORN_LABELS.items() if key in given}
        case "scheduler-plugins" if _is_wanted(node.cluster):
            return {"scheduling.x-k8s.io/pod-group": node.cluster.meta.name}
    return {}


def pod_annotations(node: Node) -> dict[str, str]:
    """The annotations by which the scheduler knows the gang of a pod and the pod's place in it."""
    match node.options.batch_scheduler:
        case "volcano":
            group = names.pod_group_name(node.cluster.meta.name)
            return {"scheduling.k8s.io/group-name": group, "volcano.sh/task-spec": node.group_name}
        case "yunikorn" if _is_wanted(node.cluster):
            groups = [_task_group(member, count) for member, count in _members(node.cluster, node.options)]
            known = {"yunikorn.apache.org/task-groups": json.dumps(groups, separators=(",", ":"))}
            if any(group["name"] == node.group_name for group in groups):
                known["yunikorn.apache.org/task-group-name"] = node.group_name
            return known
    return {}


def pod_spec(node: Node) -> dict[str, str]:
    """The parts of a pod's spec that choose its scheduler and its priority, for templates that leave them out."""
    scheduler = node.options.batch_scheduler
    if scheduler is None:
        return {}
    priority = node.cluster.meta.labels.get(labels.PRIORITY_CLASS) if scheduler == "volcano" else None
    chosen = without_empty({"schedulerName": _SCHEDULER[scheduler], "priorityClassName": priority})
    given = node.group.template.get("spec") or {}
    return {key: value for key, value in chosen.items() if not given.get(key)}


def pod_group(cluster: RayCluster, options: RenderOptions) -> dict[str, Any] | None:
    """The PodGroup by which the scheduler knows what a cluster starts with.

    None where there is no gang or the scheduler needs no such object, and for a cluster that is suspended: a group
    that waits may hold its resources in the queue.
    """
    if cluster.spec.suspend:
        return None
    match options.batch_scheduler:
        case "volcano":
            name, version = names.pod_group_name(cluster.meta.name), "scheduling.volcano.sh/v1beta1"
            more = _volcano_spec(cluster)
        case "scheduler-plugins" if _is_wanted(cluster):
            name, version, more = cluster.meta.name, "scheduling.x-k8s.io/v1alpha1", {}
        case _:
            return None
    members = list(_members(cluster, options))
    least = _total((_requests(member), count) for member, count in members)
    return {
        "apiVersion": version,
        "kind": "PodGroup",
        "metadata": of_belonging(cluster, name),
        "spec": {
            "minMember": sum(count for _, count in members),
            **without_empty({"minResources": _as_quantities(least)}),
            **more,
        },
    }


def _is_wanted(cluster: RayCluster) -> bool:
    """Whether the user asks for a gang. KubeRay takes `false` for yes too."""
    return cluster.meta.labels.get(labels.GANG_SCHEDULING, "false") != "false"


def _volcano_spec(cluster: RayCluster) -> dict[str, Any]:
    given = cluster.meta.labels
    tier = given.get(_VOLCANO_TIER, "")
    topology = {"mode": given.get(_VOLCANO_TOPOLOGY), "highestTierAllowed": int(tier) if tier.isdecimal() else None}
    return without_empty(
        {
            "queue": given.get(_VOLCANO_QUEUE),
            "priorityClassName": given.get(labels.PRIORITY_CLASS),
            "networkTopology": without_empty(topology) if topology["mode"] else None,
        }
    )


def _members(cluster: RayCluster, options: RenderOptions) -> Iterator[tuple[Node, int]]:
    """Nodes of each kind that the cluster starts with, and how many; none of a kind that it starts without."""
    groups: list[Group] = [cluster.spec.head_group_spec, *cluster.spec.worker_group_specs]
    for group in groups:
        if count := _pods(cluster, group):
            yield Node(cluster, group, options), count


def _pods(cluster: RayCluster, group: Group) -> int:
    if isinstance(group, HeadGroupSpec):
        return 1
    if cluster.spec.autoscaling and not group.suspend:
        return fewest_pods(group)
    return desired_pods(cluster, group)


def _task_group(member: Node, count: int) -> dict[str, Any]:
    """A group of pods as YuniKorn reads it. It reserves with pods of its own, which must fit where the real ones do."""
    spec = member.group.template.get("spec") or {}
    constraints = ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints")
    return {
        "name": member.group_name,
        "minMember": count,
        "minResource": _as_quantities(_requests(member)),
        **without_empty({key: spec.get(key) for key in constraints}),
    }


def _requests(member: Node) -> Amounts:
    """What the scheduler finds that a pod requests (Kubernetes' rule).

    Containers run together, init containers one after the other before them, but for those that are restarted always,
    which stay.
    """
    spec = member.group.template.get("spec") or {}
    beside = [autoscaler.container(member)] if autoscaler.is_wanted(member) else []
    lasting: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        needed = _total([(lasting, 1), (_of_container(container), 1)])
        most = _larger(most, needed)
        if container.get("restartPolicy") == "Always":
            lasting = needed
    together = [(_of_container(container), 1) for container in [*(spec.get("containers") or ()), *beside]]
    overhead = _parsed(spec.get("overhead") or {})
    return _total([(_larger(most, _total([(lasting, 1), *together])), 1), (overhead, 1)])


def _of_container(container: Mapping[str, Any]) -> Amounts:
    """Requests, and limits of what has no request."""
    resources = container.get("resources") or {}
    return _parsed({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _parsed(quantities: Mapping[str, Any]) -> Amounts:
    return {name: parse_quantity(str(quantity)) for name, quantity in quantities.items()}


def _total(counted: Iterable[tuple[Amounts, int]]) -> Amounts:
    total: Amounts = {}
    for amounts, count in counted:
        for name, amount in amounts.items():
            total[name] = total.get(name, Decimal(0)) + amount * count
    return total


def _larger(one: Amounts, other: Amounts) -> Amounts:
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in {**one, **other}}


def _as_quantities(amounts: Amounts) -> dict[str, str]:
    """In whole units, or in thousandths, rounded up."""
    return {
        name: str(int(amount))
        if amount == amount.to_integral_value()
        else f"{int((amount * 1000).to_integral_value(ROUND_CEILING))}m"
        for name, amount in sorted(amounts.items())
    }
