import pytest

from benchmarks.measures import Effect, Outcome, Results, Usage
from benchmarks.pages import END, begin, placed, tables


def run(services: int, seconds: float) -> Results:
    """A run whose floor takes two seconds."""

    def outcome(total: float, usage: Usage | None = None) -> dict[str, Outcome]:
        return {"create": Outcome({"Ready": Effect.of({"a": 0.0}, {"a": total})}, usage)}

    usage = Usage(60, {"create pods": 300, "get pods": 100}, {}, {"GET /": 50}, 2.0, rss_mb=90.4, peak_mb=99)
    return Results(services, "x", "", 2, 0.5, outcome(seconds, usage), outcome(2.0))


def test_every_run_tells_how_soon_and_for_what() -> None:
    told = tables([run(1000, seconds=90.0), run(100, seconds=3.0)]).splitlines()
    assert [line for line in told if "create all → Ready |" in line] == [
        "| create all → Ready | 100 | 3.00 s | 3.00 s | 3.00 s | 1.50 |",
        "| create all → Ready | 1,000 | 90.00 s | 90.00 s | 90.00 s | 45.00 |",
        "| create all → Ready | 1,000 | 80 s | 90 s | **missed** |",
    ]
    assert "| create all | 100 | 4.0 | 3.0 | 0.5 | 20 ms | 90 MB |" in told


def test_the_run_with_the_fewest_is_what_the_others_are_compared_with() -> None:
    told = tables([run(1000, seconds=36.0), run(100, seconds=3.0)])
    assert "| create → Ready: time per service, to that of 100 services | 1,000 | 1.3 times | 1.2 times | met |" in told


def test_a_page_is_told_anew_in_the_same_place() -> None:
    page = f"before\n{begin('make bench')}\n{END}\nafter\n"
    once = placed(page, "make bench", "| a \\1 |")
    assert once == f"before\n{begin('make bench')}\n| a \\1 |\n{END}\nafter\n"
    assert placed(once, "make bench", "b") == f"before\n{begin('make bench')}\nb\n{END}\nafter\n"
    with pytest.raises(ValueError, match="no <!--"):
        placed(page, "make bench-admission", "b")
