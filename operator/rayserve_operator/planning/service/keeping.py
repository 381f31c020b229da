"""What is kept up to date on the clusters of a RayService, and how a new one is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Annotate, Announcement, AnyAction, Create, Kind, Patch, Step
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.cluster import autoscaling
from rayserve_operator.planning.observed import ObservedCluster, ObservedService
from rayserve_operator.planning.service import (
    analysis,
    capacity,
    gate,
    giving_up,
    routes,
    shifting,
    submission,
    surge,
)
from rayserve_operator.planning.service.capacity import Floors
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.roles import (
    assign_roles,
    may_have_served,
    needs_new_cluster,
    revision_of,
    stamped_cluster,
    was_routed,
)
from rayserve_operator.planning.service.share import Share, share_of
from rayserve_operator.planning.suspension import Phase, phase_of_service
from rayserve_operator.planning.words import few
from rayserve_operator.render import clusters, labels, names, revisions

_OF_A_DRAIN = (labels.RETIRED_AT, labels.QUIET_AT, labels.WARM_SINCE)
"""Notes that are untrue of a cluster that is taken up again."""
_OF_A_SHIFT = (labels.SHARE, labels.PROMOTE, labels.PAUSE, labels.MEASURED, labels.SMOKE_SINCE)
"""Notes that are untrue of a cluster that has all the traffic."""
_OF_A_GOAL = (labels.SERVE_TRIES, labels.WARM_SINCE, *(key for key in _OF_A_SHIFT if key != labels.PAUSE))
"""Notes that are untrue of a cluster that is given another goal; what a user has paused stays so."""


def keep_revision(course: Course) -> Iterator[AnyAction]:
    """See to it that the goal's revision exists and has the highest number, unless it is one that comes back."""
    observed, goal, revision = course.observed, course.goal, course.revision
    latest = max((r.number for r in observed.revisions), default=0)
    noted = {
        labels.PART: goal.part_digest,
        labels.ATTEMPT: str(_attempt(course)),
        labels.STARTED_AT: course.now.isoformat(),
    }
    if goal.instead_of is not None:
        if revision is not None and not course.is_begun:
            words = f"Revision {goal.revision} comes back, because the one after it was given up"
            told = Announcement("RestoringRevision", f"{words}: {goal.instead_of.message}", "Warning")
            noted |= {labels.LAST_GOOD: goal.instead_of.since}
            uid = revision.meta.uid
            yield Annotate(kind=Kind.REVISION, name=goal.revision, uid=uid, annotations=noted, announce=told)
    elif revision is None:
        yield Create(
            kind=Kind.REVISION,
            manifest=revisions.controller_revision(observed.service, goal.revision, latest + 1, goal.data, noted),
        )
    elif not course.is_begun:
        kept = {key: value for key, value in revision.meta.annotations.items() if key != labels.FAILED}
        yield Patch(
            kind=Kind.REVISION,
            name=goal.revision,
            operations=(
                {"op": "test", "path": "/metadata/resourceVersion", "value": revision.meta.version},
                {"op": "replace", "path": "/revision", "value": latest + 1},
                {"op": "add", "path": "/metadata/annotations", "value": {**kept, **noted}},
            ),
        )


def makes_untried_pods(observed: ObservedService, aim: Aim) -> bool:
    """Whether pods are about to be made from a spec of which none were, so that it may still be found invalid.

    Not where clusters are there and no revision, as after an adoption: what serves would not be kept up without a goal.
    """
    if aim.problems or observed.service.meta.deleting or phase_of_service(observed) is not Phase.RUNNING:
        return False
    if revision_of(observed, aim.goal) is not None or (observed.living and not observed.revisions):
        return False
    return assign_roles(observed, aim.goal).candidate is None


def make_cluster(course: Course) -> Iterator[Step]:
    """Make a cluster for the goal, as large as the one that serves."""
    if course.holder_of_state is not None or not course.has_room:
        return
    begun, goal, service = _attempt(course), course.goal, course.observed.service
    attempt, name = _free_name(course, begun)
    if course.revision is not None and attempt != begun:
        noted = {labels.ATTEMPT: str(attempt), labels.STARTED_AT: course.now.isoformat()}
        yield (Annotate(kind=Kind.REVISION, name=goal.revision, uid=course.revision.meta.uid, annotations=noted),)
    spec = surge.first_spec(course)
    manifest = clusters.ray_cluster(service, name, spec, goal.revision, goal.serve.cluster_part)
    manifest["metadata"]["annotations"] |= surge.first_notes(course)
    told = f"{_why_new(course)}{autoscaling.told(spec)}{_told_of_capacity(course)}"
    yield (
        Create(
            kind=Kind.RAY_CLUSTER,
            manifest=manifest,
            announce=Announcement("CreatedRayCluster", f"Created RayCluster {name}: {told}"),
        ),
    )


def change_in_place(course: Course, candidate: ObservedCluster) -> Iterator[AnyAction]:
    """Bring what can change in place to the candidate.

    Not for a spec that was stored: a revision holds the scaling of its first day, and what the cluster has is newer.
    """
    diff = compare(candidate.cluster.spec, surge.spec_of(course, candidate))
    if diff.operations and (not diff.rebuild or _holds_the_rest(course, candidate)):
        changed = f"Changed {', '.join(diff.edited)} of {candidate.name} in place"
        yield Patch(
            kind=Kind.RAY_CLUSTER,
            name=candidate.name,
            operations=diff.operations,
            announce=Announcement("UpdatedRayCluster", changed),
        )


def keep_notes(course: Course) -> Iterator[Annotate]:
    """Write down how far the clusters have come."""
    active, candidate = course.roles.active, course.roles.candidate
    if candidate is not None:
        yield from _annotate(candidate, _notes_of_candidate(course, candidate), _told_of_share(course, candidate))
    if active is not None and active is not candidate:
        noted = _notes_of_return(active) | _notes_of_floors(_floors_of_active(course, active))
        noted |= _notes_of_overtaken(course, active) | routes.notes_of(course, active)
        noted |= surge.notes_of_old(course, active)
        yield from _annotate(active, noted)


def moves_capacity(noted: Iterable[Annotate]) -> bool:
    """Whether any of these changes what is to be sent to Ray."""
    return any({labels.FLOORS, labels.CAPACITY} & (note.annotations or {}).keys() for note in noted)


def _notes_of_candidate(course: Course, candidate: ObservedCluster) -> dict[str, str | None]:
    said = course.observed.service.meta.annotations
    wanted: dict[str, str | None] = {labels.REVISION: _revision_of(course, candidate), **_notes_of_return(candidate)}
    wanted |= {key: said.get(key) for key in labels.OF_USERS} | routes.notes_of(course, candidate)
    if course.failure is None and not course.is_given_the_goal(candidate):
        wanted |= dict.fromkeys(_OF_A_GOAL)
    if candidate is course.roles.pending:
        if course.verdict is not None and course.verdict.stage is gate.Stage.MATCHING and course.warm_up_ends is None:
            wanted[labels.WARM_SINCE] = course.now.isoformat()
        since = candidate.cluster.meta.annotations.get(labels.NO_IMAGE_SINCE, course.now.isoformat())
        matters = course.may_be_given_up and giving_up.lacks_an_image(candidate)
        wanted[labels.NO_IMAGE_SINCE] = since if matters else None
        wanted |= _notes_of_floors(_floors_of_pending(course, candidate))
        wanted |= surge.notes_of_new(course, candidate)
        if course.is_given_the_goal(candidate):
            wanted |= analysis.notes_of(course, candidate)
        wanted |= _notes_of_share(course, candidate)
    else:
        wanted |= dict.fromkeys(_OF_A_SHIFT) | surge.notes_of_alone(course, candidate)
        if course.is_fit and course.failure is None:
            wanted |= {labels.SERVED: course.goal.revision, labels.SERVE_TRIES: None}
        wanted |= _notes_of_floors(_floors_of_active(course, candidate))
    return wanted


def _notes_of_share(course: Course, pending: ObservedCluster) -> dict[str, str | None]:
    share = _further_share(course, pending)
    if share is None:
        return {}
    takes_traffic = share.percent > 0 and not was_routed(pending)
    routed = {labels.ROUTED_AT: course.now.isoformat()} if takes_traffic else {}
    return {labels.SHARE: share.written, labels.MEASURED: None, **routed}


def _told_of_share(course: Course, candidate: ObservedCluster) -> Announcement | None:
    share = _further_share(course, candidate) if candidate is course.roles.pending else None
    if share is None or share.percent == 0:
        return None
    return Announcement("ShiftingTraffic", f"{candidate.name} is to take {share.percent}% of the traffic")


def _further_share(course: Course, pending: ObservedCluster) -> Share | None:
    """The share that is to be noted on the new cluster; None where that stays as it is."""
    share = shifting.next_share(course, pending) if course.is_given_the_goal(pending) else None
    return None if share == share_of(pending) else share


def _notes_of_overtaken(course: Course, active: ObservedCluster) -> dict[str, str | None]:
    """What comes of a Serve config that the active cluster got shortly before the goal became another cluster's."""
    noted, config = active.cluster.meta.annotations, course.config_of(active)
    present, served = noted.get(labels.REVISION), noted.get(labels.SERVED)
    if config is None:
        return {}
    if gate.judge(active, config).stage is gate.Stage.FIT:
        return {labels.SERVED: present, labels.SERVE_TRIES: None}
    is_spoilt = submission.exhausted(active, config) is not None
    may_go_back = served is not None and course.goal.spec.rolls_back
    return {labels.REVISION: served} if is_spoilt and may_go_back else {}


def _notes_of_return(cluster: ObservedCluster) -> dict[str, str | None]:
    """What is forgotten of a drain that was begun, so that the next one is as long as any."""
    return dict.fromkeys(_OF_A_DRAIN) if labels.RETIRED_AT in cluster.cluster.meta.annotations else {}


def _annotate(
    cluster: ObservedCluster, wanted: dict[str, str | None], announce: Announcement | None = None
) -> Iterator[Annotate]:
    noted = cluster.cluster.meta.annotations
    changed = {key: value for key, value in wanted.items() if noted.get(key) != value}
    if changed:
        yield notes.on_cluster(cluster, changed, announce)


def _revision_of(course: Course, candidate: ObservedCluster) -> str | None:
    """The revision that the candidate serves: the goal, or what is known to run where the goal was given up."""
    noted = candidate.cluster.meta.annotations
    if course.failure is None:
        return course.goal.revision
    served = noted.get(labels.SERVED)
    return served if served is not None and course.goal.spec.rolls_back else noted.get(labels.REVISION)


def _floors_of_pending(course: Course, pending: ObservedCluster) -> Floors:
    active, noted = course.roles.active, capacity.floors_of(pending)
    if course.is_warm_up_over:
        if course.goal.spec.needs_parity or not isinstance(pending.serve, ServeStatus):
            return noted
        return capacity.floors_reached(course.goal.serve, pending.serve, noted)
    if active is None or not isinstance(active.serve, ServeStatus) or capacity.portion_of(active) is not None:
        return noted
    return capacity.floors_needed(course.goal.serve, active.serve, noted)


def _floors_of_active(course: Course, active: ObservedCluster) -> Floors:
    """Clients that cling to an old cluster come over when it ends, and find the floors still there."""
    noted = capacity.floors_of(active)
    if any(may_have_served(cluster) for cluster in course.roles.leaving):
        return noted
    return capacity.floors_lifted(active.assigned or course.goal.serve, noted)


def _notes_of_floors(floors: Floors) -> dict[str, str | None]:
    return {labels.FLOORS: notes.written(floors) if floors else None}


def _holds_the_rest(course: Course, candidate: ObservedCluster) -> bool:
    """Whether what works in place is done beside what would take a new cluster.

    Whoever turns the autoscaling on or off means other owners of the numbers, and the cluster still has the old ones.
    """
    config = course.goal.spec.ray_cluster_config
    return course.goal.spec.holds_cluster and candidate.cluster.spec.autoscaling == config.autoscaling


def _attempt(course: Course) -> int:
    """Which attempt at the goal's cluster part this is.

    A new one begins when the part becomes the goal again and no cluster of it is left. As long as the part stays the
    goal its attempt stays too, because the answer to a create may be on its way.
    """
    found, part = course.observed.revisions, course.goal.part_digest
    latest = course.revision if course.is_begun else max(found, key=lambda r: r.number, default=None)
    if latest is not None and latest.part == part:
        return latest.attempt
    before = max((r.attempt for r in found if r.part == part), default=0)
    return max(before + (1 if course.roles.candidate is None else 0), 1)


def _free_name(course: Course, first: int) -> tuple[int, str]:
    """The first attempt whose name nothing bears: no cluster, no pod left behind, and not the Service's selector."""
    observed, meta = course.observed, course.observed.service.meta
    taken = {c.name for c in observed.clusters} | observed.ghosts | {stamped_cluster(observed)}
    attempt = first
    while (name := names.ray_cluster_name(meta.name, meta.uid, course.goal.part_digest, attempt)) in taken:
        attempt += 1
    return attempt, name


def _why_new(course: Course) -> str:
    active = course.roles.active
    if active is None:
        return "the service has none"
    return f"{active.name} cannot take the change of {few(needs_new_cluster(active, course.goal))} in place"


def _told_of_capacity(course: Course) -> str:
    active = course.roles.active
    if active is None or not isinstance(active.serve, ServeStatus):
        return ""
    found = capacity.beyond_reach(course.goal.serve, active.serve)
    if not found:
        return ""
    return (
        f"; {', '.join(found)} start with as many replicas as their code says, not as {active.name} has now: give"
        " them an autoscaling_config in serveConfigV2 for that"
    )
