"""`make bench-memory`: what the operator's process holds for each RayService at rest, without a cluster.

The process is the real one. It finds stand-ins for the API server and for the Rays of all heads on this machine, makes
what RayServices consist of, and comes to rest; and then another one finds all that there. This is done with one
RayService and with many: the difference is their price.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.memory import objects
from benchmarks.memory.apiserver import ApiServer
from benchmarks.memory.listening import free_port, listening
from benchmarks.memory.rays import Rays
from benchmarks.processes import Consumption, allow_all_files
from benchmarks.subject import Subject
from rayserve_operator.planning.actions import Kind

ROUNDS = 2
"""How often every head is asked until the operator counts as being at rest."""
PATIENCE, PATIENCE_EACH = 900.0, 0.5
"""Seconds until it must be, and for each RayService."""
MOST = 40
"""Lines of code, and types, of which it is told what they hold."""
KB = 1024

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What one run has shown."""

    services: int
    made: Consumption
    """Once all RayServices are Ready, every object has changed once more, and the operator rests."""
    found: int
    """RayServices that the next process looked after: those, or its share of copies of the only one."""
    there: int
    """And how many there were in all."""
    listed_bytes: int
    """Of the lists that it read."""
    restarted: Consumption
    """Of that process, once it rests."""
    started_seconds: float
    """Until it had asked the Ray of each."""
    round_seconds: float
    """How long it took at rest to ask each of them once."""
    looks: int
    """Requests to Ray of that process from the beginning of its rest, each of them in a pass of its own."""
    looks_cpu_seconds: float
    """What they took."""
    writes: int
    held: Mapping[str, int] = field(default_factory=dict)
    """Bytes by line of code."""
    types: Mapping[str, int] = field(default_factory=dict)
    """Number of objects by type."""


@app.command()
def main(
    *,
    count: Annotated[int, typer.Option("-n", help="How many RayServices.", min=2)] = 100,
    copies: Annotated[int, typer.Option(help="Make one, and let so many of the same be found.", min=0)] = 0,
    shards: Annotated[int, typer.Option(help="Divide the copies among so many operators, by label.", min=1)] = 1,
    holders: Annotated[bool, typer.Option("--holders", help="Tell which lines of code hold it; slow.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for the results, as JSON.")] = None,
) -> None:
    """Measure what memory each RayService takes."""
    if copies and holders:
        raise typer.BadParameter("tells what was made; leave out --copies", param_hint="--holders")
    if copies < shards > 1:
        raise typer.BadParameter(f"divide --copies, of which there are {copies}", param_hint="--shards")
    allow_all_files()
    one = asyncio.run(_run(1, holders=holders))
    many = asyncio.run(_run(1, copies, shards) if copies else _run(count, holders=holders))
    console = Console()
    console.print(_figures(one, many))
    if holders:
        console.print(_most("KB for each RayService, by line", one.held, many.held, count - 1, KB))
        console.print(_most("Objects for each RayService, by type", one.types, many.types, count - 1, 1))
    if out:
        out.write_text(json.dumps([dataclasses.asdict(found) for found in (one, many)], indent=1) + "\n")


async def _run(services: int, copies: int = 0, shards: int = 1, *, holders: bool = False) -> Found:
    """Let an operator make so many RayServices, and another one find them, or its share of copies of the only one."""
    found = math.ceil(copies / shards) or services
    rays = Rays()
    api = ApiServer(rays.saw)
    api_port, ray_port, serve_port = free_port(), free_port(), free_port()
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE + PATIENCE_EACH * max(services, copies)):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kubeconfig, report = folder / "kubeconfig", folder / "report"
        kubeconfig.write_text(_kubeconfig(api_port))
        await stack.enter_async_context(listening(api.runner, api_port))
        await stack.enter_async_context(listening(rays.runner, ray_port, serve_port))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        module = ["benchmarks.memory.traced", str(report)] if holders else ["rayserve_operator"]
        command = ["env", f"RAYSERVE_HEALTH_PORT={free_port()}", sys.executable, "-m", *module]
        subject = Subject(command, kubeconfig, folder / "log", group)
        stack.push_async_callback(subject.stop)
        for manifest in objects.ray_services(services, ray_port, serve_port):
            api.create(Kind.RAY_SERVICE, manifest)
        await subject.start()
        await api.ready(services)
        await rays.asked_by_all(1, services)
        api.touch()
        await rays.asked_by_all(ROUNDS, services)
        made = subject.used()
        told = await _told(subject, report) if holders else {}
        await subject.stop()
        if copies:
            api.multiply(copies, shards)
            rays.multiply(objects.addresses(number)[0] for number in range(1, copies))
            # What is no exact copy is mended before anything is measured.
            await subject.start()
            await rays.asked_by_all(ROUNDS, found)
            await subject.stop()
        written, listed, started = api.writes, api.listed_bytes, time.monotonic()
        await subject.start()
        await rays.asked_by_all(1, found)
        started = time.monotonic() - started
        await rays.asked_by_all(ROUNDS - 1, found)
        began, asked, rests = subject.used(), rays.requests, time.monotonic()
        await rays.asked_by_all(ROUNDS, found)
        restarted, asked, rested = subject.used(), rays.requests - asked, time.monotonic() - rests
    if api.writes != written:
        raise RuntimeError(f"{api.writes - written} writes by an operator that has nothing to do")
    return Found(
        services, made, found, copies or services, api.listed_bytes - listed, restarted, started,
        rested / ROUNDS, asked, restarted.cpu_seconds - began.cpu_seconds, api.writes,
        told.get("held", {}), told.get("types", {}),
    )  # fmt: skip


async def _told(subject: Subject, report: Path) -> dict[str, dict[str, int]]:
    """What the traced operator holds: it writes into a pipe, which is read in a thread of its own meanwhile."""
    os.mkfifo(report)
    os.kill(subject.pid, signal.SIGUSR1)
    told: dict[str, dict[str, int]] = json.loads(await asyncio.to_thread(report.read_text))
    return told


def _kubeconfig(port: int) -> str:
    name = "stand-in"
    entries = {"clusters": ("cluster", {"server": f"http://127.0.0.1:{port}"}), "users": ("user", {"token": "none"}),
               "contexts": ("context", {"cluster": name, "user": name})}  # fmt: skip
    lists = {kinds: [{"name": name, kind: entry}] for kinds, (kind, entry) in entries.items()}
    return json.dumps({"current-context": name, **lists})


def _figures(one: Found, many: Found) -> Table:
    crowd = f"{many.found} RayServices" + (f" of {many.there}" if many.there > many.found else "")
    table = Table("", "1 RayService", crowd, "for each further one")
    phases = [("it found all", many.found - 1, one.restarted, many.restarted)]
    if many.services > 1:
        phases.insert(0, ("it made all", many.services - 1, one.made, many.made))
    for when, further, few, most in phases:
        for title, alone, among in (("memory", few.rss_kb, most.rss_kb), ("peak", few.peak_kb, most.peak_kb)):
            price = f"{(among - alone) / further:.0f} KB"
            table.add_row(f"{title}, where {when}", f"{alone / KB:.1f} MB", f"{among / KB:.1f} MB", price)
        table.add_row(f"CPU, where {when}", f"{few.cpu_seconds:.2f} s", f"{most.cpu_seconds:.2f} s",
                      f"{1000 * (most.cpu_seconds - few.cpu_seconds) / further:.1f} ms")  # fmt: skip
    for title, before, after in (
        ("from its start until it had asked every Ray", one.started_seconds, many.started_seconds),
        ("to ask every Ray once, at rest", one.round_seconds, many.round_seconds),
    ):
        table.add_row(title, f"{before:.1f} s", f"{after:.1f} s", "")
    table.add_row("listed at its start", *(f"{run.listed_bytes / KB / KB:.1f} MB" for run in (one, many)))
    table.add_row("CPU of each look at rest", "", f"{1000 * many.looks_cpu_seconds / many.looks:.2f} ms", "")
    table.add_row("writes", str(one.writes), str(many.writes), "")
    return table


def _most(title: str, few: Mapping[str, int], many: Mapping[str, int], count: int, unit: int) -> Table:
    grown = {name: (size - few.get(name, 0)) / count / unit for name, size in many.items()}
    table = Table("", "", title=title)
    table.add_row("all", f"{sum(grown.values()):.1f}")
    for name, size in sorted(grown.items(), key=lambda pair: -pair[1])[:MOST]:
        table.add_row("/".join(name.split("/")[-4:]), f"{size:.2f}")
    return table


if __name__ == "__main__":
    app()
