"""Numbers out of times and counts: pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scenarios.harness.audit import WRITES


@dataclass(frozen=True, slots=True)
class Effect:
    """How soon something came of each of many writes, in seconds."""

    wanted: int
    came: int
    p50: float | None
    p99: float | None
    most: float | None
    total: float | None
    """From the first write to the last effect; None where not all came, or where it says nothing."""

    @classmethod
    def of(cls, applied: Mapping[str, float], seen: Mapping[str, float]) -> Effect:
        """Compare when each write was sent with when its effect was seen, both by the same clock.

        A write without an effect counts as later than all others: it may leave no percentile.
        """
        took = sorted(seen[name] - at for name, at in applied.items() if name in seen)
        is_whole = bool(applied) and len(took) == len(applied)
        return cls(
            wanted=len(applied),
            came=len(took),
            p50=percentile(took, 0.5, of=len(applied)),
            p99=percentile(took, 0.99, of=len(applied)),
            most=took[-1] if is_whole else None,
            total=max(seen[name] for name in applied) - min(applied.values()) if is_whole else None,
        )

    @classmethod
    def one_by_one(cls, took: Sequence[float | None]) -> Effect:
        """Out of single trials with nothing else under way: the seconds of each, None where the effect never came."""
        trials = {str(number): seconds for number, seconds in enumerate(took)}
        came = {trial: seconds for trial, seconds in trials.items() if seconds is not None}
        return replace(cls.of(dict.fromkeys(trials, 0.0), came), total=None)

    @property
    def time(self) -> float | None:
        """In all, or the median where that says nothing; None where not all came."""
        return self.p50 if self.total is None and self.came == self.wanted else self.total

    def ratio(self, floor: Effect | None) -> float | None:
        """How many times as long it took as the floor; None where either has not ended, or there is none."""
        least = floor.time if floor is not None else None
        return self.time / least if self.time and least else None


def percentile(ordered: Sequence[float], share: float, *, of: int) -> float | None:
    """The value that this share of so many values do not exceed, by nearest rank.

    Args:
        ordered: the values that are known, the smallest first.
        share: between 0 and 1.
        of: how many values there are; those that are not known are greater than all others.
    """
    rank = max(math.ceil(share * of), 1)
    return ordered[rank - 1] if rank <= len(ordered) else None


@dataclass(frozen=True, slots=True)
class Usage:
    """What went on while something was measured."""

    seconds: float
    requests: Mapping[str, int]
    """The operator's own to the API server, by verb and resource."""
    all_requests: Mapping[str, int]
    """Everybody's."""
    ray: Mapping[str, int]
    """Requests to Ray, by method and path."""
    cpu_seconds: float
    """Of the operator's processes."""
    rss_mb: float
    """In the end, of the operator's processes."""
    peak_mb: float
    """At most."""
    others_cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    """Of every other program, by its name: who had to wait for whom."""

    @property
    def writes(self) -> int:
        """The operator's writes, Leases aside."""
        return count_writes(self.requests)

    @property
    def ray_per_second(self) -> float:
        """Requests to Ray in a second."""
        return sum(self.ray.values()) / self.seconds

    @property
    def cpu_share(self) -> float:
        """Of one core, in percent."""
        return 100 * self.cpu_seconds / self.seconds


def count_writes(requests: Mapping[str, int]) -> int:
    """How many of the requests, which are counted by verb and resource, write anything but a Lease."""
    return sum(
        count for request, count in requests.items() if request.split()[0] in WRITES and request.split()[-1] != "leases"
    )


def spent_since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was added to sums by name, the largest first."""
    spent = {name: total - before.get(name, 0) for name, total in after.items()}
    return dict(sorted(spent.items(), key=lambda pair: pair[1], reverse=True))


def counted_since(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    """What was added to a count, the most frequent first."""
    return dict((after - before).most_common())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario."""

    effects: Mapping[str, Effect] = field(default_factory=dict)
    usage: Usage | None = None
    notes: Mapping[str, float] = field(default_factory=dict)
    """Numbers of this scenario alone, by name."""


@dataclass(frozen=True, slots=True)
class Results:
    """What came of a run."""

    services: int
    operator: str
    began: str
    cores: int
    load: float
    """Processes that wanted to run in the minute before, on average: what else the machine had to do."""
    scenarios: dict[str, Outcome] = field(default_factory=dict)
    floor: dict[str, Outcome] = field(default_factory=dict)
    """The same without an operator, as far as that can be."""
