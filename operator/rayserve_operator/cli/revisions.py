"""The revisions of a RayService as people see them: numbered, with what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.planning import edits, notes
from rayserve_operator.planning.observed import Failure, RevisionView
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import labels

Manifest = Mapping[str, Any]


class State(StrEnum):
    """What became of a revision."""

    SERVING = "serving"
    """Traffic goes to a cluster that runs it."""
    ROLLING_OUT = "rolling out"
    """It is the goal, and does not serve yet."""
    FAILED = "failed"
    """Its rollout was given up."""
    DRAINING = "draining"
    """A cluster that runs it finishes its requests."""
    PAST = ""
    """It served once, or was overtaken before it did."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One of the specs that were the goal of a RayService."""

    number: int
    name: str
    started: datetime | None
    """When its latest attempt began."""
    goal: Goal | None
    """None where this version cannot read the spec."""
    state: State
    failure: Failure | None
    clusters: tuple[str, ...]
    """Names of the RayClusters that run it."""


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """What is told of a revision."""

    revision: int
    name: str
    """Of the ControllerRevision that holds it."""
    began: datetime | None
    state: State
    reason: str
    """Why its rollout was given up, as one word; empty where it was not."""
    message: str
    clusters: tuple[str, ...]
    changed: tuple[str, ...]
    """Paths at which it differs from the one before it."""


def revisions_of(
    service: Manifest, revisions: Iterable[Manifest], clusters: Iterable[Manifest], services: Iterable[Manifest]
) -> list[Revision]:
    """The revisions of a RayService, the present goal last.

    Args:
        service: the RayService.
        revisions: ControllerRevisions of its namespace.
        clusters: RayClusters of its namespace.
        services: Services of its namespace; the one that traffic goes through says where to.
    """
    uid = service["metadata"]["uid"]
    found = sorted((r for r in revisions if Meta.parse(r).owner == uid), key=lambda r: int(r["revision"]))
    own = [meta for cluster in clusters if (meta := Meta.parse(cluster)).owner == uid]
    routes = (meta.annotations for one in services if (meta := Meta.parse(one)).owner == uid)
    active = next((noted[labels.ACTIVE_CLUSTER] for noted in routes if labels.ACTIVE_CLUSTER in noted), None)
    return [_revision(service, one, own, active, one is found[-1]) for one in found]


def goal_of(service: Manifest, spec: Mapping[str, Any]) -> Goal | None:
    """The goal that a spec of the RayService is; None where it is not valid to this version."""
    try:
        return Goal.parse(Meta.parse(service), spec)
    except InvalidSpec:
        return None


def changes(revisions: Sequence[Revision]) -> list[edits.Edit | None]:
    """What each revision changed of the one before it; None where that cannot be told."""
    pairs = zip([None, *revisions], revisions, strict=False)
    return [edits.between(a.goal, b.goal) if a and a.goal and b.goal else None for a, b in pairs]


def rows(revisions: Sequence[Revision]) -> list[RevisionRow]:
    """What is told of each revision, and of what it changed."""
    return [_row(revision, edit) for revision, edit in zip(revisions, changes(revisions), strict=True)]


def _row(revision: Revision, edit: edits.Edit | None) -> RevisionRow:
    failure = revision.failure
    return RevisionRow(
        revision=revision.number,
        name=revision.name,
        began=revision.started,
        state=revision.state,
        reason=failure.reason if failure else "",
        message=failure.message if failure else "",
        clusters=revision.clusters,
        changed=tuple(edit.paths) if edit else (),
    )


def _revision(
    service: Manifest, manifest: Manifest, clusters: Sequence[Meta], active: str | None, is_goal: bool
) -> Revision:
    view = RevisionView.parse(manifest)
    running = [cluster.name for cluster in clusters if cluster.annotations.get(labels.REVISION) == view.meta.name]
    return Revision(
        number=view.number,
        name=view.meta.name,
        started=notes.time_of(view.meta, labels.STARTED_AT),
        goal=goal_of(service, manifest["data"]["spec"]),
        state=_state(view, running, active, is_goal),
        failure=view.failure,
        clusters=tuple(running),
    )


def _state(view: RevisionView, running: Sequence[str], active: str | None, is_goal: bool) -> State:
    if view.failure is not None:
        return State.FAILED
    if active in running:
        return State.SERVING
    if is_goal:
        return State.ROLLING_OUT
    return State.DRAINING if running else State.PAST
