"""What should happen next to a RayService: one pure function.

Every pass starts from what is there, so a pass can be cut off after any write and the next one goes on from it.
The order of the steps carries the safety: a cluster is marked as routed before traffic moves to it, traffic moves in
one request together with the stamp that says so, and the old cluster starts to leave only in a later pass, when the
stamp has been seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    Plan,
    SubmitServe,
)
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.cluster import autoscaling
from rayserve_operator.planning.drift import drifted, is_headless, stamped
from rayserve_operator.planning.observed import ObservedCluster, ObservedService, RevisionView, ServiceView
from rayserve_operator.planning.service import gate
from rayserve_operator.planning.service import status as service_status
from rayserve_operator.planning.service.goal import Aim, Goal
from rayserve_operator.planning.service.roles import (
    Roles,
    assign_roles,
    is_conflict,
    needs_new_cluster,
    stamped_cluster,
)
from rayserve_operator.planning.suspension import Phase, phase_of_service
from rayserve_operator.render import clusters, labels, names, revisions, services
from rayserve_operator.render.pods import dashboard_port

WATCHING = timedelta(seconds=0.5)
"""How often Ray is asked while something is on its way."""
RESTING = timedelta(seconds=10)
"""How often Ray is asked at rest."""

_SUSPENSION_RECHECK = {Phase.BEGINNING: timedelta(), Phase.RESUMING: timedelta()}
"""That a suspension begins or is over is only a status of ours, and the answer to that wakes nobody."""

Step = tuple[AnyAction, ...]


def plan_service(observed: ObservedService, aim: Aim, now: datetime) -> Plan[RayServiceStatus]:
    """Decide the next actions and the status of a RayService."""
    service = observed.service
    if service.meta.deleting:
        return Plan(status=service.status)
    goal = aim.goal
    roles = assign_roles(observed, goal)
    phase = phase_of_service(observed)
    status = service_status.project(observed, aim, roles, phase, now)
    if phase is Phase.RUNNING:
        steps = _steps(observed, goal, roles, now, spec_is_valid=not aim.problems)
    else:
        steps = _suspend(observed, phase)
    return Plan(
        steps=tuple(step for step in steps if step),
        status=status,
        announcements=service_status.announcements(service.status, status),
        recheck_after=_recheck(goal, roles, now) if phase is Phase.RUNNING else _SUSPENSION_RECHECK.get(phase),
    )


def _steps(
    observed: ObservedService, goal: Goal, roles: Roles, now: datetime, *, spec_is_valid: bool
) -> Iterator[Step]:
    if not roles.stamped:
        yield from _stamp(observed, roles, now)
        return
    revision = _revision(observed, goal)
    attempt = _attempt(observed, goal, revision, roles)
    yield tuple(_keep_revision(observed, goal, revision, attempt, now))
    if roles.candidate is None:
        yield from _make_cluster(observed, goal, roles, attempt, now)
    else:
        yield tuple(_adjust(observed, roles.candidate, goal, spec_is_valid=spec_is_valid))
    yield tuple(_sync_serve(goal, roles))
    yield tuple(_label_heads(goal, roles))
    if roles.pending is not None:
        yield from _switch(observed, roles.pending, goal, now)
    elif roles.active is not None:
        yield tuple(_route(observed, roles.active))
    yield from _retire(observed, goal, roles, now)


def _suspend(observed: ObservedService, phase: Phase) -> Iterator[Step]:
    """Give up the Services and the clusters. What is needed to make them anew stands in the RayService.

    A cluster is suspended itself before it is deleted, so that the service is not called suspended while pods of its
    still hold resources.
    """
    if phase in (Phase.BEGINNING, Phase.RESUMING):
        return
    meta = observed.service.meta
    services = [view for view in (observed.serve_service, observed.head_service) if view is not None]
    owned = [(Kind.SERVICE, view.meta) for view in services if view.meta.owner == meta.uid]
    empty = [(Kind.RAY_CLUSTER, cluster.cluster.meta) for cluster in observed.clusters if not cluster.pods]
    yield tuple(
        Delete(
            kind=kind,
            name=found.name,
            uid=found.uid,
            announce=Announcement(f"Deleted{kind}", f"Deleted {kind} {found.name}: the service is suspended"),
        )
        for kind, found in (*owned, *empty)
        if not found.deleting
    )
    yield tuple(
        Patch(
            kind=Kind.RAY_CLUSTER,
            name=cluster.name,
            operations=({"op": "add", "path": "/spec/suspend", "value": True},),
        )
        for cluster in observed.living
        if cluster.pods and not cluster.cluster.spec.suspend
    )


def _stamp(observed: ObservedService, roles: Roles, now: datetime) -> Iterator[Step]:
    """Write down which cluster was found to be serving, and do nothing else in this pass."""
    if roles.active is None:
        return
    found = Announcement(
        "FoundActiveCluster",
        f"The serve Service did not say which cluster takes traffic; {roles.active.name} was found to be it",
        "Warning",
    )
    yield tuple(_mark_routed(roles.active, now))
    yield tuple(_route(observed, roles.active, found))


def _revision(observed: ObservedService, goal: Goal) -> RevisionView | None:
    return next((r for r in observed.revisions if r.meta.name == goal.revision), None)


def _keep_revision(
    observed: ObservedService, goal: Goal, revision: RevisionView | None, attempt: int, now: datetime
) -> Iterator[AnyAction]:
    """See to it that the goal's revision exists and has the highest number."""
    latest = max((r.number for r in observed.revisions), default=0)
    notes = {labels.PART: goal.part_digest, labels.ATTEMPT: str(attempt), labels.STARTED_AT: now.isoformat()}
    if revision is None:
        yield Create(
            kind=Kind.REVISION,
            manifest=revisions.controller_revision(observed.service, goal.revision, latest + 1, goal.data, notes),
        )
    elif revision.number < latest:
        yield Patch(
            kind=Kind.REVISION,
            name=goal.revision,
            operations=(
                _same_version(revision.meta.version),
                {"op": "replace", "path": "/revision", "value": latest + 1},
                {"op": "add", "path": "/metadata/annotations", "value": {**revision.meta.annotations, **notes}},
            ),
        )


def _attempt(observed: ObservedService, goal: Goal, revision: RevisionView | None, roles: Roles) -> int:
    """Which attempt at the goal's cluster part this is.

    A new one begins when the part becomes the goal again and no cluster of it is left. As long as the part stays the
    goal its attempt stays too, because the answer to a create may be on its way.
    """
    latest = max(observed.revisions, key=lambda r: r.number, default=None)
    if latest is not None and (latest is revision or latest.part == goal.part_digest):
        return latest.attempt
    before = max((r.attempt for r in observed.revisions if r.part == goal.part_digest), default=0)
    return max(before + (1 if roles.candidate is None else 0), 1)


def _make_cluster(observed: ObservedService, goal: Goal, roles: Roles, begun: int, now: datetime) -> Iterator[Step]:
    attempt, name = _free_name(observed, goal, begun)
    told = autoscaling.told(goal.spec.ray_cluster_config)
    revision = _revision(observed, goal)
    if revision is not None and attempt != begun:
        yield (
            Annotate(
                kind=Kind.REVISION,
                name=goal.revision,
                uid=revision.meta.uid,
                annotations={labels.ATTEMPT: str(attempt), labels.STARTED_AT: now.isoformat()},
            ),
        )
    yield (
        Create(
            kind=Kind.RAY_CLUSTER,
            manifest=clusters.ray_cluster(
                observed.service, name, goal.spec.ray_cluster_config, goal.revision, goal.serve.cluster_part
            ),
            announce=Announcement("CreatedRayCluster", f"Created RayCluster {name}: {_why_new(roles, goal)}{told}"),
        ),
    )


def _free_name(observed: ObservedService, goal: Goal, first: int) -> tuple[int, str]:
    """The first attempt whose name nothing bears: no cluster, no pod left behind, and not the Service's selector."""
    meta = observed.service.meta
    taken = {c.name for c in observed.clusters} | observed.ghosts | {stamped_cluster(observed)}
    attempt = first
    while (name := names.ray_cluster_name(meta.name, meta.uid, goal.part_digest, attempt)) in taken:
        attempt += 1
    return attempt, name


def _why_new(roles: Roles, goal: Goal) -> str:
    if roles.active is None:
        return "the service has none"
    paths = needs_new_cluster(roles.active, goal)
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004
    return f"{roles.active.name} cannot take the change of {shown} in place"


def plan_without_goal(
    meta: Meta, status: RayServiceStatus, problems: tuple[Problem, ...], now: datetime
) -> Plan[RayServiceStatus]:
    """What happens to a RayService that never had a valid spec: it is told so, and nothing is made."""
    told = service_status.refuse(meta, status, problems, now)
    return Plan(status=told, announcements=service_status.announcements(status, told))


def _adjust(
    observed: ObservedService, candidate: ObservedCluster, goal: Goal, *, spec_is_valid: bool
) -> Iterator[AnyAction]:
    """Bring what can change in place to the candidate, and give it the goal's revision."""
    meta = candidate.cluster.meta
    notes: dict[str, str | None] = {}
    if meta.annotations.get(labels.REVISION) != goal.revision:
        notes[labels.REVISION] = goal.revision
    if labels.RETIRED_AT in meta.annotations:
        notes[labels.RETIRED_AT] = None
    said = observed.service.meta.annotations
    notes |= {key: said.get(key) for key in labels.OF_USERS if said.get(key) != meta.annotations.get(key)}
    if notes:
        yield Annotate(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid, annotations=notes)
    diff = compare(candidate.cluster.spec, goal.spec.ray_cluster_config)
    # A stored revision holds the scaling of its first day; what the cluster has now is newer.
    if diff.operations and not diff.rebuild and spec_is_valid:
        yield Patch(
            kind=Kind.RAY_CLUSTER,
            name=meta.name,
            operations=diff.operations,
            announce=Announcement("UpdatedRayCluster", f"Changed {', '.join(diff.edited)} of {meta.name} in place"),
        )


def _assigned(cluster: ObservedCluster, goal: Goal, roles: Roles) -> ServeConfig | None:
    return goal.serve if cluster is roles.candidate else cluster.assigned


def _watched(roles: Roles) -> tuple[ObservedCluster, ...]:
    """The clusters whose Serve applications are looked after."""
    return tuple(c for c in (roles.active, roles.pending) if c is not None)


def _sync_serve(goal: Goal, roles: Roles) -> Iterator[AnyAction]:
    for cluster in _watched(roles):
        config = _assigned(cluster, goal, roles)
        head = cluster.head
        if config is None or head is None or head.ip is None or not isinstance(cluster.serve, ServeStatus):
            continue
        if gate.in_sync(cluster, config) or not (config.application_names or cluster.serve.started):
            continue
        yield SubmitServe(
            cluster=cluster.name,
            cluster_uid=cluster.cluster.meta.uid,
            address=f"{head.ip}:{dashboard_port(cluster.cluster)}",
            secret=names.token_secret_name(cluster.cluster),
            config=config,
            announce=Announcement("UpdatedServeApplications", _what_changes(cluster, config, cluster.serve)),
        )


def _what_changes(cluster: ObservedCluster, config: ServeConfig, report: ServeStatus) -> str:
    if not report.deployed.apps:
        return f"Submitted the Serve config to {cluster.name}"
    paths = config.differences(report.deployed)
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")  # noqa: PLR2004
    return f"Updated the Serve config of {cluster.name} in place: {shown}"


def _label_heads(goal: Goal, roles: Roles) -> Iterator[AnyAction]:
    """The head takes traffic while its proxy answers; its readiness alone does not tell, unlike a worker's."""
    for cluster in _watched(roles):
        head = cluster.head
        if head is None:
            continue
        is_in = head.meta.labels.get(labels.SERVE) == "true"
        answers = is_in if cluster.head_proxy_answers is None else cluster.head_proxy_answers
        belongs = answers and not goal.spec.exclude_head_pod_from_serve_svc
        if belongs != is_in:
            yield Annotate(
                kind=Kind.POD,
                name=head.meta.name,
                uid=head.meta.uid,
                labels={labels.SERVE: "true" if belongs else "false"},
            )


def _switch(observed: ObservedService, pending: ObservedCluster, goal: Goal, now: datetime) -> Iterator[Step]:
    if is_conflict(observed) or gate.judge(pending, goal.serve).stage is not gate.Stage.FIT:
        return
    meta = pending.cluster.meta
    yield tuple(_mark_routed(pending, now))
    yield (Confirm(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid),)
    switched = Announcement("SwitchedTraffic", f"Traffic goes to {meta.name} now")
    yield tuple(_route(observed, pending, switched))


def _mark_routed(cluster: ObservedCluster, now: datetime) -> Iterator[AnyAction]:
    meta = cluster.cluster.meta
    if labels.ROUTED_AT not in meta.annotations:
        notes = {labels.ROUTED_AT: now.isoformat()}
        yield Annotate(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid, annotations=notes)


def _route(
    observed: ObservedService, active: ObservedCluster, announce: Announcement | None = None
) -> Iterator[AnyAction]:
    """Keep the two stable Services on the active cluster. The serve Service carries the stamp."""
    service = observed.service
    serve = stamped(services.stable_serve_service(service, active.cluster))
    head = stamped(services.stable_head_service(service, active.cluster))
    yield from _apply(observed.serve_service, serve, announce)
    if observed.head_service is None or observed.head_service.meta.owner == service.meta.uid:
        yield from _apply(observed.head_service, head, None)


def _apply(live: ServiceView | None, wanted: Mapping[str, Any], announce: Announcement | None) -> Iterator[AnyAction]:
    if live is None:
        yield Create(kind=Kind.SERVICE, manifest=wanted, announce=announce)
    elif is_headless(live.spec) != is_headless(wanted["spec"]):
        told = Announcement("RecreatingService", f"{live.meta.name} cannot change in place whether it has an address")
        yield Delete(kind=Kind.SERVICE, name=live.meta.name, uid=live.meta.uid, announce=told)
    elif drifted(live, wanted):
        fenced = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": live.meta.version}}
        yield Apply(kind=Kind.SERVICE, manifest=fenced, announce=announce)


def _retire(observed: ObservedService, goal: Goal, roles: Roles, now: datetime) -> Iterator[Step]:
    for cluster in roles.leaving:
        meta = cluster.cluster.meta
        retired = _retired_at(cluster)
        if labels.ROUTED_AT not in meta.annotations:
            superseded = Announcement("DeletedRayCluster", f"Deleted {meta.name}: superseded before it took traffic")
            yield from _delete(observed, cluster, superseded)
        elif retired is None:
            yield (
                Annotate(
                    kind=Kind.RAY_CLUSTER,
                    name=meta.name,
                    uid=meta.uid,
                    annotations={labels.RETIRED_AT: now.isoformat()},
                    announce=Announcement(
                        "RetiredRayCluster", f"{meta.name} takes no traffic and goes in {goal.spec.deletion_delay} s"
                    ),
                ),
            )
        elif now >= retired + timedelta(seconds=goal.spec.deletion_delay):
            yield from _delete(observed, cluster, Announcement("DeletedRayCluster", f"Deleted {meta.name}: retired"))


def _delete(observed: ObservedService, cluster: ObservedCluster, announce: Announcement) -> Iterator[Step]:
    """Delete a cluster that the serve Service, read afresh, still does not name."""
    service, meta = observed.serve_service, cluster.cluster.meta
    if service is not None:
        yield (Confirm(kind=Kind.SERVICE, name=service.meta.name, uid=service.meta.uid, version=service.meta.version),)
    yield (Delete(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid, version=meta.version, announce=announce),)


def _retired_at(cluster: ObservedCluster) -> datetime | None:
    recorded = cluster.cluster.meta.annotations.get(labels.RETIRED_AT)
    return datetime.fromisoformat(recorded) if recorded else None


def _recheck(goal: Goal, roles: Roles, now: datetime) -> timedelta | None:
    """Ray has no watch, so it is asked again; everything in Kubernetes wakes the object by itself."""
    waits: list[timedelta] = []
    for cluster in _watched(roles):
        if can_be_asked(cluster):
            settled = cluster is roles.active and _settled(cluster, _assigned(cluster, goal, roles))
            waits.append(RESTING if settled else WATCHING)
    for cluster in roles.leaving:
        retired = _retired_at(cluster)
        if retired is not None:
            waits.append(max(retired + timedelta(seconds=goal.spec.deletion_delay) - now, timedelta()))
    return min(waits, default=None)


def can_be_asked(cluster: ObservedCluster) -> bool:
    """Whether there is a head that could answer."""
    head = cluster.head
    return head is not None and head.ip is not None and head.ray is not None and head.ray.running


def _settled(cluster: ObservedCluster, config: ServeConfig | None) -> bool:
    return config is None or gate.judge(cluster, config).stage is gate.Stage.FIT


def _same_version(version: str) -> Mapping[str, Any]:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}
