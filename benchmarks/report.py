"""What a run found, as tables for a person and as JSON for the next program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.goals import Verdict, kb_for_each
from benchmarks.measures import Effect, Outcome, Results, Usage, count_writes

WIDTH = 120
"""Columns where there is no terminal."""
MOST_FREQUENT = 20
"""Kinds of requests that a table tells; the file has all."""

TITLES: Mapping[str, str] = {
    "single": "one RayService alone, created several times",
    "create": "create all",
    "edit": "edit the Serve config of all",
    "rollout": "blue/green of all",
    "rest": "at rest; then every application is UNHEALTHY",
    "hang": "edits one by one, while the Ray heads of half of the others hang",
    "restart": "the operator is started again, and one RayService edited at that moment",
    "storm": "all workers of a fifth of the services die",
    "delete": "delete all",
}


def effects_table(name: str, outcome: Outcome, floor: Outcome | None) -> Table:
    """How soon the effects of a scenario came, beside the same without an operator."""
    table = _table(f"{name}: {TITLES[name]}", "", "p50", "p99", "most", "in all", "floor: p50", "in all", "ratio")
    for effect_name, effect in outcome.effects.items():
        table.add_row(*effect_row(effect_name, effect, floor.effects.get(effect_name) if floor else None))
    return table


def usage_table(usage: Usage | None, notes: Mapping[str, float]) -> Table:
    """What a scenario took."""
    table = _table("", "", "", show_header=False)
    for label, value in _usage_rows(usage) if usage else ():
        table.add_row(label, value)
    for label, number in notes.items():
        table.add_row(label, f"{number:g}")
    return table


def _table(title: str, *columns: str, show_header: bool = True) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE, show_header=show_header)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def effect_row(name: str, effect: Effect, floor: Effect | None) -> Sequence[str]:
    """The cells of an effect."""
    missing = f" ({effect.wanted - effect.came} of {effect.wanted} never)" if effect.came < effect.wanted else ""
    return (
        f"→ {name}{missing}",
        *(seconds(number) for number in (effect.p50, effect.p99, effect.most, effect.total)),
        *((seconds(floor.p50), seconds(floor.total)) if floor else ("", "")),
        times_floor(effect, floor),
    )


def times_floor(effect: Effect, floor: Effect | None) -> str:
    """The ratio to the floor; nothing where there is none."""
    ratio = effect.ratio(floor)
    return "" if ratio is None else f"{ratio:.2f}"


def seconds(number: float | None) -> str:
    """A duration; a dash for one that never ended."""
    if number is None:
        return "-"
    return f"{number:.3f} s" if number < 1 else f"{number:.2f} s"


def _usage_rows(usage: Usage) -> Iterator[tuple[str, str]]:
    yield "measured for", seconds(usage.seconds)
    yield "operator: CPU", f"{usage.cpu_seconds:.1f} s"
    yield "others: CPU", f"{sum(usage.others_cpu_seconds.values()):.1f} s"
    for program, spent in usage.others_cpu_seconds.items():
        yield f"  {program}", f"{spent:.1f} s"
    yield "operator: memory, peak", f"{usage.rss_mb:.0f} MB, {usage.peak_mb:.0f} MB"
    yield "operator: API requests, writes", f"{sum(usage.requests.values())}, {usage.writes}"
    yield from _counts(usage.requests)
    yield "all: API requests, writes", f"{sum(usage.all_requests.values())}, {count_writes(usage.all_requests)}"
    yield "requests to Ray", f"{sum(usage.ray.values())} ({usage.ray_per_second:.1f}/s)"
    yield from _counts(usage.ray)


def _counts(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for request, count in list(counts.items())[:MOST_FREQUENT]:
        yield f"  {request}", str(count)
    if rest := sum(list(counts.values())[MOST_FREQUENT:]):
        yield "  others", str(rest)


def goals_table(found: Sequence[Verdict]) -> Table:
    """The goals, and what became of them."""
    table = _table("goals", "", "for", "at most", "measured", "")
    for verdict in found:
        goal = verdict.goal
        mark = {True: "[green]✓ met[/]", False: "[red]✗ missed[/]", None: "-"}[verdict.is_met]
        measured = "-" if verdict.measured is None else f"{verdict.measured:.4g} {goal.unit}"
        meant = "any N" if goal.services is None else f"N={goal.services}"
        table.add_row(goal.title, meant, f"{goal.most:g} {goal.unit}", measured, mark)
    return table


def show(results: Results, found: Sequence[Verdict]) -> None:
    """Print everything."""
    out = Console()
    if not out.is_terminal:
        out = Console(width=WIDTH)
    machine = f"{results.cores} cores, load {results.load:.1f} at the start"
    out.print(f"\n{results.services} RayServices; {results.operator}; {machine}\n", markup=False)
    for name, outcome in results.scenarios.items():
        if outcome.effects:
            out.print(effects_table(name, outcome, results.floor.get(name)))
        if outcome.usage or outcome.notes:
            out.print(usage_table(outcome.usage, outcome.notes))
    out.print(goals_table(found))
    if (kb := kb_for_each(results)) is not None:
        out.print(f"memory for each RayService: {kb:.0f} KB")


def write(path: Path, results: Results, found: Sequence[Verdict]) -> None:
    """Write everything as JSON."""
    document = {
        **dataclasses.asdict(results),
        "kb_for_each": kb_for_each(results),
        "goals": [verdict.as_json() for verdict in found],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Results:
    """The results that were written to a file."""
    document: dict[str, Any] = json.loads(path.read_text())
    scenarios, floor = (
        {name: _outcome(told) for name, told in document[part].items()} for part in ("scenarios", "floor")
    )
    facts = {key: document[key] for key in ("services", "operator", "began", "cores", "load")}
    return Results(**facts, scenarios=scenarios, floor=floor)


def _outcome(told: Mapping[str, Any]) -> Outcome:
    effects = {name: Effect(**effect) for name, effect in told["effects"].items()}
    return Outcome(effects, Usage(**told["usage"]) if told["usage"] else None, told["notes"])
