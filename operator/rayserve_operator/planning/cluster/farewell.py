"""The end of a RayCluster whose state is kept in Redis: what it left there is removed before the object may go.

Every other cluster goes by Kubernetes' own garbage collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Announcement, AnyAction, Apply, Delete, Kind, Patch, Plan, strands
from rayserve_operator.planning.observed import BelongingView, ObservedRayCluster
from rayserve_operator.render import labels, redis_cleanup
from rayserve_operator.render.options import RenderOptions

DEFAULT_TIMEOUT = timedelta(minutes=5)
"""How long the removal may take before the cluster goes without it (KubeRay's)."""

_OVER = frozenset({"Complete", "Failed", "FailureTarget"})


def plan(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Plan[RayClusterStatus]:
    """What happens to a RayCluster that is on its way out."""
    cluster = observed.cluster
    if labels.REDIS_FINALIZER not in cluster.meta.finalizers:
        return Plan(status=cluster.status)
    left = max(_deadline(cluster) - now, timedelta())
    return Plan(strands=strands([(tuple(_step(observed, options, now)),)]), status=cluster.status, recheck_after=left)


def guard(cluster: RayCluster, options: RenderOptions) -> Patch | None:
    """The finalizer, which a cluster must have before it first writes to Redis."""
    if labels.REDIS_FINALIZER in cluster.meta.finalizers or redis_cleanup.cleanup_job(cluster, options) is None:
        return None
    finalizers = [*cluster.meta.finalizers, labels.REDIS_FINALIZER]
    same = {"op": "test", "path": "/metadata/resourceVersion", "value": cluster.meta.version}
    add = {"op": "add", "path": "/metadata/finalizers", "value": finalizers}
    return Patch(kind=Kind.RAY_CLUSTER, name=cluster.meta.name, operations=(same, add))


def _step(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Iterator[AnyAction]:
    cluster = observed.cluster
    job = redis_cleanup.cleanup_job(cluster, options)
    made = next((b for b in observed.belongings if b.kind is Kind.JOB), None)
    if observed.namespace_leaving:
        yield _let_go(cluster, "its namespace is being deleted, where no clean-up can be started")
    elif job is None or (made is not None and _is_over(made)):
        yield _let_go(cluster, None)
    elif now >= _deadline(cluster):
        yield _let_go(
            cluster, f"the clean-up was not done after {_timeout(cluster)}; remove its keys from Redis by hand"
        )
    elif observed.pods:
        # Ray would write on, so its pods end first.
        for pod in observed.pods:
            if not pod.meta.deleting:
                yield Delete(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid)
    elif made is None:
        told = Announcement("CreatedRedisCleanupJob", f"Removing what {cluster.meta.name} left in Redis")
        yield Apply(kind=Kind.JOB, manifest=job, is_first=True, announce=told)


def _let_go(cluster: RayCluster, regret: str | None) -> Patch:
    finalizers = cluster.meta.finalizers
    path = f"/metadata/finalizers/{finalizers.index(labels.REDIS_FINALIZER)}"
    told = None
    if regret is not None:
        told = Announcement(
            "ForceDeletedStuckCluster", f"Left the state of {cluster.meta.name} in Redis: {regret}", "Warning"
        )
    return Patch(
        kind=Kind.RAY_CLUSTER,
        name=cluster.meta.name,
        operations=({"op": "test", "path": path, "value": labels.REDIS_FINALIZER}, {"op": "remove", "path": path}),
        announce=told,
    )


def _is_over(job: BelongingView) -> bool:
    conditions = (job.content.get("status") or {}).get("conditions") or ()
    return any(c["type"] in _OVER and c["status"] == "True" for c in conditions)


def _deadline(cluster: RayCluster) -> datetime:
    begun = cluster.meta.deleted_at
    if begun is None:
        raise ValueError(f"{cluster.meta.name} is not being deleted")
    return begun + _timeout(cluster)


def _timeout(cluster: RayCluster) -> timedelta:
    said = cluster.meta.annotations.get(labels.REDIS_CLEANUP_TIMEOUT, "")
    return timedelta(seconds=int(said)) if said.isdecimal() else DEFAULT_TIMEOUT
