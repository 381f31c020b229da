"""What a tree of processes has used, out of /proc."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_FORGET_PEAK = "5"
"""Written to clear_refs, sets the peak of a process's memory to what it has now; see proc(5)."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """Of a process and of all that it has started, those that have ended included in the time."""

    cpu_seconds: float
    rss_kb: int
    peak_kb: int


def consumption(root: int) -> Consumption:
    """What the tree below a process has used so far. A process that has ended has used nothing."""
    cpu, rss, peak = 0.0, 0, 0
    for pid in tree(root, _parents()):
        with suppress(FileNotFoundError, ProcessLookupError):
            cpu += cpu_seconds((PROC / str(pid) / "stat").read_text())
            memory = memory_kb((PROC / str(pid) / "status").read_text())
            rss, peak = rss + memory[0], peak + memory[1]
    return Consumption(cpu, rss, peak)


def cpu_seconds_of(pids: Mapping[str, int]) -> dict[str, float]:
    """The time on a CPU so far of processes by name, each alone; those that have ended are left out."""
    found = {}
    for name, pid in pids.items():
        with suppress(FileNotFoundError, ProcessLookupError):
            found[name] = cpu_seconds((PROC / str(pid) / "stat").read_text(), with_ended=False)
    return found


def allow_all_files() -> None:
    """Let this process, and those that it starts, have as many connections open as it may allow them."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def forget_peak(root: int) -> None:
    """Let the peak of the tree's memory begin anew."""
    for pid in tree(root, _parents()):
        with suppress(FileNotFoundError, ProcessLookupError):
            (PROC / str(pid) / "clear_refs").write_text(_FORGET_PEAK)


def tree(root: int, parents: Mapping[int, int]) -> set[int]:
    """A process and all below it, out of the parent of each."""
    found = {root}
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found


def cpu_seconds(stat: str, *, with_ended: bool = True) -> float:
    """The time on a CPU of a process, and of its children that have ended, out of its `stat`."""
    return sum(int(ticks) for ticks in _after_name(stat)[11 : 15 if with_ended else 13]) / _TICKS


def memory_kb(status: str) -> tuple[int, int]:
    """The memory that a process has now and has had at most, out of its `status`; nothing for one that has ended."""
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    now, most = (int(lines.get(key, "0").split()[0]) for key in ("VmRSS", "VmHWM"))
    return now, most


def _after_name(stat: str) -> list[str]:
    """The fields from the state on: the name before it may hold anything."""
    return stat.rpartition(")")[2].split()


def _parents() -> dict[int, int]:
    return dict(_each_parent())


def _each_parent() -> Iterator[tuple[int, int]]:
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield int(folder.name), int(_after_name((folder / "stat").read_text())[1])
