"""`rayserve status`, also `rayserve rollout status`: how far a RayService is, once or as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live

from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.cli import view
from rayserve_operator.cli.connection import Name, Namespace, with_cluster
from rayserve_operator.cli.output import Output, OutputOption, written
from rayserve_operator.cli.progress import Progress, progress_of
from rayserve_operator.cli.scene import scenes
from rayserve_operator.model.errors import NotFound


def status(
    name: Name,
    namespace: Namespace = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it has come to an end.")] = False,
    output: OutputOption = Output.HUMAN,
) -> None:
    """Tell how far a RayService is: what it waits for and since when, its clusters, applications, and last events.

    With --watch it is a live view, or for scripts one JSON object a line, or one YAML document, for each change.
    Then it ends with 0 once the service is as the spec says, and with 1 if it has come to a bad end.
    """

    async def follow(kube: KubeApi, within: str) -> Progress:
        told: Progress | None = None
        with _shown(output, is_watched=watch) as show:
            async with aclosing(scenes(kube, within, name)) as found:
                async for scene in found:
                    before, told = told, progress_of(scene, _now())
                    if told != before:
                        show(told)
                    if told.phase.is_end or not watch:
                        return told
        raise NotFound(f"{name} is gone")

    if not with_cluster(namespace, follow).phase.is_good and watch:
        raise typer.Exit(1)


@dataclass
class _Picture:
    """What was found last, with ages as they are when it is drawn."""

    found: Progress | None = None

    def __rich__(self) -> RenderableType:
        return "" if self.found is None else view.progress(self.found, _now())


@contextmanager
def _shown(output: Output, *, is_watched: bool) -> Iterator[Callable[[Progress], None]]:
    """Shows what it is given: to people in place of what it was given before."""
    if output is not Output.HUMAN:
        yield lambda found: typer.echo(written(found, output, is_one_of_many=is_watched), nl=False)
        return
    picture = _Picture()
    with Live(picture, auto_refresh=is_watched, refresh_per_second=1) as live:

        def show(found: Progress) -> None:
            picture.found = found
            live.refresh()

        yield show


def _now() -> datetime:
    return datetime.now(UTC)
