"""`rayserve rollout`: the history of a RayService, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.syntax import Syntax

from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.cli import view
from rayserve_operator.cli.connection import Name, Namespace, fail, with_cluster
from rayserve_operator.cli.output import Output, OutputOption, written
from rayserve_operator.cli.owners import gitops_tool
from rayserve_operator.cli.revisions import Revision, revisions_of, rows
from rayserve_operator.cli.status import status
from rayserve_operator.cli.steering import Command, Note, steer
from rayserve_operator.cli.undo import Undo, plan_undo
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.edits import Edit
from rayserve_operator.planning.words import few

rollout = typer.Typer(no_args_is_help=True, help="Look at rollouts of a RayService, and steer them.")

rollout.command()(status)


@dataclass(frozen=True)
class Found:
    """A RayService with its revisions."""

    service: Any
    revisions: list[Revision]


@rollout.command()
def history(name: Name, namespace: Namespace = None, output: OutputOption = Output.HUMAN) -> None:
    """List the revisions of a RayService, the present one last."""
    found = rows(with_cluster(namespace, lambda kube, within: _find(kube, within, name)).revisions)
    if output is Output.HUMAN:
        Console().print(view.history(found, datetime.now(UTC)))
    else:
        typer.echo(written(found, output), nl=False)


@rollout.command()
def undo(
    name: Name,
    namespace: Namespace = None,
    to_revision: Annotated[int | None, typer.Option(help="Number of the revision to go back to.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where Argo CD or Flux would undo it again.")] = False,
) -> None:
    """Go back to an earlier revision: its rayClusterConfig and serveConfigV2 are written into the RayService."""

    async def go_back(kube: KubeApi, within: str) -> tuple[Undo, str | None]:
        found = await _find(kube, within, name)
        planned, tool = plan_undo(found.service, found.revisions, to_revision), gitops_tool(found.service)
        if not dry_run and (tool is None or force):
            await kube.patch(Kind.RAY_SERVICE, within, name, planned.operations)
        return planned, tool

    planned, tool = with_cluster(namespace, go_back)
    console = Console()
    if dry_run or (tool is not None and not force):
        console.print(Syntax(planned.diff, "diff", background_color="default"))
    if tool is not None and not force:
        fail(f"{tool} keeps {name} and would undo this: make the change above in Git, or insist with --force")
    what = "would go back" if dry_run else "goes back"
    words = f"{name} {what} to revision {planned.to.number}: {_consequence(planned.edit)}"
    console.print(words, highlight=False, markup=False, soft_wrap=True)


@rollout.command()
def promote(
    name: Name,
    namespace: Namespace = None,
    full: Annotated[bool, typer.Option("--full", help="All the traffic at once, whatever steps are left.")] = False,
) -> None:
    """Let the new cluster go on to take over, where it waits for that."""
    _steer(Command.PROMOTE_FULLY if full else Command.PROMOTE, name, namespace)


@rollout.command()
def pause(name: Name, namespace: Namespace = None) -> None:
    """Leave the new cluster the share of the traffic that it has."""
    _steer(Command.PAUSE, name, namespace)


@rollout.command()
def resume(name: Name, namespace: Namespace = None) -> None:
    """Let a rollout that was paused go on."""
    _steer(Command.RESUME, name, namespace)


@rollout.command()
def retry(name: Name, namespace: Namespace = None) -> None:
    """Try a rollout again that was given up."""
    _steer(Command.RETRY, name, namespace)


def _steer(command: Command, name: str, namespace: str | None) -> None:
    async def write(kube: KubeApi, within: str) -> Note:
        found = await _find(kube, within, name)
        note = steer(command, found.service, found.revisions)
        await kube.merge(note.kind, within, note.name, {"metadata": {"annotations": note.annotations}})
        return note

    words = with_cluster(namespace, write).words
    Console().print(f"{name}: {words}", highlight=False, markup=False, soft_wrap=True)


async def _find(kube: KubeApi, namespace: str, name: str) -> Found:
    service = await kube.get(Kind.RAY_SERVICE, namespace, name)
    revisions, clusters, services = [
        [one async for one in kube.everything(kind)] for kind in (Kind.REVISION, Kind.RAY_CLUSTER, Kind.SERVICE)
    ]
    return Found(service, revisions_of(service, revisions, clusters, services))


def _consequence(edit: Edit | None) -> str:
    if edit is None:
        return "the present spec is invalid, so what changes cannot be told"
    if edit.rebuilding:
        return f"a new cluster is made, because {few(edit.rebuilding)} cannot change in place"
    return f"in place ({few(edit.paths)})" if edit.paths else "it is what there is"
