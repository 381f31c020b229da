"""`rayserve plan`: what the operator will do with a manifest, before it is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.advice.structure import below
from rayserve_operator.cli import lint
from rayserve_operator.cli.connection import Namespace, fail, with_cluster
from rayserve_operator.cli.forecast import Consequence, Forecast, edited, forecast
from rayserve_operator.cli.imagined import named, settled
from rayserve_operator.cli.manifests import Document, read_documents
from rayserve_operator.cli.output import Output, OutputOption, written
from rayserve_operator.cli.peak import way_of
from rayserve_operator.cli.plan_view import plan_view
from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.room import NodeRoom, Room, free_of, room_for
from rayserve_operator.cli.scene import Manifest, Scene, course_of, first_scene
from rayserve_operator.model.errors import NotFound, Refused
from rayserve_operator.model.objects import RAY_SERVICE
from rayserve_operator.planning.actions import Kind

_NOT_ENDED = Selection(fields="status.phase!=Succeeded,status.phase!=Failed")


class FailOn(StrEnum):
    """What makes the command fail, with all that weighs more."""

    IN_PLACE = "in-place"
    FIRST = "first-cluster"
    BLUE_GREEN = "blue-green"
    RECREATE = "recreate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is told of a manifest."""

    name: str
    namespace: str
    forecast: Forecast
    room: Room | None
    """None where nothing is made."""
    findings: Sequence[lint.Told]
    """What lint says of the manifest."""


@dataclass(frozen=True, slots=True)
class World:
    """What a manifest is held against."""

    scene: Scene
    nodes: Sequence[NodeRoom] | None = None
    quotas: Sequence[Manifest] | None = None
    """The ResourceQuotas of its namespace."""


def plan(
    file: Annotated[str, typer.Option("--file", "-f", help="The new manifest; - reads the standard input.")],
    against: Annotated[
        str | None, typer.Option(help="The manifest as it was; without it, what there is in the cluster.")
    ] = None,
    namespace: Namespace = None,
    output: OutputOption = Output.HUMAN,
    fail_on: Annotated[
        FailOn, typer.Option(help="What makes the command fail, with all that weighs more.")
    ] = FailOn.REFUSED,
) -> None:
    """Tell what will become of the RayServices of a file once it is applied; nothing is written.

    For every path that changes: whether it is changed in place, by another cluster (blue-green, or recreate, with a
    time in which nothing serves), not at all (none) or refused, and why; what Ray will do to the replicas of each
    deployment; how many pods, and what of the nodes and of the namespace's quotas, are needed at the peak of the
    rollout against what is free now; and what lint says. The operator's own functions decide. The file is taken for
    all of the spec, as `kubectl replace` would.

    Ends with 0 unless what follows weighs as much as --fail-on says (in-place, first-cluster, blue-green, recreate,
    refused); then with 1. `--fail-on in-place` so fails on any change. Ends with 2 if nothing can be told.
    """
    documents = _services(file)
    if against is None:
        told = [_told(file, document, _live(document.value, namespace)) for document in documents]
    else:
        before = {_key(one.value): one.value for one in _services(against)}
        told = [_told(file, document, _of_file(document.value, before, against)) for document in documents]
    if output is Output.HUMAN:
        console = Console(highlight=False)
        for one in told:
            console.print(plan_view(one.name, one.namespace, one.forecast, one.room))
            lint.show(console, one.findings)
    else:
        typer.echo(written(told, output), nl=False)
    limit = Consequence(fail_on).weight
    if any(one.forecast.consequence.weight >= limit for one in told):
        raise typer.Exit(lint.FOUND)


def _services(file: str) -> list[Document]:
    """The RayServices of a file."""
    try:
        found = list(read_documents(lint.read(file)))
    except lint.UNREADABLE as error:
        fail(f"{lint.called(file)}: {' '.join(str(error).split())}", lint.UNUSABLE)
    services = [document for document in found if document.value["kind"] == RAY_SERVICE]
    if not services or not all(isinstance(below(one.value, "metadata").get("name"), str) for one in services):
        fail(f"{lint.called(file)} holds no RayService, or one without a name", lint.UNUSABLE)
    return services


def _key(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _told(file: str, document: Document, find: Callable[[datetime], World]) -> Plan:
    now = datetime.now(UTC)
    try:
        world = find(now)
        found = forecast(world.scene, document.value, now)
        room = _room(world, document.value, now) if found.consequence.makes_pods else None
    except CannotDo as error:
        fail(str(error), lint.UNUSABLE)
    metadata = world.scene.service["metadata"]
    return Plan(metadata["name"], metadata["namespace"], found, room, lint.findings_of(file, document))


def _room(world: World, manifest: Manifest, now: datetime) -> Room | None:
    course = course_of(edited(world.scene, manifest), now)
    room = None if course is None else room_for(way_of(world.scene, course), world.nodes, world.quotas)
    return room if room is not None and room.added else None


def _of_file(manifest: Manifest, before: Mapping[tuple[str, str], Manifest], file: str) -> Callable[[datetime], World]:
    """The world in which the manifest of the same name is what there is."""

    def find(now: datetime) -> World:
        if _key(manifest) not in before:
            raise CannotDo(f"{file} holds no RayService {manifest['metadata']['name']} of the same namespace")
        return World(settled(before[_key(manifest)], now))

    return find


def _live(manifest: Manifest, namespace: str | None) -> Callable[[datetime], World]:
    """What there is in the cluster."""
    metadata = manifest["metadata"]

    async def read(kube: KubeApi, within: str) -> World:
        try:
            scene = await first_scene(kube, within, metadata["name"])
        except NotFound:
            scene = Scene(named({**manifest, "metadata": {"name": metadata["name"], "namespace": within}, "spec": {}}))
        pods = [pod async for pod in kube.everything(Kind.POD)]
        return World(replace(scene, pods=pods), await _nodes(kube), await _quotas(kube, within))

    def find(_: datetime) -> World:
        return with_cluster(namespace or metadata.get("namespace"), read, failing=lint.UNUSABLE)

    return find


async def _nodes(kube: KubeApi) -> Sequence[NodeRoom] | None:
    """What the nodes have free; None for who may not see all of them and of their pods."""
    try:
        nodes = [node async for node in kube.selected(Kind.NODE, "", Selection())]
        pods: list[Any] = [_slim(pod) async for pod in kube.selected(Kind.POD, "", _NOT_ENDED)]
    except Refused:
        return None
    return free_of(nodes, pods)


async def _quotas(kube: KubeApi, namespace: str) -> Sequence[Manifest] | None:
    """The ResourceQuotas of a namespace; None for who may not see them."""
    try:
        return [quota async for quota in kube.selected(Kind.QUOTA, namespace, Selection())]
    except Refused:
        return None


def _slim(pod: Manifest) -> Manifest:
    """Of thousands of pods no more is kept than is read."""
    return {"spec": pod["spec"], "status": {"phase": (pod.get("status") or {}).get("phase")}}
