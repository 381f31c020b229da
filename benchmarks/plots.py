"""`python -m benchmarks.plots OUT.svg RESULTS.json …`: the time of each scenario, a bar for each run and its floor."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.measures import Effect, Outcome, Results
from benchmarks.report import read, seconds

WIDTH, LABELS, ROOM = 760, 250, 390
"""Pixels: of the picture, of the words before the bars, and of the longest bar."""
BAR, GAP, TITLE = 16, 4, 26
COLOURS = ("#2f6db5", "#d9822b", "#5a9a4a", "#8a5aa8")
FLOOR = "#b8bec6"


@dataclass(frozen=True, slots=True)
class Bar:
    """One run's time."""

    label: str
    seconds: float | None
    """None where it never ended."""
    colour: str


@dataclass(frozen=True, slots=True)
class Group:
    """One effect of one scenario. Each has a scale of its own: its longest bar has all the room."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        """Pixels that it takes."""
        return TITLE + len(self.bars) * (BAR + GAP) + GAP


def groups(runs: Mapping[str, Results]) -> list[Group]:
    """What is to be drawn of runs, each by its name."""
    effects = {
        (scenario, effect): None
        for run in runs.values()
        for scenario, outcome in run.scenarios.items()
        for effect in outcome.effects
    }
    return [Group(f"{scenario} → {effect}", list(_bars(runs, scenario, effect))) for scenario, effect in effects]


def _bars(runs: Mapping[str, Results], scenario: str, name: str) -> Iterator[Bar]:
    for number, (label, run) in enumerate(runs.items()):
        mine, floor = (_effect(found.get(scenario), name) for found in (run.scenarios, run.floor))
        if mine is not None:
            yield Bar(label, mine.time, COLOURS[number % len(COLOURS)])
        if floor is not None:
            yield Bar(f"{label}: floor", floor.time, FLOOR)


def _effect(outcome: Outcome | None, name: str) -> Effect | None:
    return outcome.effects.get(name) if outcome else None


def svg(drawn: Sequence[Group]) -> str:
    """The picture."""
    height = sum(group.height for group in drawn) + GAP
    parts: list[str] = []
    top = GAP
    for group in drawn:
        parts.extend(_drawn(group, top))
        top += group.height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"


def _drawn(group: Group, top: int) -> Iterator[str]:
    yield _text(GAP, top + TITLE - 10, group.title, 14, weight="bold")
    longest = max((bar.seconds or 0 for bar in group.bars), default=0) or 1
    for number, bar in enumerate(group.bars):
        y = top + TITLE + number * (BAR + GAP)
        length = round(ROOM * (bar.seconds or 0) / longest)
        yield _text(2 * GAP, y + BAR - 4, bar.label, 12)
        yield f'<rect x="{LABELS}" y="{y}" width="{length}" height="{BAR}" fill="{bar.colour}"/>'
        yield _text(LABELS + length + GAP, y + BAR - 4, seconds(bar.seconds), 12)


def _text(x: int, y: int, words: str, size: int, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}">{escape(words)}</text>'


def main(arguments: Sequence[str]) -> None:
    """Draw the results in files into another; a run is named after its file."""
    if len(arguments) < 2:  # noqa: PLR2004
        sys.exit("usage: python -m benchmarks.plots OUT.svg RESULTS.json …")
    out, *files = map(Path, arguments)
    out.write_text(svg(groups({file.stem: read(file) for file in files})))


if __name__ == "__main__":
    main(sys.argv[1:])
