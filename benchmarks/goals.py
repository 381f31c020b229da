"""What is aimed at, and how far a run got: pure. A goal that is missed is said to be missed, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import scenarios as played
from benchmarks.measures import Effect, Outcome, Results, Usage

ROUNDED = 4
"""Digits after the point that count."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a number of a run."""

    title: str
    unit: str
    most: float
    measured: Callable[[Results], float | None]
    """The number; None where the run does not tell it."""
    services: int | None = None
    """With how many RayServices it is meant; None with any number."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run makes of a goal."""

    goal: Goal
    measured: float | None
    is_met: bool | None
    """None where nothing was measured, or with another number of RayServices."""

    def as_json(self) -> dict[str, Any]:
        """The verdict for a file."""
        return {
            "goal": self.goal.title,
            "unit": self.goal.unit,
            "most": self.goal.most,
            "services": self.goal.services,
            "measured": self.measured,
            "met": self.is_met,
        }


def verdicts(results: Results, other: Results | None = None) -> list[Verdict]:
    """Judge a run, and how it grows beside a run with fewer RayServices."""
    goals = [*GOALS, *(_growth(other) if other is not None else ())]
    return [_judged(goal, results) for goal in goals]


def _judged(goal: Goal, results: Results) -> Verdict:
    measured = goal.measured(results)
    is_asked = measured is not None and goal.services in (None, results.services)
    return Verdict(goal, measured, round(measured or 0, ROUNDED) <= goal.most if is_asked else None)


def _effect(outcome: Outcome | None, name: str) -> Effect | None:
    return outcome.effects.get(name) if outcome else None


def _of(scenario: str, effect: str, number: str) -> Callable[[Results], float | None]:
    """A number of an effect."""

    def measured(results: Results) -> float | None:
        found = _effect(results.scenarios.get(scenario), effect)
        return getattr(found, number) if found else None

    return measured


def _used(scenario: str, number: Callable[[Usage], float]) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        outcome = results.scenarios.get(scenario)
        return number(outcome.usage) if outcome and outcome.usage else None

    return measured


def _noted(scenario: str, note: str) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        outcome = results.scenarios.get(scenario)
        return outcome.notes.get(note) if outcome else None

    return measured


def _over_the_floor(results: Results) -> float | None:
    mine, floor = (_effect(found.get("single"), played.PODS_EXIST) for found in (results.scenarios, results.floor))
    return mine.p50 - floor.p50 if mine and floor and mine.p50 and floor.p50 else None


def _ratio_to_the_floor(scenario: str, effect: str) -> Callable[[Results], float | None]:
    def measured(results: Results) -> float | None:
        mine, floor = (_effect(found.get(scenario), effect) for found in (results.scenarios, results.floor))
        return mine.ratio(floor) if mine else None

    return measured


def _slowed_by_heads_that_hang(results: Results) -> float | None:
    before, during = (_effect(results.scenarios.get("hang"), name) for name in ("no head hangs", "half of them hang"))
    return during.p99 / before.p99 if before and during and before.p99 and during.p99 else None


def kb_for_each(results: Results) -> float | None:
    """Memory at rest for each RayService, beyond what the operator had before there were any."""
    before, at_rest = _noted("create", "MB before")(results), _used("rest", lambda usage: usage.rss_mb)(results)
    return (at_rest - before) * 1024 / results.services if before is not None and at_rest is not None else None


def _growth(other: Results) -> Iterator[Goal]:
    for scenario, effect in (("create", played.READY), ("rollout", played.SWITCHED)):

        def measured(results: Results, scenario: str = scenario, effect: str = effect) -> float | None:
            mine, theirs = (_of(scenario, effect, "total")(one) for one in (results, other))
            return (mine / results.services) / (theirs / other.services) if mine and theirs else None

        title = f"{scenario} → {effect}: time per service, to that of {other.services} services"
        yield Goal(title, "times", 1.3, measured, 1000)


GOALS: Sequence[Goal] = (
    Goal("one alone → pods exist", "s", 0.5, _of("single", played.PODS_EXIST, "p50")),
    Goal("one alone → pods exist, over the floor", "s", 0.3, _over_the_floor),
    Goal("create all → pods exist, to the floor", "times", 1.5, _ratio_to_the_floor("create", played.PODS_EXIST), 100),
    Goal("create all → Ready", "s", 80, _of("create", played.READY, "total"), 1000),
    Goal("rollout of all → switched", "s", 12, _of("rollout", played.SWITCHED, "total"), 100),
    Goal("at rest: writes", "", 0, _used("rest", lambda usage: usage.writes)),
    Goal("at rest: requests to Ray", "/s", 10, _used("rest", lambda usage: usage.ray_per_second), 100),
    Goal("at rest: requests to Ray", "/s", 100, _used("rest", lambda usage: usage.ray_per_second), 1000),
    Goal("at rest: CPU", "% of a core", 5, _used("rest", lambda usage: usage.cpu_share), 100),
    Goal("UNHEALTHY → in the status, median", "s", 6, _of("rest", played.TOLD, "p50"), 100),
    Goal("UNHEALTHY → in the status, p99", "s", 15, _of("rest", played.TOLD, "p99"), 100),
    Goal("memory at rest", "MB", 110, _used("rest", lambda usage: usage.rss_mb), 100),
    Goal("memory at rest", "MB", 250, _used("rest", lambda usage: usage.rss_mb), 1000),
    Goal("half of the heads hang: p99 of the others' edits", "times", 1.3, _slowed_by_heads_that_hang, 100),
    Goal("restart: writes", "", 0, _noted("restart", "writes for the others")),
    Goal("restart: PUTs", "", 0, _noted("restart", "PUTs to the others")),
    Goal("restart → ready to act", "s", 10, _of("restart", played.SENT, "p50"), 1000),
)
