"""What should happen next to a RayService: one pure function.

Every pass starts from what is there, so a pass can be cut off after any write and the next one goes on from it.
The order of the steps carries the safety: a cluster is marked as routed before traffic moves to it, traffic moves in
one request together with the stamp that says so, and the old cluster starts to leave only in a later pass, when the
stamp has been seen and Kubernetes sends traffic where it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Announcement, Delete, Kind, Patch, Plan, Step, strands
from rayserve_operator.planning.observed import ObservedCluster, ObservedService
from rayserve_operator.planning.service import (
    adoption,
    draining,
    gate,
    giving_up,
    history,
    keeping,
    routes,
    routing,
    submission,
    surge,
)
from rayserve_operator.planning.service import status as service_status
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.suspension import Phase, phase_of_service

WATCHING = timedelta(seconds=0.5)
"""How often Ray is asked while something is on its way."""
RESTING = timedelta(seconds=11)
"""How often Ray is asked at rest."""

_SUSPENSION_RECHECK = {Phase.BEGINNING: timedelta(), Phase.RESUMING: timedelta()}
"""That a suspension begins or is over is only a status of ours, and the answer to that wakes nobody."""


def plan_service(observed: ObservedService, aim: Aim, now: datetime) -> Plan[RayServiceStatus]:
    """Decide the next actions and the status of a RayService."""
    service = observed.service
    if service.meta.deleting:
        return _leave(service.meta, service.status)
    course = Course(observed, aim.goal, now)
    phase = phase_of_service(observed)
    status = service_status.project(course, aim, phase)
    runs = phase is Phase.RUNNING
    work = _work(course, spec_is_valid=not aim.problems) if runs else (_suspend(observed, phase),)
    return Plan(
        strands=strands(work),
        status=status,
        announcements=service_status.announcements(service.status, status),
        recheck_after=_recheck(course) if runs else _SUSPENSION_RECHECK.get(phase),
    )


def plan_without_goal(
    meta: Meta, status: RayServiceStatus, problems: tuple[Problem, ...], now: datetime
) -> Plan[RayServiceStatus]:
    """What happens to a RayService that never had a valid spec: it is told so, and nothing is made."""
    if meta.deleting:
        return _leave(meta, status)
    told = service_status.refuse(meta, status, problems, now)
    return Plan(status=told, announcements=service_status.announcements(status, told))


def _leave(meta: Meta, status: RayServiceStatus) -> Plan[RayServiceStatus]:
    """What happens to a RayService on its way out: Kubernetes' garbage collection deletes what was made for it."""
    return Plan(strands=strands([(tuple(adoption.release(meta)),)]), status=status)


def _work(course: Course, *, spec_is_valid: bool) -> Iterator[Iterable[Step]]:
    """What is to be done, in strands of which each goes on when another is refused."""
    if not course.roles.stamped:
        # Nothing else is done in such a pass: the guess must be seen to hold first.
        yield routing.stamp(course)
        return
    yield (tuple(adoption.take_over(course)),)
    yield (tuple(routing.label_heads(course)),)
    yield routing.keep(course)
    yield (tuple(routes.keep(course)),)
    yield (tuple(routing.keep_preview(course)),)
    yield (tuple(routing.clear(course)),)
    yield draining.steps(course)
    yield (tuple(history.trim(course)),)
    yield (tuple(surge.hold_minima(course)),)
    yield from _after(tuple(keeping.keep_revision(course)), _pursue(course, spec_is_valid=spec_is_valid))


def _pursue(course: Course, *, spec_is_valid: bool) -> Iterator[Iterable[Step]]:
    """What is done for the goal, or with what is left of one that is given up."""
    retreat = course.roles.retreat
    if retreat is not None:
        back = tuple(surge.retreat(course, retreat))
        yield from _after(back, () if back else (submission.steps(course),))
        return
    failure = giving_up.failure(course)
    if failure is not None:
        yield giving_up.steps(course, failure)
        return
    if course.roles.candidate is None:
        yield keeping.make_cluster(course)
    elif spec_is_valid and course.goal.instead_of is None:
        yield (tuple(keeping.change_in_place(course, course.roles.candidate)),)
    noted = (*keeping.keep_notes(course), *history.mark(course))
    # Ray is sent its config last, because one that does not answer ends the pass.
    submitted = () if keeping.moves_capacity(noted) else submission.steps(course)
    yield from _after(noted, (routing.switch(course), routing.detach(course), submitted))


def _after(step: Step, others: Iterable[Iterable[Step]]) -> Iterator[Iterable[Step]]:
    """Strands that need a step first, but, once it is done, nothing of each other."""
    if step:
        yield (step, *chain.from_iterable(others))
    else:
        yield from others


def _suspend(observed: ObservedService, phase: Phase) -> Iterator[Step]:
    """Give up the routes, the Services and the clusters. What is needed to make them anew stands in the RayService.

    A cluster is suspended itself before it is deleted, so that the service is not called suspended while pods of its
    still hold resources.
    """
    if phase is Phase.BEGINNING:
        return
    yield tuple(routes.give_up(observed))
    meta = observed.service.meta
    services = (*observed.stable_services, *observed.strays)
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


def _recheck(course: Course) -> timedelta | None:
    """Ray has no watch, so it is asked again; everything in Kubernetes wakes the object by itself."""
    waits = [draining.recheck(course), giving_up.recheck(course)]
    waits += [RESTING if _is_settled(course, c) else WATCHING for c in course.roles.watched if gate.can_be_asked(c)]
    return min((wait for wait in waits if wait is not None), default=None)


def _is_settled(course: Course, cluster: ObservedCluster) -> bool:
    if cluster is not course.roles.active:
        return False
    config = course.config_of(cluster)
    if config is None or gate.judge(cluster, config).stage is gate.Stage.FIT:
        return True
    return submission.exhausted(cluster, config) is not None
