"""Taking a RayService over from KubeRay, and giving it back. All of it is written once, and touches no pod.

KubeRay rolls a cluster whose spec has not the hash that it noted on it, and an edit made here changes the one and not
the other. But a cluster that bears the version of another KubeRay it brings up to date in place, hash included. So the
version is replaced, and a KubeRay that comes back rolls nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.raycluster import OUR_OPERATOR
from rayserve_operator.planning.actions import Announcement, AnyAction, Kind, Patch
from rayserve_operator.planning.service import notes
from rayserve_operator.planning.service.course import Course
from rayserve_operator.render import clusters, labels

TAKEN_OVER = "rayserve-operator"
"""What stands in the place of KubeRay's version."""


def take_over(course: Course) -> Iterator[AnyAction]:
    """Bring what KubeRay left on a RayService and its clusters into the form in which the operator keeps it."""
    service, living = course.observed.service, course.observed.living
    yield from release(service.meta)
    for cluster in living:
        if cluster.cluster.meta.annotations.get(labels.KUBERAY_VERSION, TAKEN_OVER) != TAKEN_OVER:
            told = Announcement("AdoptedRayCluster", f"{cluster.name} was KubeRay's, and is looked after as it is")
            yield notes.on_cluster(cluster, {labels.KUBERAY_VERSION: TAKEN_OVER}, told)
    wanted = clusters.manager(course.goal.spec, course.goal.spec.ray_cluster_config)
    yield from hand_on(wanted, ((found.cluster.meta, found.cluster.spec.managed_by) for found in living))


def release(meta: Meta) -> Iterator[Patch]:
    """Take KubeRay's finalizer off a RayService, which nobody else would: its clusters go with it by themselves."""
    if labels.SERVICE_FINALIZER in meta.finalizers:
        path = f"/metadata/finalizers/{meta.finalizers.index(labels.SERVICE_FINALIZER)}"
        same = {"op": "test", "path": path, "value": labels.SERVICE_FINALIZER}
        yield Patch(kind=Kind.RAY_SERVICE, name=meta.name, operations=(same, {"op": "remove", "path": path}))


def hand_on(wanted: str | None, found: Iterable[tuple[Meta, str | None]]) -> Iterator[Patch]:
    """Let clusters follow where their RayService is marked as the operator's, or no longer is.

    Args:
        wanted: the `managedBy` that clusters of the RayService are made with.
        found: its clusters, each with the one that it has.
    """
    for meta, present in found:
        if (present == OUR_OPERATOR) != (wanted == OUR_OPERATOR) and not meta.deleting:
            same = {"op": "test", "path": "/metadata/uid", "value": meta.uid}
            path = "/spec/managedBy"
            mark = {"op": "add", "path": path, "value": wanted} if wanted else {"op": "remove", "path": path}
            yield Patch(kind=Kind.RAY_CLUSTER, name=meta.name, operations=(same, mark))
