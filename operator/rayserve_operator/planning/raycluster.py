"""What should happen next to a RayCluster: one pure function."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterStatus, WorkerGroupSpec
from rayserve_operator.model.validation import validate_cluster
from rayserve_operator.planning import cluster_status
from rayserve_operator.planning.actions import Announcement, AnyAction, Apply, Confirm, Create, Delete, Kind, Plan
from rayserve_operator.planning.drift import drifted, stamped
from rayserve_operator.planning.observed import ObservedRayCluster, PodView, age
from rayserve_operator.planning.scale import desired_pods, hosts
from rayserve_operator.render import names, pods, rbac, services
from rayserve_operator.render.options import RenderOptions

SHORT_LIFE = timedelta(seconds=30)
"""A pod that fails within this time of its creation is replaced only when the time is over, so that a pod that
cannot run is not made anew without end. Its own remains are the memory of that."""

Step = tuple[AnyAction, ...]


def plan_cluster(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Plan[RayClusterStatus]:
    """Decide the next actions and the status of a RayCluster."""
    cluster = observed.cluster
    if cluster.meta.deleting:
        return Plan(status=cluster.status)
    problems = validate_cluster(cluster.meta.name, cluster.meta.namespace, cluster.spec)
    status = cluster_status.project(observed, problems, now)
    return Plan(
        steps=() if problems else tuple(step for step in _steps(observed, options, now) if step),
        status=status,
        announcements=_announcements(cluster.status, tuple(problems)),
        recheck_after=_recheck(observed, now),
    )


def refuse_cluster(
    meta: Meta, status: RayClusterStatus, problems: tuple[Problem, ...], now: datetime
) -> Plan[RayClusterStatus]:
    """What happens to a RayCluster whose spec cannot be read: it is told so, and nothing else changes."""
    told = cluster_status.refuse(meta, status, problems, now)
    return Plan(status=told, announcements=_announcements(status, problems))


def _steps(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Iterator[Step]:
    cluster = observed.cluster
    heads = [pod for pod in observed.pods if pod.is_head]
    needs_head = not heads and not cluster.spec.suspend
    members: list[AnyAction] = [*_services(observed)]
    if needs_head:
        members.append(_create_head(cluster, options))
    members += _heads_to_remove(cluster, heads, now)
    for group in cluster.spec.worker_group_specs:
        workers = [pod for pod in observed.pods if not pod.is_head and pod.group == group.group_name]
        members += _group(cluster, group, workers, options, now)
    if any(isinstance(member, Create) for member in members):
        # A cluster that went while its watch was cut would get pods for ever, for the garbage collector to take.
        yield (Confirm(kind=Kind.RAY_CLUSTER, name=cluster.meta.name, uid=cluster.meta.uid),)
    if needs_head and cluster.spec.autoscaling:
        yield tuple(_permissions(cluster))
    yield tuple(members)


def _permissions(cluster: RayCluster) -> Iterator[AnyAction]:
    for kind, manifest in (
        (Kind.SERVICE_ACCOUNT, rbac.service_account(cluster)),
        (Kind.ROLE, rbac.role(cluster)),
        (Kind.ROLE_BINDING, rbac.role_binding(cluster)),
    ):
        if manifest is not None:
            yield Apply(kind=kind, manifest=manifest)


def _services(observed: ObservedRayCluster) -> Iterator[AnyAction]:
    cluster = observed.cluster
    wanted = [services.cluster_head_service(cluster)]
    if any(hosts(group) > 1 for group in cluster.spec.worker_group_specs):
        wanted.append(services.headless_worker_service(cluster))
    for manifest in map(stamped, wanted):
        live = observed.services.get(manifest["metadata"]["name"])
        if live is None or drifted(live, manifest):
            yield Apply(kind=Kind.SERVICE, manifest=manifest)


def _create_head(cluster: RayCluster, options: RenderOptions) -> AnyAction:
    prefix = names.head_pod_prefix(cluster.meta.name)
    mirrored = sorted(
        {
            resource
            for template in (
                cluster.spec.head_group_spec.template,
                *(group.template for group in cluster.spec.worker_group_specs),
            )
            for resource in pods.mirrored_resources(template)
        }
    )
    told = f"; {', '.join(mirrored)} stood in requests alone and is set in limits too" if mirrored else ""
    return Create(
        kind=Kind.POD,
        manifest=pods.head_pod(cluster, options),
        name_prefix=prefix,
        announce=Announcement("CreatedHeadPod", f"Created the head pod{told}"),
    )


def _heads_to_remove(cluster: RayCluster, heads: list[PodView], now: datetime) -> Iterator[AnyAction]:
    for pod in heads:
        if pod.meta.deleting:
            continue
        if cluster.spec.suspend:
            yield _delete(pod, "DeletedHeadPod", "the cluster is suspended")
        elif pod.finished and _lived_long_enough(pod, now):
            yield _delete(pod, "DeletedHeadPod", _end_of(pod))


def _group(
    cluster: RayCluster, group: WorkerGroupSpec, workers: list[PodView], options: RenderOptions, now: datetime
) -> Iterator[AnyAction]:
    wanted = desired_pods(cluster, group)
    named = set(group.scale_strategy.workers_to_delete)
    leaving = {p.meta.name: _delete(p, "DeletedWorkerPod", "its removal was asked for")
               for p in workers if p.meta.name in named and p.alive}  # fmt: skip
    spent = [p for p in workers if p.finished and not p.meta.deleting and _lived_long_enough(p, now)]
    yield from leaving.values()
    for pod in spent:
        yield _delete(pod, "DeletedWorkerPod", _end_of(pod))
    # A pod that failed at once still holds its place, until the time it should have lived at least is over.
    holding = [p for p in workers if not p.meta.deleting and p not in spent and p.meta.name not in leaving]
    missing = wanted - len(holding)
    for _ in range(missing):
        yield Create(
            kind=Kind.POD,
            manifest=pods.worker_pod(cluster, group, options),
            name_prefix=names.worker_pod_prefix(cluster.meta.name, group.group_name),
            announce=Announcement("CreatedWorkerPod", f"Created a worker pod of group {group.group_name}"),
        )
    for pod in _surplus(cluster, group, holding, -missing):
        yield _delete(pod, "DeletedWorkerPod", f"group {group.group_name} has more than the {wanted} wanted")


def _surplus(cluster: RayCluster, group: WorkerGroupSpec, workers: list[PodView], count: int) -> list[PodView]:
    """The pods to give up, the least useful first.

    Under autoscaling only Ray knows which worker is idle, so nothing that runs is given up unless it is named.
    """
    if count <= 0:
        return []
    is_rays_choice = cluster.spec.autoscaling and not cluster.spec.suspend and not group.suspend
    expendable = [p for p in workers if not is_rays_choice or p.phase == "Pending"]
    return sorted(expendable, key=lambda p: (p.ready, p.up, p.phase == "Running", p.meta.name))[:count]


def _delete(pod: PodView, reason: str, why: str) -> Delete:
    return Delete(
        kind=Kind.POD,
        name=pod.meta.name,
        uid=pod.meta.uid,
        announce=Announcement(reason, f"Deleted {pod.meta.name}: {why}"),
    )


def _end_of(pod: PodView) -> str:
    ended = pod.ray.terminated if pod.ray else None
    return f"it {'ended' if pod.phase == 'Succeeded' else 'failed'}" + (f" ({ended})" if ended else "")


def _lived_long_enough(pod: PodView, now: datetime) -> bool:
    return age(pod.meta, now) >= SHORT_LIFE.total_seconds()


def _recheck(observed: ObservedRayCluster, now: datetime) -> timedelta | None:
    waiting = [
        SHORT_LIFE - timedelta(seconds=age(pod.meta, now))
        for pod in observed.pods
        if pod.finished and not pod.meta.deleting and not _lived_long_enough(pod, now)
    ]
    return min(waiting, default=None)


def _announcements(status: RayClusterStatus, problems: tuple[Problem, ...]) -> tuple[Announcement, ...]:
    if not problems:
        return ()
    message = "; ".join(map(str, problems))
    if any(c.type == ClusterCondition.SPEC_VALID and c.message == message for c in status.conditions):
        return ()
    return (Announcement("InvalidRayClusterSpec", message, "Warning"),)
