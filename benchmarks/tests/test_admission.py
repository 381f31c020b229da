import math
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.admission.costs import (
    Applied,
    Cost,
    Latency,
    Memory,
    buckets_of,
    counts_since,
    lines,
    quantile,
)
from benchmarks.admission.kinds import Kind, kinds, ray_service
from rayserve_operator.adapters.counting import Counts
from rayserve_operator.advice.findings import Door, Level
from rayserve_operator.advice.inspection import inspect
from scenarios.harness import manifests

BUCKETS = Counter({0.1: 0, 0.2: 50, 0.4: 98, math.inf: 100})


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.title)
def test_only_what_is_to_be_refused_by_its_rules_is(kind: Kind) -> None:
    manifest = manifests.with_spec(ray_service("made", "reviewed"), **kind.spec)
    found = {one.problem.code for one in inspect(manifest, Door.ADMISSION) if one.level is Level.ERROR}
    # What RS404 names is found by the API server, as it tries pods.
    assert found == {kind.code} - {"", "RS404"}


def test_an_answer_is_right_by_the_rule_that_it_names() -> None:
    good, bad = Kind("good", {}), Kind("bad", {}, "RS105")
    assert good.is_answered_by(None)
    assert bad.is_answered_by("denied the request: RS105 spec.serveConfigV2")
    assert not good.is_answered_by("failed calling webhook")
    assert not bad.is_answered_by("failed calling webhook")
    assert not bad.is_answered_by(None)


@pytest.mark.parametrize(("share", "seconds"), [(0.25, 0.15), (0.5, 0.2), (0.74, 0.3), (0.98, 0.4), (0.99, None)])
def test_quantiles_lie_evenly_in_their_buckets(share: float, seconds: float | None) -> None:
    assert quantile(BUCKETS, share) == (None if seconds is None else pytest.approx(seconds))


def test_without_reviews_there_is_no_quantile() -> None:
    assert quantile(Counter({0.1: 0, math.inf: 0}), 0.5) is None


def test_reviews_are_counted_whatever_came_of_them_and_only_since() -> None:
    registry = CollectorRegistry()
    counts = Counts(registry)
    counts.reviewed("allowed", 0.02)
    before = buckets_of(generate_latest(registry).decode())
    counts.reviewed("refused", 0.02)
    counts.reviewed("allowed", 0.3)
    since = counts_since(before, buckets_of(generate_latest(registry).decode()))
    assert (since[0.01], since[0.025], since[0.5], since[math.inf]) == (0, 1, 2, 2)


def cost() -> Cost:
    took = Latency.of([0.01, 0.02, 0.03])
    return Cost(
        began="2030-01-01T00:00:00Z",
        commit="abc",
        cores=2,
        load=0.5,
        clients=50,
        bytes=11_400,
        applied=[Applied("a good one", took, Latency.of([]))],
        review_p50=0.0123,
        review_p99=None,
        memory=[Memory(0, 60.4, 61.0), Memory(1000, 70.0, 72.6)],
        cpu_seconds=5.0,
        wrong=0,
    )


def test_a_table_tells_what_is_not_known_by_a_dash() -> None:
    told = list(lines(cost()))
    assert "| a good one | -, - | 20 ms, 30 ms | 3 |" in told
    assert "- in the webhook itself, by its histogram: 12 ms at the median, - at p99" in told
    assert "- the operator's CPU: 5.0 ms for each review, with all else that it did meanwhile" in told
    assert "- the operator's memory: 60 MB after 0, 70 MB after 1,000 reviews; 73 MB at most" in told
