"""What became of the requests of a scenario, and how long it took, as a table of Markdown."""

import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.images import PROJECT_ROOT
from scenarios.harness.load import Record

VARIABLE = "ROLLOUT_TABLE"
"""Names the file that the tables are appended to."""


def commit() -> str:
    """The commit whose numbers they are."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.check_output(command, cwd=PROJECT_ROOT, text=True).strip()


class Tables:
    """The tables of one run of the tests."""

    def __init__(self) -> None:
        name = os.environ.get(VARIABLE)
        self._file = Path(name) if name else None

    def add(
        self,
        title: str,
        records: Mapping[str, Record],
        steps: Mapping[str, Sequence[float]],
        rounds: int = 1,
        remarks: Sequence[str] = (),
    ) -> None:
        """Tell what became of each kind of request, the seconds that each step took, and more."""
        table = _rendered(title, records, steps, rounds, remarks)
        print(f"\n{table}")
        if self._file:
            with self._file.open("a") as file:
                file.write(f"{table}\n")


def _rendered(
    title: str,
    records: Mapping[str, Record],
    steps: Mapping[str, Sequence[float]],
    rounds: int,
    remarks: Sequence[str],
) -> str:
    repeated = f" ({rounds} rounds)" if rounds > 1 else ""
    rows = [
        f"| {kind} | {record.sent} | {len(record.failed)} | {record.repeated} | "
        f"{record.longest:.2f} |"
        for kind, record in records.items()
    ]
    head = ["| kind | requests sent | failed | repeated | longest, s |", "|---|--:|--:|--:|--:|"]
    told = [f"- {step}: {_told(seconds)}" for step, seconds in steps.items()]
    told += [f"- {remark}" for remark in remarks]
    return "\n".join([f"### {title}{repeated}", "", *head, *rows, "", *told, ""])


def _told(seconds: Sequence[float]) -> str:
    if len(seconds) == 1:
        return f"{seconds[0]:.1f} s"
    return f"{statistics.median(seconds):.1f} s at the median, {max(seconds):.1f} s at most"
