"""Which revisions of a RayService are kept."""

from __future__ import annotations

from collections.abc import Iterator

from rayserve_operator.planning.actions import Delete, Kind
from rayserve_operator.planning.service.course import Course
from rayserve_operator.render import labels

_NAMING = (labels.REVISION, labels.SERVED)
"""Annotations of a RayCluster that name a revision."""


def trim(course: Course) -> Iterator[Delete]:
    """Delete the oldest revisions beyond the limit.

    In use, and never deleted, are the goal, which has the highest number once it is begun, and what any cluster that is
    still there serves or is known to have served: a rollback goes back to that.
    """
    if not course.is_begun:
        return
    observed = course.observed
    noted = [cluster.cluster.meta.annotations for cluster in observed.clusters]
    in_use = {course.goal.revision, *(notes.get(key) for notes in noted for key in _NAMING)}
    spare = sorted((r for r in observed.revisions if r.meta.name not in in_use), key=lambda revision: revision.number)
    for revision in spare[: max(len(spare) - course.goal.spec.revision_history_limit, 0)]:
        yield Delete(kind=Kind.REVISION, name=revision.meta.name, uid=revision.meta.uid)
