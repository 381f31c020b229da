"""A world in which a manifest is what there is: what a change of the manifest alone is held against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.scene import Manifest, Scene
from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.scale import desired_pods
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import clusters, labels, names, pods, revisions, services
from rayserve_operator.render.options import RenderOptions


def named(manifest: Manifest) -> dict[str, Any]:
    """The manifest of a RayService with what the API server would give it."""
    given = {"namespace": "default", "uid": "imagined", "generation": 1, "resourceVersion": "1"}
    return {**manifest, "metadata": {**given, **manifest["metadata"]}}


def settled(manifest: Manifest, now: datetime) -> Scene:
    """The RayService with everything as it wants it.

    Raises:
        CannotDo: it is not valid, so that nothing could have come of it.
    """
    whole = named(manifest)
    meta = Meta.parse(whole)
    try:
        goal = Goal.parse(meta, manifest.get("spec") or {})
    except InvalidSpec as invalid:
        raise CannotDo(f"{meta.name} is not valid as it was: {invalid}") from invalid
    if goal.spec.suspend:
        return Scene(whole)
    service = RayService(meta, goal.spec, RayServiceStatus())
    name = names.ray_cluster_name(meta.name, meta.uid, goal.part_digest, 1)
    cluster = clusters.ray_cluster(service, name, goal.spec.ray_cluster_config, goal.revision, goal.serve.cluster_part)
    cluster["metadata"] |= {"uid": f"imagined-{name}", "resourceVersion": "1", "creationTimestamp": now.isoformat()}
    cluster["metadata"]["annotations"] |= {labels.ROUTED_AT: now.isoformat(), labels.SERVED: goal.revision}
    noted = {labels.PART: goal.part_digest, labels.ATTEMPT: "1", labels.STARTED_AT: now.isoformat()}
    made = RayCluster(Meta.parse(cluster), RayClusterSpec.model_validate(cluster["spec"]), RayClusterStatus())
    return Scene(
        service=whole,
        clusters=[cluster],
        revisions=[_stored(revisions.controller_revision(service, goal.revision, 1, goal.data, noted))],
        services=[_stored(services.stable_serve_service(service, made))],
        pods=list(_pods(made)),
    )


def _pods(cluster: RayCluster) -> Iterator[Manifest]:
    options = RenderOptions()
    yield _running(pods.head_pod(cluster, options), f"{cluster.meta.name}-head")
    for group in cluster.spec.worker_group_specs:
        for number in range(desired_pods(cluster, group)):
            yield _running(pods.worker_pod(cluster, group, options), f"{cluster.meta.name}-{group.group_name}-{number}")


def _running(pod: dict[str, Any], name: str) -> Manifest:
    return {**_stored(pod, name), "status": {"phase": "Running"}}


def _stored(manifest: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **manifest["metadata"]}
    return {**manifest, "metadata": {**metadata, "uid": f"imagined-{metadata['name']}", "resourceVersion": "1"}}
