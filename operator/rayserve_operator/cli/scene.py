"""A RayService with the objects around it, read from the API server and followed as they change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.cli.together import latest
from rayserve_operator.engine.store import Store
from rayserve_operator.engine.stored import stored_service
from rayserve_operator.model.errors import NotFound, Refused
from rayserve_operator.model.objects import RAY_SERVICE, Meta
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import labels

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """A RayService and what is made for it, as the API server holds them."""

    service: Manifest
    clusters: Sequence[Manifest] = ()
    revisions: Sequence[Manifest] = ()
    services: Sequence[Manifest] = ()
    """Services in the sense of Kubernetes."""
    events: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()


async def scenes(kube: KubeApi, namespace: str, name: str) -> AsyncGenerator[Scene, None]:
    """The RayService as it is now, and at each change. Ends when it is gone. Raises NotFound."""
    made_for_it = Selection(labels=_origin(name))
    about_it = Selection(fields=f"involvedObject.kind={RAY_SERVICE},involvedObject.name={name}")
    others = (
        (Kind.RAY_CLUSTER, made_for_it),
        (Kind.REVISION, made_for_it),
        (Kind.SERVICE, made_for_it),
        (Kind.EVENT, about_it),
    )
    families = (_as_far_as_allowed(kube.families(kind, namespace, selection)) for kind, selection in others)
    async with aclosing(latest(kube.states(Kind.RAY_SERVICE, namespace, name), *families)) as found:
        async for service, clusters, revisions, services, events in found:
            yield Scene(service, clusters, revisions, services, events)


async def first_scene(kube: KubeApi, namespace: str, name: str) -> Scene:
    """The RayService as it is now. Raises NotFound."""
    async with aclosing(scenes(kube, namespace, name)) as found:
        async for scene in found:
            return scene
    raise NotFound(f"{name} is gone")


def course_of(scene: Scene, now: datetime) -> Course | None:
    """The RayService on its way, as far as it can be told without asking Ray; None where its spec is not valid."""
    store = store_of(scene)
    metadata = scene.service["metadata"]
    record = store.service(metadata.get("namespace", ""), metadata["name"])
    if record is None:
        return None
    try:
        goal = Goal.parse(record.meta, record.spec)
        return Course(stored_service(store, record, goal), goal, now)
    except InvalidSpec:
        return None


def clusters_of(scene: Scene) -> list[ObservedCluster]:
    """The RayClusters of the RayService with their pods, but for those that this version cannot read."""
    store, meta, found = store_of(scene), Meta.parse(scene.service), []
    for record in store.clusters_of(meta.uid):
        with suppress(InvalidSpec):
            found.append(ObservedCluster(record.read(), tuple(store.pods_of(meta.namespace, record.meta.name))))
    return found


def store_of(scene: Scene) -> Store:
    """The scene as the operator keeps what it sees."""
    store = Store(lambda _: None)
    for kind, manifests in _by_kind(scene):
        for manifest in manifests:
            store.put(kind, manifest)
    return store


def _by_kind(scene: Scene) -> Iterable[tuple[Kind, Sequence[Manifest]]]:
    return (
        (Kind.RAY_SERVICE, (scene.service,)),
        (Kind.RAY_CLUSTER, scene.clusters),
        (Kind.REVISION, scene.revisions),
        (Kind.SERVICE, scene.services),
        (Kind.POD, scene.pods),
    )


def _origin(name: str) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.origin(RAY_SERVICE, name).items())


async def _as_far_as_allowed(families: AsyncIterator[Sequence[Manifest]]) -> AsyncIterator[Sequence[Manifest]]:
    """The objects, or none where the user may not see them."""
    try:
        async for family in families:
            yield family
    except Refused:
        yield ()
