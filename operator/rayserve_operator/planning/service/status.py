"""The status of a RayService: a projection of what is there, rebuilt in every pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from rayserve_operator.model.conditions import Condition, ServiceCondition
from rayserve_operator.model.objects import Meta
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.rayservice import (
    ApplicationStatus,
    ClusterServiceStatus,
    DeploymentStatus,
    RayServiceStatus,
)
from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.model.unsupported import unsupported_in_service
from rayserve_operator.planning.actions import Announcement
from rayserve_operator.planning.condition_list import (
    REFUSED,
    UNSUPPORTED,
    Fact,
    acceptance,
    carried,
    dated,
    replaced,
    timestamp,
)
from rayserve_operator.planning.observed import ObservedCluster, ObservedService
from rayserve_operator.planning.service import capacity, draining, gate, giving_up, routes, shifting
from rayserve_operator.planning.service.course import Course, first_start_timeout
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.roles import is_conflict, is_detached, needs_new_cluster
from rayserve_operator.planning.service.share import Share
from rayserve_operator.planning.suspension import Phase
from rayserve_operator.planning.words import few
from rayserve_operator.render import labels

SILENCE_TOLERATED = timedelta(seconds=15)
"""One bad sample of Ray's API says nothing; a head that is silent for this long is reported."""

RECREATING = "Recreating"
"""Reason of Ready and UpgradeInProgress from when the old cluster has lost the traffic until another one takes it."""
_DETACHED = "no cluster takes traffic while the old one leaves and another one is made"

BAD_WHEN_FALSE = frozenset(
    {
        ServiceCondition.READY,
        ServiceCondition.SPEC_VALID,
        ServiceCondition.APPLICATIONS_HEALTHY,
        ServiceCondition.ROUTE_READY,
    }
)
BAD_WHEN_TRUE = frozenset({ServiceCondition.SERVICE_CONFLICT, ServiceCondition.STALLED})
"""What a person should know of, though the service may go on as it is."""
_NOT_ANNOUNCED = frozenset({ServiceCondition.RECONCILING})
_INVALID = "InvalidRayServiceSpec"


def project(course: Course, aim: Aim, phase: Phase) -> RayServiceStatus:
    """The status that says what was observed. Its time is the old one unless anything else differs."""
    observed, roles, now = course.observed, course.roles, course.now
    before = observed.service.status
    if phase is not Phase.RUNNING:
        return _suspended(observed, aim, phase, now)
    generation = observed.service.meta.generation
    endpoints = sum(shifting.endpoints(course))
    traffic = shifting.real_shares(course)
    facts = [fact for fact in _facts(course, aim, endpoints) if fact is not None]
    conditions = carried(before.conditions, facts, generation, now)
    ready = any(c.type == ServiceCondition.READY and c.status == "True" for c in conditions)
    status = before.model_copy(
        update={
            "active_service_status": _cluster_status(roles.active, before.active_service_status, traffic),
            "pending_service_status": _cluster_status(roles.beside, before.pending_service_status, traffic),
            "num_serve_endpoints": endpoints,
            "service_status": "Running" if ready else "",
            "observed_generation": generation,
            "conditions": conditions,
        }
    )
    return dated(status, before, now)


_OF_SUSPENSION = {
    Phase.BEGINNING: ("SuspendInProgress", "its clusters and Services are to be deleted"),
    Phase.SUSPENDING: ("SuspendInProgress", "its clusters and Services are deleted"),
    Phase.SUSPENDED: ("SuspendComplete", "suspended: set spec.suspend to false to serve again"),
    Phase.RESUMING: ("Initializing", "a cluster is to be made"),
}


def _suspended(observed: ObservedService, aim: Aim, phase: Phase, now: datetime) -> RayServiceStatus:
    before, meta = observed.service.status, observed.service.meta
    done = phase is Phase.SUSPENDED
    reason, words = _OF_SUSPENSION[phase]
    facts = (
        _acceptance(aim, meta),
        Fact(ServiceCondition.READY, False, reason, words),
        Fact(ServiceCondition.UPGRADE_IN_PROGRESS, None, "NoActiveCluster", words),
        Fact(ServiceCondition.RECONCILING, not done, reason, words),
        *_suspension(phase),
    )
    status = before.model_copy(
        update={
            "active_service_status": None,
            "pending_service_status": None,
            "num_serve_endpoints": 0,
            "service_status": "",
            "observed_generation": meta.generation,
            "conditions": carried(before.conditions, facts, meta.generation, now),
        }
    )
    return dated(status, before, now)


def _suspension(phase: Phase) -> Iterator[Fact]:
    suspending, suspended = phase in (Phase.BEGINNING, Phase.SUSPENDING), phase is Phase.SUSPENDED
    asked, not_asked = "UserRequestedSuspend", "NotSuspended"
    yield Fact(ServiceCondition.SUSPENDING, suspending, asked if suspending else not_asked)
    yield Fact(ServiceCondition.SUSPENDED, suspended, asked if suspended else not_asked)


def refuse(meta: Meta, before: RayServiceStatus, problems: tuple[Problem, ...], now: datetime) -> RayServiceStatus:
    """The status of a RayService that never had a valid spec."""
    refused = _spec_refused(problems, "")
    facts = (
        refused,
        _stalled_by(refused),
        Fact(ServiceCondition.READY, False, "ValidationFailed", "no valid spec yet"),
        Fact(ServiceCondition.RECONCILING, False, "ValidationFailed", "waiting for a valid spec"),
    )
    conditions = carried(before.conditions, facts, meta.generation, now)
    status = before.model_copy(
        update={"service_status": "", "observed_generation": meta.generation, "conditions": conditions}
    )
    return dated(status, before, now)


def blamed(status: RayServiceStatus, words: str, now: datetime) -> RayServiceStatus:
    """The status, saying that what is to happen next was refused, and why."""
    fact = Fact(ServiceCondition.RECONCILING, True, REFUSED, words)
    generation = status.observed_generation or 0
    return status.model_copy(update={"conditions": replaced(status.conditions, fact, generation, now)})


def announcements(before: RayServiceStatus, after: RayServiceStatus) -> tuple[Announcement, ...]:
    """An event for each condition that came, went, or changed its reason."""
    old = {condition.type: condition for condition in before.conditions}
    return tuple(_announce(old, after.conditions))


def _announce(old: dict[str, Condition], conditions: list[Condition]) -> Iterator[Announcement]:
    for condition in conditions:
        previous = old.get(condition.type)
        if condition.type in _NOT_ANNOUNCED or _says_it_again(condition):
            continue
        if previous is not None and (previous.status, previous.reason) == (condition.status, condition.reason):
            continue
        is_bad = (
            (condition.type in BAD_WHEN_FALSE and condition.status == "False")
            or (condition.type in BAD_WHEN_TRUE and condition.status == "True")
            or condition.reason == UNSUPPORTED
        )
        if previous is None and not is_bad:
            continue
        message = condition.message or f"{condition.type} is {condition.status}"
        is_first_start = previous is None and condition.type != ServiceCondition.SPEC_VALID
        yield Announcement(condition.reason, message, "Warning" if is_bad and not is_first_start else "Normal")


def _says_it_again(condition: Condition) -> bool:
    """Whether the event is that of SpecValid already."""
    return condition.type == ServiceCondition.STALLED and condition.reason == _INVALID


def _facts(course: Course, aim: Aim, endpoints: int) -> Iterator[Fact | None]:
    observed = course.observed
    accepted = _acceptance(aim, observed.service.meta)
    yield accepted
    yield _ready(course, endpoints)
    yield _upgrade(course)
    stalled = _stalled_by(accepted) if aim.problems else _stalled(course)
    yield stalled
    yield _reconciling(course, stalled)
    yield _healthy(course)
    yield _conflict(observed)
    yield routes.fact(observed)
    if any(condition.type == ServiceCondition.SUSPENDED for condition in observed.service.status.conditions):
        # A controller that waits for the end of a suspension must find the conditions False, not gone.
        yield from _suspension(Phase.RUNNING)


def _acceptance(aim: Aim, meta: Meta) -> Fact:
    if aim.problems:
        return _spec_refused(aim.problems, "; the last valid revision is kept up")
    gaps = [*unsupported_in_service(aim.goal.spec)]
    if labels.INITIALIZING_TIMEOUT in meta.annotations and first_start_timeout(meta) is None:
        gaps.append(f"annotation {labels.INITIALIZING_TIMEOUT} (give seconds, or a duration as 30m)")
    return acceptance(ServiceCondition.SPEC_VALID, tuple(gaps))


def _spec_refused(problems: tuple[Problem, ...], kept: str) -> Fact:
    words = "; ".join(str(problem) for problem in problems)
    return Fact(ServiceCondition.SPEC_VALID, False, _INVALID, f"{words}{kept}")


def _stalled_by(refused: Fact) -> Fact:
    """The same fact in the words of kstatus, which does not look at SpecValid."""
    return Fact(ServiceCondition.STALLED, True, refused.reason, refused.message)


def _ready(course: Course, endpoints: int) -> Fact:
    roles = course.roles
    if endpoints:
        return Fact(ServiceCondition.READY, True, "NonZeroServeEndpoints", f"{endpoints} pods take traffic")
    if is_detached(course.observed):
        return Fact(ServiceCondition.READY, False, RECREATING, _DETACHED)
    if roles.active is None:
        return Fact(ServiceCondition.READY, False, "Initializing", "no cluster takes traffic yet")
    return Fact(ServiceCondition.READY, False, "ZeroServeEndpoints", f"no pod of {roles.active.name} takes traffic")


def _upgrade(course: Course) -> Fact:
    roles = course.roles
    if is_detached(course.observed):
        return Fact(ServiceCondition.UPGRADE_IN_PROGRESS, True, RECREATING, _DETACHED)
    if roles.active is None:
        return Fact(ServiceCondition.UPGRADE_IN_PROGRESS, None, "NoActiveCluster", "no cluster takes traffic yet")
    if roles.retreat is not None:
        words = f"{roles.retreat.pending.name} gives its traffic back to {roles.active.name}"
        return Fact(ServiceCondition.UPGRADE_IN_PROGRESS, True, "BothActivePendingClustersExist", words)
    if roles.pending is None:
        return Fact(ServiceCondition.UPGRADE_IN_PROGRESS, False, "NoPendingCluster", f"{roles.active.name} is current")
    return Fact(
        ServiceCondition.UPGRADE_IN_PROGRESS,
        True,
        "BothActivePendingClustersExist",
        f"{roles.pending.name} is to take over from {roles.active.name}",
    )


def _stalled(course: Course) -> Fact | None:
    """What has stopped the service on its way to its goal; it waits for a person then."""
    if course.failure is not None:
        words = f"{course.failure.message}; {_what_serves(course)}; change the spec to try again"
        return Fact(ServiceCondition.STALLED, True, course.failure.reason, words)
    returning = course.goal.instead_of
    if returning is not None:
        words = f"{returning.message}; the last good revision comes back; change the spec to try again"
        return Fact(ServiceCondition.STALLED, True, returning.reason, words)
    if course.is_first_start and course.is_overdue and not course.is_fit and not course.may_be_given_up:
        missing = _why_none(course) if course.verdict is None else course.verdict.message
        words = f"it should serve by now, and is being repaired further: {missing}"
        return Fact(ServiceCondition.STALLED, True, giving_up.Reason.DEADLINE_EXCEEDED, words)
    return None


def _what_serves(course: Course) -> str:
    active = course.roles.active
    if active is None:
        return "nothing serves"
    if active.cluster.meta.annotations.get(labels.REVISION) != course.goal.revision:
        return f"{active.name} goes on with the last good revision"
    return f"{active.name} keeps this config, because there is no other or rollback is Manual"


def _reconciling(course: Course, stalled: Fact | None) -> Fact:
    if stalled is not None:
        return Fact(ServiceCondition.RECONCILING, False, "Stalled", stalled.message)
    retreat = course.roles.retreat
    if retreat is not None:
        words = shifting.told_of_retreat(course, retreat)
        return Fact(ServiceCondition.RECONCILING, True, shifting.Reason.RETREATING, words)
    if course.verdict is None:
        return Fact(ServiceCondition.RECONCILING, True, gate.Stage.PROVISIONING, _why_none(course))
    waits = shifting.wait(course) if course.is_fit else None
    if waits is not None:
        return Fact(ServiceCondition.RECONCILING, True, waits.reason, waits.message)
    done = course.is_fit and course.roles.pending is None
    further = (draining.progress(course), _held_back(course)) if done else ()
    words = "; ".join([course.verdict.message, *filter(None, further)])
    return Fact(ServiceCondition.RECONCILING, not done, "Current" if done else course.verdict.stage, words)


def _why_none(course: Course) -> str:
    """Why there is no cluster yet that is as the goal wants it."""
    holder = course.holder_of_state
    if not course.has_room:
        leaves = draining.progress(course) or f"{few([cluster.name for cluster in course.roles.everyone])} leaves"
        return f"{leaves}; a cluster is created when that has gone"
    return f"{holder.name} still keeps its state where the new one is to" if holder else "a cluster is being created"


def _held_back(course: Course) -> str:
    """What of the spec is not so, because the user wants no new cluster."""
    active = course.roles.active
    paths = needs_new_cluster(active, course.goal) if active is not None and course.goal.spec.holds_cluster else ()
    return f"upgradeStrategy.type None holds back the change of {few(paths)}" if paths else ""


def _healthy(course: Course) -> Fact | None:
    """How the applications on the serving cluster are, so that a service that answers but fails is not called well."""
    active = course.roles.active
    if active is None:
        return None
    if not isinstance(active.serve, ServeStatus):
        silence = active.serve
        if silence.since is None:
            words = f"{active.name} has no head that could be asked"
            return Fact(ServiceCondition.APPLICATIONS_HEALTHY, None, "RayDoesNotAnswer", words)
        if course.now - silence.since < SILENCE_TOLERATED:
            return _unchanged(ServiceCondition.APPLICATIONS_HEALTHY, course.observed.service.status.conditions)
        return Fact(ServiceCondition.APPLICATIONS_HEALTHY, None, "RayDoesNotAnswer", silence.reason)
    config = course.config_of(active)
    if config is None:
        return None
    waiting = gate.applications_waiting(active.serve, config)
    if waiting:
        return Fact(ServiceCondition.APPLICATIONS_HEALTHY, False, "ApplicationsNotRunning", "; ".join(waiting.values()))
    return Fact(ServiceCondition.APPLICATIONS_HEALTHY, True, "AllApplicationsRunning")


def _unchanged(type_: ServiceCondition, before: Iterable[Condition]) -> Fact | None:
    for condition in before:
        if condition.type == type_:
            holds = {"True": True, "False": False, "Unknown": None}[condition.status]
            return Fact(type_, holds, condition.reason, condition.message)
    return None


def _conflict(observed: ObservedService) -> Fact | None:
    service = observed.serve_service
    if service is None or not is_conflict(observed):
        return None
    return Fact(
        ServiceCondition.SERVICE_CONFLICT,
        True,
        "ServiceExists",
        f"Service {service.meta.name} exists and is not this RayService's; delete it, or give another name in "
        "spec.serveService.metadata.name",
    )


def _cluster_status(
    observed: ObservedCluster | None, before: ClusterServiceStatus | None, traffic: Mapping[str, Share]
) -> ClusterServiceStatus | None:
    if observed is None:
        return None
    if before is None or before.ray_cluster_name != observed.name:
        before = ClusterServiceStatus(ray_cluster_name=observed.name)
    # The counts of the cluster change with every pod; the copy here leaves out what only says when.
    status = observed.cluster.status.model_copy(update={"last_update_time": None, "state_transition_times": {}})
    share, portion = traffic.get(observed.name), capacity.portion_of(observed)
    found: dict[str, Any] = {
        "ray_cluster_status": status,
        "traffic_routed_percent": None if share is None else share.percent,
        "last_traffic_migrated_time": None if share is None else timestamp(share.since),
        "target_capacity": None if portion is None else portion.percent,
    }
    if isinstance(observed.serve, ServeStatus):
        found["application_statuses"] = {
            name or "default": ApplicationStatus(
                status=application.status,
                message=application.message or None,
                serve_deployment_statuses={
                    deployment: DeploymentStatus(status=state.status, message=state.message or None)
                    for deployment, state in application.deployments.items()
                },
            )
            for name, application in observed.serve.applications.items()
        }
    return before.model_copy(update=found)
