"""When a rollout has failed, and why, in words that a person can act on.

A rollout is given up only if something that works is left: the cluster that serves, or on it the last good config. A
first start is never given up; it is repaired for as long as it takes, and the status says that it is overdue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Annotate, Kind, Step
from rayserve_operator.planning.cluster.troubles import trouble_of
from rayserve_operator.planning.condition_list import REFUSED
from rayserve_operator.planning.observed import ContainerView, Failure, ObservedCluster, PodView
from rayserve_operator.planning.service import analysis, gate, submission
from rayserve_operator.planning.service.course import Course
from rayserve_operator.render import fault_tolerance, labels


class Reason(StrEnum):
    """Why a rollout was given up; the reasons of condition Stalled."""

    DEPLOY_FAILED = "DeployFailed"
    """Ray refused the Serve config, or could not deploy it, time and again."""
    IMAGE_ERROR = "ImageError"
    """An image cannot be pulled, or a container cannot be made from it."""
    CRASH_LOOP = "CrashLoop"
    """A container ends whenever it is started."""
    WARM_UP_TIMEOUT = "WarmUpTimeout"
    """The new cluster works and never came to the capacity of the old one."""
    SHARED_STATE = "SharedState"
    """The new cluster would keep the state of its control store where the old one does."""
    ANALYSIS_FAILED = "AnalysisFailed"
    """The new cluster works, and its answers are not as good as they have to be."""
    DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """It took longer than it may."""


IMAGE_ERRORS_STAY = timedelta(seconds=60)
"""A registry may be away for a moment, and a Secret come a moment later; by then it is no moment any more."""
_CRASHES = 3

_IMAGE_ERRORS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
     "RegistryUnavailable", "CreateContainerConfigError", "CreateContainerError"}
)  # fmt: skip


def failure(course: Course) -> Failure | None:
    """Why the goal is to be given up now; None while there is hope."""
    candidate, verdict = course.roles.candidate, course.verdict
    if not course.may_be_given_up:
        return None
    complaint = next(analysis.complaints(course), None)
    if complaint is not None:
        return Failure(Reason.ANALYSIS_FAILED, complaint)
    if course.is_fit:
        return None
    if candidate is None:
        return next(_obstacles(course), None)
    return None if verdict is None else next(_failures(course, candidate, verdict), None)


def steps(course: Course, found: Failure) -> Iterator[Step]:
    """Write down that the goal was given up; everything else follows from that."""
    revision = course.revision
    if revision is not None:
        since = course.now.isoformat()
        record = {"reason": found.reason, "message": found.message, "means": course.goal.means, "since": since}
        noted = {labels.FAILED: notes.written(record)}
        yield (Annotate(kind=Kind.REVISION, name=revision.meta.name, uid=revision.meta.uid, annotations=noted),)


def recheck(course: Course) -> timedelta | None:
    """When time alone may make a failure of it."""
    if course.is_fit or course.failure is not None or course.roles.candidate is None:
        return None
    waits = [end - course.now for end in (course.deadline, course.warm_up_ends) if end is not None]
    since = _no_image_since(course)
    if since is not None and course.may_be_given_up:
        waits.append(since + IMAGE_ERRORS_STAY - course.now)
    return min((wait for wait in waits if wait > timedelta()), default=None)


def lacks_an_image(cluster: ObservedCluster) -> bool:
    """Whether a pod of the cluster cannot get an image, or a container made from it."""
    return any(pod.alive and _image_error(pod) is not None for pod in cluster.pods)


def _no_image_since(course: Course) -> datetime | None:
    pending = course.roles.pending
    return None if pending is None else notes.time_of(pending.cluster.meta, labels.NO_IMAGE_SINCE)


def _obstacles(course: Course) -> Iterator[Failure]:
    """Why no cluster is made. Where the API server takes none, only the status of the pass before tells."""
    active, holder = course.roles.active, course.holder_of_state
    if active is not None and active is holder:
        state = fault_tolerance.state_of(active.cluster)
        mend = "leave externalStorageNamespace or storage.claimName out, then each has its own, or give another"
        yield Failure(Reason.SHARED_STATE, f"a new cluster would take the state of {active.name} ({state}); {mend}")
    for condition in course.observed.service.status.conditions:
        if course.is_overdue and condition.reason == REFUSED:
            seconds = course.goal.spec.progress_deadline
            yield Failure(Reason.DEADLINE_EXCEEDED, f"no cluster was made in {seconds} s: {condition.message}")


def _failures(course: Course, candidate: ObservedCluster, verdict: gate.Verdict) -> Iterator[Failure]:
    config = course.config_of(candidate)
    if config is not None and course.is_given_the_goal(candidate):
        words = submission.exhausted(candidate, config)
        if words is not None:
            yield Failure(Reason.DEPLOY_FAILED, words)
    if candidate is course.roles.pending:
        for pod in candidate.pods:
            yield from _failures_of(pod, course)
    if verdict.stage is gate.Stage.MATCHING and course.is_warm_up_over:
        yield Failure(Reason.WARM_UP_TIMEOUT, verdict.message)
    if course.is_overdue:
        seconds = course.goal.spec.progress_deadline
        yield Failure(Reason.DEADLINE_EXCEEDED, f"not done after {seconds} s: {verdict.message}")


def _failures_of(pod: PodView, course: Course) -> Iterator[Failure]:
    trouble = trouble_of(pod, course.now)
    if not pod.alive and not pod.finished:
        return
    since = _no_image_since(course)
    if _image_error(pod) is not None and since is not None and course.now - since >= IMAGE_ERRORS_STAY:
        yield Failure(Reason.IMAGE_ERROR, trouble.words if trouble else pod.meta.name)
    elif _crashes(pod):
        yield Failure(Reason.CRASH_LOOP, trouble.words if trouble else f"{pod.meta.name} and those before it ended")


def _image_error(pod: PodView) -> ContainerView | None:
    return next((c for c in (*pod.init_containers, *pod.containers) if c.waiting in _IMAGE_ERRORS), None)


def _crashes(pod: PodView) -> bool:
    loops = any(
        container.waiting == "CrashLoopBackOff" and container.restarts >= _CRASHES
        for container in (*pod.init_containers, *pod.containers)
    )
    return loops or (pod.failures >= _CRASHES and not pod.up)
