"""`python -m benchmarks.pages PAGE RESULTS.json …`: what runs found, as tables in a page of the docs.

What a run tells stands in a page between two comments, so that it can be told anew.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.goals import verdicts
from benchmarks.measures import Outcome, Results
from benchmarks.report import TITLES, read, seconds, times_floor

END = "<!-- So far. -->"


def begin(command: str) -> str:
    """What stands before that which this command has told."""
    return f"<!-- Told by {command}: -->"


def placed(page: str, command: str, told: str) -> str:
    """The page with this in place of what the command told before. Raises ValueError where it has no place for it."""
    opening = begin(command)
    found = re.compile(f"{re.escape(opening)}\n.*?{re.escape(END)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"the page has no {opening} … {END}")
    return found.sub(lambda _: f"{opening}\n{told}\n{END}", page, count=1)


def tables(runs: Sequence[Results]) -> str:
    """Every effect of every run, the one with the fewest RayServices first, and then the goals."""
    ordered = sorted(runs, key=lambda run: run.services)
    return "\n".join([*_effects(ordered), "", *_usages(ordered), "", *_goals(ordered)])


def _outcomes(runs: Sequence[Results]) -> Iterator[tuple[str, Results, Outcome, Outcome]]:
    """Each scenario's title with what came of it in each run, and in its floor."""
    for scenario, title in TITLES.items():
        for run in runs:
            yield title, run, run.scenarios.get(scenario, Outcome()), run.floor.get(scenario, Outcome())


def _effects(runs: Sequence[Results]) -> Iterator[str]:
    yield "| | RayServices | p50 | p99 | in all | to the floor |"
    yield "|---|--:|--:|--:|--:|--:|"
    for title, run, outcome, floor in _outcomes(runs):
        for name, effect in outcome.effects.items():
            times = [seconds(one) for one in (effect.p50, effect.p99, effect.total)]
            cells = (f"{title} → {name}", f"{run.services:,}", *times, times_floor(effect, floor.effects.get(name)))
            yield f"| {' | '.join(cells)} |"


def _usages(runs: Sequence[Results]) -> Iterator[str]:
    yield "| for each RayService | RayServices | API requests | writes | requests to Ray | CPU | memory in all |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for title, run, outcome, _ in _outcomes(runs):
        usage = outcome.usage
        if usage is None:
            continue
        sums = (sum(usage.requests.values()), usage.writes, sum(usage.ray.values()))
        each = (f"{count / run.services:.1f}" for count in sums)
        cpu = f"{1000 * usage.cpu_seconds / run.services:.0f} ms"
        yield f"| {title} | {run.services:,} | {' | '.join(each)} | {cpu} | {usage.rss_mb:.0f} MB |"


def _goals(runs: Sequence[Results]) -> Iterator[str]:
    yield "| goal | RayServices | at most | measured | |"
    yield "|---|--:|--:|--:|---|"
    for run in runs:
        for verdict in verdicts(run, runs[0] if run is not runs[0] else None):
            if verdict.is_met is None:
                continue
            goal, mark = verdict.goal, "met" if verdict.is_met else "**missed**"
            bounds = f"{goal.most:g} {goal.unit}".strip(), f"{verdict.measured:.4g} {goal.unit}".strip()
            yield f"| {goal.title} | {run.services:,} | {' | '.join(bounds)} | {mark} |"


def main(arguments: Sequence[str]) -> None:
    """Put the results in files into a page."""
    if len(arguments) < 2:  # noqa: PLR2004
        sys.exit("usage: python -m benchmarks.pages PAGE.md RESULTS.json …")
    page, *files = map(Path, arguments)
    page.write_text(placed(page.read_text(), "make bench", tables([read(file) for file in files])))


if __name__ == "__main__":
    main(sys.argv[1:])
