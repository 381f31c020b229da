"""Taking a RayService over from KubeRay, and giving it back. All of it is written once, and touches no pod.

KubeRay rolls a cluster whose spec has not the hash that it noted on it, and an edit made here changes the one and not
the other. But a cluster that bears the version of another KubeRay it brings up to date in place, hash included. So the
version is replaced, and a KubeRay that comes back rolls nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.raycluster import KUBERAY_OPERATOR, OUR_OPERATOR
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Announcement, AnyAction, Kind, Patch
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.roles import is_kuberays
from rayserve_operator.render import clusters, labels, ports


def take_over(course: Course) -> Iterator[AnyAction]:
    """Bring what KubeRay left on a RayService and its clusters into the form in which the operator keeps it."""
    service, living = course.observed.service, course.observed.living
    yield from release(service.meta)
    for cluster in living:
        if is_kuberays(cluster):
            noted = {labels.KUBERAY_VERSION: labels.TAKEN_OVER}
            if cluster is course.roles.candidate and ports.serve_options(cluster.cluster) is None:
                # KubeRay has sent it what the goal says, so a later edit of these is known as one.
                noted[labels.SERVE_OPTIONS] = notes.written(course.goal.serve.cluster_part)
            told = Announcement("AdoptedRayCluster", f"{cluster.name} was KubeRay's, and is looked after as it is")
            yield notes.on_cluster(cluster, noted, told)
    wanted = clusters.manager(course.goal.spec.managed_by, course.goal.spec.ray_cluster_config.managed_by)
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


def hand_back(spec: Mapping[str, Any], found: Iterable[tuple[Meta, str | None]]) -> Iterator[Patch]:
    """Take the operator's mark off the clusters of a RayService that is KubeRay's now.

    Args:
        spec: of the RayService, as it stands in its manifest.
        found: its clusters, each with the `managedBy` that it has.
    """
    managed_by = spec.get("managedBy")
    if managed_by in (None, KUBERAY_OPERATOR):
        wanted = clusters.manager(managed_by, spec["rayClusterConfig"].get("managedBy"))
        yield from hand_on(wanted, ((meta, present) for meta, present in found if present == OUR_OPERATOR))
