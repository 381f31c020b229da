"""`make bench`: measure an operator, on a control plane of its own whose pods are there in name only."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import report
from benchmarks.goals import verdicts
from benchmarks.run import Plan, measure
from benchmarks.scenarios import SCENARIOS
from benchmarks.stage import NotInTime
from benchmarks.subject import SubjectEnded
from localcluster import ClusterSpec
from localcluster.progress import Steps
from scenarios.harness import manifests, session
from scenarios.harness.kube import ApiError, KubectlError
from scenarios.harness.waiting import NotInTimeError

OURS = "python -m rayserve_operator"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    services: Annotated[int, typer.Option("-n", help="How many RayServices.", min=1)] = 100,
    out: Annotated[Path | None, typer.Option(help="File for the results, as JSON.")] = None,
    only: Annotated[str, typer.Option(help=f"Of {', '.join(SCENARIOS)}: these, by commas.")] = "",
    operator: Annotated[str, typer.Option(help="Command line of the operator.", envvar="OPERATOR")] = OURS,
    crds: Annotated[Path, typer.Option(help="Folder or file of its CRDs.", exists=True)] = manifests.CRDS,
    floor: Annotated[bool, typer.Option(help="Measure the same writes without an operator.")] = True,
    compare: Annotated[
        Path | None, typer.Option(help="Results with fewer services, for the growth.", exists=True)
    ] = None,
    dns: Annotated[bool, typer.Option(help="Run CoreDNS, for operators that find Ray by names.")] = False,
) -> None:
    """Measure an operator of `ray.io/v1` with many RayServices."""
    plan = Plan(services, operator, crds, _chosen(only), floor)
    if out and not out.resolve().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.resolve().parent}")
    smaller = report.read(compare) if compare else None
    if not session.is_inside():
        spec = ClusterSpec(control_plane_only=True, kwok=True, dns=dns)
        session.main_inside(["-m", "benchmarks", *sys.argv[1:]], control_plane=spec)
    try:
        with Steps() as steps:
            results = asyncio.run(measure(plan, steps))
    except* (NotInTime, NotInTimeError, SubjectEnded, ApiError, KubectlError) as errors:
        sys.exit("\n".join(f"✗ {error}" for error in _each(errors)))
    found = verdicts(results, smaller)
    report.show(results, found)
    if out:
        report.write(out, results, found)


def _chosen(only: str) -> list[str]:
    chosen = [name for name in only.split(",") if name] or list(SCENARIOS)
    if unknown := set(chosen) - SCENARIOS.keys():
        raise typer.BadParameter(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return chosen


def _each(errors: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each(error)
        else:
            yield error


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        app()
