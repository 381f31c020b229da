from collections import Counter

import pytest

from benchmarks.measures import Effect, Usage, count_writes, counted_since, percentile, spent_since


@pytest.mark.parametrize(
    ("share", "of", "expected"), [(0.5, 4, 2.0), (0.99, 4, 4.0), (0.5, 8, 4.0), (0.99, 8, None), (0.0, 4, 1.0)]
)
def test_percentiles_are_by_nearest_rank_and_what_never_came_is_greatest(
    share: float, of: int, expected: float | None
) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share, of=of) == expected


def test_an_effect_is_timed_from_its_own_write() -> None:
    effect = Effect.of({"a": 10.0, "b": 11.0}, {"a": 12.0, "b": 11.5})
    assert effect == Effect(wanted=2, came=2, p50=0.5, p99=2.0, most=2.0, total=2.0)


def test_an_effect_that_never_came_leaves_no_total() -> None:
    effect = Effect.of({"a": 10.0, "b": 10.0}, {"a": 12.0})
    assert effect == Effect(wanted=2, came=1, p50=2.0, p99=None, most=None, total=None)


def test_nothing_applied_is_no_effect() -> None:
    assert Effect.of({}, {}) == Effect(wanted=0, came=0, p50=None, p99=None, most=None, total=None)


def test_single_trials_have_no_time_in_all() -> None:
    assert Effect.one_by_one([0.3, 0.1, 0.2]) == Effect(wanted=3, came=3, p50=0.2, p99=0.3, most=0.3, total=None)
    assert Effect.one_by_one([0.3, None]) == Effect(wanted=2, came=1, p50=0.3, p99=None, most=None, total=None)


def test_the_floor_is_compared_by_what_both_tell() -> None:
    assert Effect.of({"a": 0.0}, {"a": 3.0}).ratio(Effect.of({"b": 0.0}, {"b": 2.0})) == 1.5
    assert Effect.one_by_one([0.4]).ratio(Effect.one_by_one([0.1, 0.2, 0.3])) == 2
    assert Effect.one_by_one([0.3, None]).ratio(Effect.one_by_one([0.3])) is None
    assert Effect.one_by_one([0.3]).ratio(None) is None


def test_leases_and_reads_are_no_writes() -> None:
    requests = {"get pods": 9, "update leases": 8, "create pods": 2, "patch rayservices/status": 1, "get ": 4}
    assert count_writes(requests) == 3


def test_only_what_was_added_counts() -> None:
    before, after = Counter({"GET /": 3, "PUT /": 1}), Counter({"GET /": 3, "PUT /": 2, "GET /x": 4})
    assert list(counted_since(before, after).items()) == [("GET /x", 4), ("PUT /", 1)]


def test_what_was_spent_is_told_from_the_most_on() -> None:
    assert list(spent_since({"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 4.0, "c": 2.5}).items()) == [
        ("b", 3.0),
        ("c", 2.5),
        ("a", 1.0),
    ]


def test_rates_are_by_the_time_that_was_measured() -> None:
    usage = Usage(60.0, {}, {}, {"GET /": 540, "PUT /": 60}, cpu_seconds=3.0, rss_mb=80.0, peak_mb=90.0)
    assert usage.ray_per_second == 10.0
    assert usage.cpu_share == 5.0
