"""`rayserve top`: replicas and requests under way, as the pods tell them now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.adapters.ray import Load, loads
from rayserve_operator.cli import view
from rayserve_operator.cli.connection import Namespace, with_cluster
from rayserve_operator.cli.load import LoadRow, Top, load_rows
from rayserve_operator.cli.output import Output, OutputOption, written
from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.scene import Scene, clusters_of
from rayserve_operator.engine.trials import metrics_port
from rayserve_operator.model.errors import NotFound, Refused, Unavailable
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.planning.service import draining

METRICS = "/metrics"


def top(
    name: Annotated[str | None, typer.Argument(help="Name of the RayService; else all of them.")] = None,
    namespace: Namespace = None,
    output: OutputOption = Output.HUMAN,
) -> None:
    """Tell the healthy replicas of every deployment, and its requests that wait and that are under way.

    It reads Ray's own metrics on the pods through the API server, for which it takes the right to get pods/proxy.
    """
    found = with_cluster(namespace, lambda kube, within: _find(kube, within, name))
    if output is Output.HUMAN:
        Console().print(view.top(found))
    else:
        typer.echo(written(found, output), nl=False)


async def _find(kube: KubeApi, namespace: str, name: str | None) -> Top:
    if name is None:
        services = [service async for service in kube.everything(Kind.RAY_SERVICE)]
    else:
        services = [await kube.get(Kind.RAY_SERVICE, namespace, name)]
    clusters, pods = [[one async for one in kube.everything(kind)] for kind in (Kind.RAY_CLUSTER, Kind.POD)]
    rows: list[LoadRow] = []
    silent: list[str] = []
    for service in services:
        meta = Meta.parse(service)
        for observed in clusters_of(Scene(service, clusters=clusters, pods=pods)):
            answers = await _ask(kube, observed)
            silent += [pod for pod, told in answers.items() if told is None]
            rows += load_rows(meta.name, observed.name, [told for told in answers.values() if told is not None])
    return Top(tuple(rows), tuple(silent))


async def _ask(kube: KubeApi, observed: ObservedCluster) -> Mapping[str, Mapping[tuple[str, str], Load] | None]:
    """What each pod tells in which Ray runs, by its name; None where it does not."""
    pods = draining.to_be_asked(observed)
    answers = await asyncio.gather(*(_told_by(kube, observed, pod) for pod in pods))
    return dict(zip((pod.meta.name for pod in pods), answers, strict=True))


async def _told_by(kube: KubeApi, observed: ObservedCluster, pod: PodView) -> Mapping[tuple[str, str], Load] | None:
    meta = pod.meta
    try:
        return loads(await kube.through_pod(meta.namespace, meta.name, metrics_port(observed, pod), METRICS))
    except Refused as refusal:
        raise CannotDo(f"{refusal}; top needs the right to get pods/proxy") from refusal
    except (NotFound, Unavailable, ValueError):
        return None
