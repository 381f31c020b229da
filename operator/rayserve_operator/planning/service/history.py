"""Which revisions of a RayService are kept."""

from __future__ import annotations

from collections.abc import Iterator

from rayserve_operator.planning.actions import Annotate, Delete, Kind
from rayserve_operator.planning.service.course import Course
from rayserve_operator.render import labels

_NAMING = (labels.REVISION, labels.SERVED)
"""Annotations of a RayCluster that name a revision."""


def mark(course: Course) -> Iterator[Annotate]:
    """Note which revision is to come back if the goal fails while no cluster takes traffic, for as long as that lasts.

    What served is known by its cluster alone, and that goes before another one is made.
    """
    active = course.roles.active
    if active is None:
        return
    served = active.cluster.meta.annotations.get(labels.SERVED) if course.makes_room else None
    for revision in course.observed.revisions:
        meta, is_marked = revision.meta, labels.LAST_GOOD in revision.meta.annotations
        if is_marked != (meta.name == served):
            noted = {labels.LAST_GOOD: None if is_marked else course.now.isoformat()}
            yield Annotate(kind=Kind.REVISION, name=meta.name, uid=meta.uid, annotations=noted)


def trim(course: Course) -> Iterator[Delete]:
    """Delete the oldest revisions beyond the limit.

    In use, and never deleted, are the goal, which has the highest number once it is begun, and what any cluster that is
    still there serves or is known to have served, or that is marked: a rollback goes back to that.
    """
    if not course.is_begun or course.goal.instead_of is not None:
        return
    observed = course.observed
    noted = [cluster.cluster.meta.annotations for cluster in observed.clusters]
    in_use = {course.goal.revision, *(notes.get(key) for notes in noted for key in _NAMING)}
    in_use |= {revision.meta.name for revision in observed.revisions if labels.LAST_GOOD in revision.meta.annotations}
    spare = sorted((r for r in observed.revisions if r.meta.name not in in_use), key=lambda revision: revision.number)
    for revision in spare[: max(len(spare) - course.goal.spec.revision_history_limit, 0)]:
        yield Delete(kind=Kind.REVISION, name=revision.meta.name, uid=revision.meta.uid)
