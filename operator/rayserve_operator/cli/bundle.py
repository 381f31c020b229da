"""`rayserve support-bundle`: everything that a bug report needs, without secrets."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from rayserve_operator import __version__
from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.adapters.ray import APPLICATIONS
from rayserve_operator.cli.connection import Name, Namespace, fail, with_cluster
from rayserve_operator.cli.redaction import redacted, redacted_text
from rayserve_operator.cli.scene import Manifest, clusters_of, first_scene
from rayserve_operator.model.errors import OperatorError
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.render import labels
from rayserve_operator.render.ports import dashboard_port

LOG_LINES = 5000
"""The last lines of each of the operator's pods."""


@dataclass
class Bundle:
    """Files by their names, and what could not be had."""

    files: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, manifests: Iterable[Manifest]) -> None:
        """Add objects, redacted, a document each."""
        told = [redacted(manifest) for manifest in manifests]
        self.files[name] = yaml.safe_dump_all(told, sort_keys=False, allow_unicode=True)

    async def attempt(self, name: str, find: Callable[[], Awaitable[str]]) -> None:
        """Add a text, or why there is none."""
        try:
            self.files[name] = await find()
        except OperatorError as error:
            self.missing[name] = str(error)

    def archive(self, root: str, now: datetime) -> bytes:
        """All of it as a compressed tar, in a directory of its own."""
        about = {"version": __version__, "at": now.isoformat(), "files": sorted(self.files), "missing": self.missing}
        files = {**self.files, "about.yaml": yaml.safe_dump(redacted(about), sort_keys=False)}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in sorted(files.items()):
                content = text.encode()
                entry = tarfile.TarInfo(f"{root}/{name}")
                entry.size, entry.mtime, entry.mode = len(content), int(now.timestamp()), 0o600
                tar.addfile(entry, io.BytesIO(content))
        return packed.getvalue()


def support_bundle(
    name: Name,
    namespace: Namespace = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Where to; else NAME-TIME.tar.gz in this directory.")
    ] = None,
) -> None:
    """Put everything that a bug report needs into a tar.gz: objects, events, Ray's answer, the operator's log.

    Values of variables and what is secret by its name are left out, and Secrets are never read. Names, addresses and
    images stay: look through it before you give it to anybody. What you may not see is named in about.yaml.
    """
    now = datetime.now(UTC)
    bundle = with_cluster(namespace, lambda kube, within: _collect(kube, within, name))
    root = f"{name}-{now:%Y%m%d-%H%M%S}"
    path = file or Path(f"{root}.tar.gz")
    try:
        path.write_bytes(bundle.archive(root, now))
    except OSError as error:
        fail(str(error))
    console = Console(highlight=False)
    console.print(f"{path}: {len(bundle.files)} files", markup=False, soft_wrap=True)
    for what, why in bundle.missing.items():
        console.print(f"without {what}: {why}", style="yellow", markup=False, soft_wrap=True)


async def _collect(kube: KubeApi, namespace: str, name: str) -> Bundle:
    scene = await first_scene(kube, namespace, name)
    bundle, meta = Bundle(), Meta.parse(scene.service)
    bundle.add("rayservice.yaml", [scene.service])
    bundle.add("rayclusters.yaml", scene.clusters)
    bundle.add("revisions.yaml", scene.revisions)
    clusters = {Meta.parse(cluster).name for cluster in scene.clusters}
    pods = [pod async for pod in kube.everything(Kind.POD) if _label(pod, labels.CLUSTER) in clusters]
    bundle.add("pods.yaml", pods)
    owners = {meta.uid, *(Meta.parse(cluster).uid for cluster in scene.clusters)}
    services = [one async for one in kube.everything(Kind.SERVICE) if Meta.parse(one).owner in owners]
    bundle.add("services.yaml", services)
    await bundle.attempt("endpointslices.yaml", partial(_slices, kube, namespace, services))
    concerned = {name, *clusters, *(Meta.parse(one).name for one in (*pods, *services))}
    await bundle.attempt("events.yaml", partial(_events, kube, namespace, concerned))
    for observed in clusters_of(replace(scene, pods=pods)):
        await bundle.attempt(f"serve/{observed.name}.json", partial(_serve, kube, observed))
    await _add_logs(kube, bundle)
    return bundle


async def _slices(kube: KubeApi, namespace: str, services: Iterable[Manifest]) -> str:
    found = [one for service in services for one in await kube.endpoint_slices(namespace, Meta.parse(service).name)]
    return yaml.safe_dump_all([redacted(one) for one in found], sort_keys=False)


async def _events(kube: KubeApi, namespace: str, concerned: set[str]) -> str:
    found = kube.selected(Kind.EVENT, namespace, Selection())
    told = [redacted(event) async for event in found if event["involvedObject"].get("name") in concerned]
    return yaml.safe_dump_all(told, sort_keys=False)


async def _serve(kube: KubeApi, observed: ObservedCluster) -> str:
    """What Ray says of its applications."""
    head = observed.head
    if head is None:
        return "there is no head"
    port = dashboard_port(observed.cluster)
    answer = await kube.through_pod(head.meta.namespace, head.meta.name, port, APPLICATIONS)
    try:
        return json.dumps(redacted(json.loads(answer)), indent=2)
    except ValueError:
        return redacted_text(answer)


async def _add_logs(kube: KubeApi, bundle: Bundle) -> None:
    try:
        found = kube.selected(Kind.POD, "", Selection(labels=f"{labels.OPERATOR}=true"))
        operators = [Meta.parse(pod) async for pod in found]
    except OperatorError as error:
        bundle.missing["operator"] = str(error)
        return
    for meta in operators:
        await bundle.attempt(f"operator/{meta.name}.log", partial(_log, kube, meta))


async def _log(kube: KubeApi, meta: Meta) -> str:
    return redacted_text(await kube.logs(meta.namespace, meta.name, LOG_LINES))


def _label(manifest: Mapping[str, Any], key: str) -> str | None:
    found: str | None = (manifest["metadata"].get("labels") or {}).get(key)
    return found
