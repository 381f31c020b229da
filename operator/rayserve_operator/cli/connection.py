"""How commands talk to the API server, and tell what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from rayserve_operator import __version__
from rayserve_operator.adapters.kube import KubeApi, current_namespace
from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.model.errors import OperatorError

USER_AGENT = f"rayserve/{__version__}"
T = TypeVar("T")

Name = Annotated[str, typer.Argument(help="Name of the RayService.", metavar="NAME")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Namespace; else the current context's.")]


def with_cluster(namespace: str | None, work: Callable[[KubeApi, str], Awaitable[T]], *, failing: int = 1) -> T:
    """Do something with a connection to the API server; what goes wrong is told, and ends the command.

    Args:
        namespace: as the user gave it; None means that of the current context.
        work: is given the connection and the namespace.
        failing: the exit code if something goes wrong.
    """

    async def connected() -> T:
        within = namespace or current_namespace()
        kube = await KubeApi.connect([within], USER_AGENT)
        try:
            return await work(kube, within)
        finally:
            await kube.close()

    try:
        return asyncio.run(connected())
    except (OperatorError, CannotDo) as error:
        fail(str(error), failing)


def fail(words: str, code: int = 1) -> NoReturn:
    """End the command with what went wrong."""
    Console(stderr=True).print(f"[red]✗[/red] {escape(words)}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
