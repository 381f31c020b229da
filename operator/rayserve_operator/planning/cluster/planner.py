"""What should happen next to a RayCluster: one pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.validation import validate_cluster
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Confirm,
    Create,
    Delete,
    Kind,
    Plan,
    Step,
    strands,
)
from rayserve_operator.planning.cluster import (
    autoscaling,
    belongings,
    budget,
    farewell,
    heads,
    nodes,
    orphans,
    recreation,
    replacement,
    troubles,
    workers,
)
from rayserve_operator.planning.cluster import status as cluster_status
from rayserve_operator.planning.cluster.heads import HeadCare
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.planning.suspension import Phase, phase_of_cluster
from rayserve_operator.planning.words import few
from rayserve_operator.render import auth, labels, names, pods, tls
from rayserve_operator.render.manifests import annotated
from rayserve_operator.render.options import RenderOptions


def plan_cluster(
    observed: ObservedRayCluster,
    options: RenderOptions,
    now: datetime,
    lost_after: timedelta = nodes.NODE_LOST_AFTER,
) -> Plan[RayClusterStatus]:
    """Decide the next actions and the status of a RayCluster.

    Args:
        observed: the cluster and all that belongs to it.
        options: the operator's settings that show in pods.
        now: the time.
        lost_after: how long a node must be silent before a head on it is given up.
    """
    if observed.cluster.meta.deleting:
        return farewell.plan(observed, options, now)
    given, observed = observed.cluster, replace(observed, cluster=autoscaling.settled(observed))
    cluster = observed.cluster
    problems = validate_cluster(cluster.meta.name, cluster.meta.namespace, cluster.spec)
    phase = phase_of_cluster(observed)
    care = heads.care(observed, now, lost_after)
    work = _Work(observed, given.spec, phase, care, options, now)
    return Plan(
        strands=() if problems else strands(work.strands()),
        status=cluster_status.project(observed, phase, care, problems, now),
        announcements=_announcements(cluster.status, tuple(problems)),
        recheck_after=_recheck(observed, now, lost_after),
    )


def refuse_cluster(
    meta: Meta, status: RayClusterStatus, problems: tuple[Problem, ...], now: datetime
) -> Plan[RayClusterStatus]:
    """What happens to a RayCluster whose spec cannot be read: it is told so, and nothing else changes."""
    told = cluster_status.refuse(meta, status, problems, now)
    return Plan(status=told, announcements=_announcements(status, problems))


@dataclass(frozen=True, slots=True)
class _Work:
    """Everything that the steps are made from."""

    observed: ObservedRayCluster
    given: RayClusterSpec
    """The spec as the user wrote it."""
    phase: Phase
    care: HeadCare
    options: RenderOptions
    now: datetime

    def strands(self) -> Iterator[Iterable[Step]]:
        """What is to be done, in strands of which each goes on when another is refused."""
        observed = self.observed
        outdated = recreation.outdated(observed)
        if labels.ENDED_AT in observed.cluster.meta.annotations:
            return
        if self.phase is Phase.SUSPENDING:
            yield (tuple(_delete_all(observed.pods, "the cluster is suspended")),)
        elif self.phase is Phase.RUNNING and outdated:
            # The head goes last: it remembers what the others were made from.
            why = f"the cluster is recreated, because {few(outdated)} changed"
            yield (tuple(_delete_all(observed.workers, why)), tuple(_delete_all(observed.heads, why)))
            return
        kept = belongings.keep(observed, self.options, self.now)
        yield self._keep_pods(kept.needed) if self.phase is Phase.RUNNING else kept.needed
        yield (kept.beside,)

    def _keep_pods(self, needed: Iterable[Step]) -> Iterator[Step]:
        """The pods, after what they need."""
        head, members = tuple(self._keep_head()), tuple(self._keep_workers())
        if any(isinstance(action, Create) for action in (*head, *members)):
            # A cluster that went while its watch was cut would get pods for ever, for the garbage collector to take.
            meta = self.observed.cluster.meta
            yield (Confirm(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid),)
        if self.care.wanted:
            yield tuple(self._before_the_head())
        yield from needed
        # Where there is room for a few pods only, one of them is the head.
        yield head
        yield members

    def _before_the_head(self) -> Iterator[AnyAction]:
        """What must be so before a head may start."""
        cluster = self.observed.cluster
        guard = farewell.guard(cluster, self.options)
        if guard is not None:
            yield guard
        token = auth.token_secret(cluster)
        if token is not None:
            yield Create(kind=Kind.SECRET, manifest=token, drawn_key=auth.TOKEN_KEY)
        yield from (Create(kind=Kind.SECRET, manifest=secret) for secret in tls.secrets(cluster))
        for pod in self.care.given_up:
            if labels.IDENTIFIER in pod.meta.labels:
                # The head Services lead to heads that are not ready, too.
                removed = {labels.IDENTIFIER: None}
                yield Annotate(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, labels=removed)

    def _keep_head(self) -> Iterator[AnyAction]:
        if self.care.wanted:
            yield self._create_head()
        for pod, why in self.care.remove:
            yield _delete(pod, "DeletedHeadPod", why)
        remembered = recreation.remembered(self.observed)
        if remembered is not None:
            yield remembered

    def _create_head(self) -> AnyAction:
        cluster = self.observed.cluster
        memory = {**recreation.memory_of(cluster), **replacement.memory_of(self.care.failures)}
        told = f"{_mirrored(cluster)}{autoscaling.told(self.given) if cluster.spec.autoscaling else ''}"
        return Create(
            kind=Kind.POD,
            manifest=annotated(pods.head_pod(cluster, self.options), memory),
            name_prefix=names.head_pod_prefix(cluster.meta.name),
            announce=Announcement("CreatedHeadPod", f"Created the head pod{told}"),
        )

    def _keep_workers(self) -> Iterator[AnyAction]:
        groups = self.observed.cluster.spec.worker_group_specs
        for group in groups:
            yield from workers.tend(self.observed, group, self.care.head, self.options, self.now)
        known = {group.group_name for group in groups}
        for pod in self.observed.workers:
            if pod.group not in known and not pod.meta.deleting:
                yield workers.delete_worker(pod, f"its group {pod.group} is no longer in the spec")


def _mirrored(cluster: RayCluster) -> str:
    templates = [cluster.spec.head_group_spec.template, *(group.template for group in cluster.spec.worker_group_specs)]
    resources = sorted({resource for template in templates for resource in pods.mirrored_resources(template)})
    return f"; {', '.join(resources)} stood in requests alone and is set in limits too" if resources else ""


def _delete_all(unwanted: tuple[PodView, ...], why: str) -> Iterator[AnyAction]:
    for pod in unwanted:
        if not pod.meta.deleting:
            yield _delete(pod, "DeletedHeadPod" if pod.is_head else "DeletedWorkerPod", why)


def _delete(pod: PodView, reason: str, why: str) -> Delete:
    told = Announcement(reason, f"Deleted {pod.meta.name}: {why}")
    return Delete(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, announce=told)


def _recheck(observed: ObservedRayCluster, now: datetime, lost_after: timedelta) -> timedelta | None:
    """When time alone may change something; everything else wakes the object."""
    left = (replacement.time_left(pod, now) for pod in observed.pods if pod.finished and not pod.meta.deleting)
    waits = [
        # One that is due and stays is not to be replaced, because the cluster has ended or its spec is not valid.
        *(wait for wait in left if wait > timedelta()),
        nodes.recheck(observed, now, lost_after),
        budget.recheck(observed, now),
        orphans.recheck(observed.workers, now),
        troubles.recheck(observed.pods, now),
    ]
    return min((wait for wait in waits if wait is not None), default=None)


def _announcements(status: RayClusterStatus, problems: tuple[Problem, ...]) -> tuple[Announcement, ...]:
    if not problems:
        return ()
    message = "; ".join(map(str, problems))
    if any(c.type == ClusterCondition.SPEC_VALID and c.message == message for c in status.conditions):
        return ()
    return (Announcement("InvalidRayClusterSpec", message, "Warning"),)
