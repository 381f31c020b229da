"""What became of the requests of each scenario, and how long it took, as tables of Markdown."""

import os
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.harness.load import Record

VARIABLE = "ROLLOUT_TABLE"
"""Names the file that the tables are appended to."""


@dataclass
class Tally:
    """What became of the requests of one kind."""

    sent: int = 0
    failed: int = 0
    repeated: int = 0
    longest: float = 0.0

    def add(self, record: Record) -> None:
        """Count a record in."""
        self.sent += record.sent
        self.failed += len(record.failed)
        self.repeated += record.repeated
        self.longest = max(self.longest, record.longest)


@dataclass
class Scenario:
    """All rounds of one scenario."""

    rounds: int = 0
    kinds: dict[str, Tally] = field(default_factory=dict)
    steps: dict[str, list[float]] = field(default_factory=dict)
    """Seconds that each step took, by its name."""

    def add(self, records: Mapping[str, Record], steps: Mapping[str, float]) -> None:
        """Count a round in."""
        self.rounds += 1
        for kind, record in records.items():
            self.kinds.setdefault(kind, Tally()).add(record)
        for step, seconds in steps.items():
            self.steps.setdefault(step, []).append(seconds)

    def rendered(self, title: str) -> str:
        """The table, below its title."""
        rounds = f" ({self.rounds} rounds)" if self.rounds > 1 else ""
        rows = [
            f"| {kind} | {tally.sent} | {tally.failed} | {tally.repeated} | {tally.longest:.2f} |"
            for kind, tally in self.kinds.items()
        ]
        steps = [f"- {step}: {_told(seconds)}" for step, seconds in self.steps.items()]
        head = [
            "| kind | requests sent | failed | repeated | longest, s |",
            "|---|--:|--:|--:|--:|",
        ]
        return "\n".join([f"### {title}{rounds}", "", *head, *rows, "", *steps, ""])


class Tables:
    """The tables of one run of the tests; the file is written anew with each round."""

    def __init__(self) -> None:
        name = os.environ.get(VARIABLE)
        self._file = Path(name) if name else None
        self._before = self._file.read_text() if self._file and self._file.exists() else ""
        self._scenarios: dict[str, Scenario] = {}

    def add(self, title: str, records: Mapping[str, Record], steps: Mapping[str, float]) -> None:
        """Print the table of one round, and count it in."""
        one = Scenario()
        one.add(records, steps)
        print(f"\n{one.rendered(title)}")
        self._scenarios.setdefault(title, Scenario()).add(records, steps)
        if self._file:
            tables = [scenario.rendered(name) for name, scenario in self._scenarios.items()]
            self._file.write_text("\n".join([self._before, *tables]))


def _told(seconds: list[float]) -> str:
    if len(seconds) == 1:
        return f"{seconds[0]:.1f} s"
    return f"{statistics.median(seconds):.1f} s at the median, {max(seconds):.1f} s at most"
