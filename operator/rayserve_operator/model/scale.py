"""How many pods a worker group should have."""

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import WorkerGroupSpec


def desired_replicas(cluster: RayCluster, group: WorkerGroupSpec) -> int:
    """Replicas that the group should have now, within its bounds."""
    if cluster.spec.suspend or group.suspend:
        return 0
    return within_bounds(group.replicas or 0, group)


def within_bounds(replicas: int, group: WorkerGroupSpec) -> int:
    """The number that is nearest to this one within the group's bounds."""
    return max(group.min_replicas or 0, min(replicas, _limit(group)))


def desired_pods(cluster: RayCluster, group: WorkerGroupSpec) -> int:
    """Worker pods that the group should have now."""
    return desired_replicas(cluster, group) * hosts(group)


def fewest_pods(group: WorkerGroupSpec) -> int:
    """Pods that the group never has less of."""
    return (group.min_replicas or 0) * hosts(group)


def most_pods(group: WorkerGroupSpec) -> int:
    """Pods that the group never has more of."""
    return min(_limit(group) * hosts(group), INT32_MAX)


def hosts(group: WorkerGroupSpec) -> int:
    """Pods that make up one replica of the group."""
    return group.num_of_hosts or 1


def _limit(group: WorkerGroupSpec) -> int:
    return INT32_MAX if group.max_replicas is None else group.max_replicas
