from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.goals import verdicts
from benchmarks.measures import Effect, Outcome, Results, Usage
from benchmarks.scenarios import PODS_EXIST, READY


def effect(seconds: float) -> Effect:
    return Effect(wanted=1, came=1, p50=seconds, p99=seconds, most=seconds, total=seconds)


def results(services: int = 100, *, ready: float = 20.0) -> Results:
    at_rest = Usage(60, {}, {"get pods": 1}, {"GET /": 570}, cpu_seconds=2.4, rss_mb=120, peak_mb=130)
    return Results(
        services,
        "python -m operator",
        "2026-01-01T00:00:00Z",
        cores=2,
        load=0.5,
        scenarios={
            "single": Outcome({PODS_EXIST: effect(0.4)}),
            "create": Outcome({PODS_EXIST: effect(3.0), READY: effect(ready)}, notes={"MB before": 70.0}),
            "rest": Outcome(usage=at_rest),
        },
        floor={"single": Outcome({PODS_EXIST: effect(0.15)}), "create": Outcome({PODS_EXIST: effect(2.5)})},
    )


def judged(of: Results, other: Results | None = None) -> dict[tuple[str, int | None], tuple[float | None, bool | None]]:
    return {(v.goal.title, v.goal.services): (v.measured, v.is_met) for v in verdicts(of, other)}


def test_goals_are_met_or_missed() -> None:
    found = judged(results())
    assert found["one alone → pods exist", None] == (0.4, True)
    assert found["one alone → pods exist, over the floor", None] == (0.25, True)
    assert found["create all → pods exist, to the floor", 100] == (1.2, True)
    assert found["memory at rest", 100] == (120, False)
    assert found["at rest: writes", None] == (0, True)
    assert found["at rest: requests to Ray", 100] == (9.5, True)


def test_a_goal_for_another_number_is_told_and_not_judged() -> None:
    assert judged(results())["create all → Ready", 1000] == (20.0, None)


def test_what_was_not_measured_is_not_judged() -> None:
    assert judged(results())["UNHEALTHY → in the status, p99", 100] == (None, None)


def test_growth_is_by_the_service() -> None:
    found = judged(results(1000, ready=280.0), results(100, ready=20.0))
    measured, is_met = found["create → Ready: time per service, to that of 100 services", 1000]
    assert measured == pytest.approx(1.4)
    assert is_met is False


def test_results_survive_their_file(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    report.write(file, results(), verdicts(results()))
    assert report.read(file) == results()


def test_an_effect_that_never_came_is_told() -> None:
    lost = Effect(wanted=4, came=3, p50=1.0, p99=None, most=None, total=None)
    assert report.effect_row("Ready", lost, effect(0.5)) == (
        "→ Ready (1 of 4 never)",
        "1.00 s",
        "-",
        "-",
        "-",
        "0.500 s",
        "0.500 s",
        "",
    )
