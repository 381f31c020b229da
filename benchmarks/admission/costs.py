"""What a run found: numbers out of times, buckets and memory, and the table and the page that tell them. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.measures import percentile
from rayserve_operator.adapters.metrics import REVIEW_SECONDS

Buckets = Counter[float]
"""How many reviews took so many seconds or less, by the histogram's bounds."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long many requests took, in seconds."""

    requests: int
    p50: float | None
    p99: float | None
    most: float | None

    @classmethod
    def of(cls, took: Iterable[float]) -> Latency:
        """Sum them up; percentiles are by nearest rank."""
        ordered = sorted(took)
        count = len(ordered)
        p50, p99, most = (percentile(ordered, share, of=count) for share in (0.5, 0.99, 1.0))
        return cls(count, p50, p99, most)


@dataclass(frozen=True, slots=True)
class Applied:
    """Requests of one kind, with the webhook and without."""

    title: str
    reviewed: Latency
    plain: Latency


@dataclass(frozen=True, slots=True)
class Memory:
    """The operator's, after so many reviews, in MB."""

    reviews: int
    rss: float
    peak: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What came of a run."""

    began: str
    commit: str
    cores: int
    load: float
    """Processes that wanted to run in the minute before, on average: what else the machine had to do."""
    clients: int
    bytes: int
    """Size of a manifest, as JSON."""
    applied: Sequence[Applied]
    review_p50: float | None
    """By the webhook's own histogram, in which each second lies somewhere in its bucket; as review_p99."""
    review_p99: float | None
    memory: Sequence[Memory]
    """Before the first review, and after each round of them."""
    cpu_seconds: float
    """Of the operator, for all reviews."""
    wrong: int
    """Reviews that did not end as they had to."""
    first_wrong: Sequence[str] = ()
    """Words of some of them."""


def buckets_of(text: str) -> Buckets:
    """The histogram of reviews out of the operator's metrics, whatever came of them."""
    found: Buckets = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{REVIEW_SECONDS.name}_bucket":
                found[float(sample.labels["le"])] += int(sample.value)
    return found


def counts_since(before: Buckets, after: Mapping[float, int]) -> Buckets:
    """What was added to a histogram. Bounds stay, also where nothing was."""
    return Counter({bound: count - before[bound] for bound, count in after.items()})


def quantile(buckets: Buckets, share: float) -> float | None:
    """What this share of all values does not exceed, evenly spread in their bucket, as Prometheus reckons it.

    None where there are no values, or where it lies above the last finite bound.
    """
    wanted = share * buckets[math.inf]
    lower, below = 0.0, 0
    for bound in sorted(buckets):
        upto = buckets[bound]
        if upto >= wanted and upto > below:
            return None if math.isinf(bound) else lower + (bound - lower) * (wanted - below) / (upto - below)
        lower, below = bound, upto
    return None


def lines(cost: Cost) -> Iterator[str]:
    """All of it in Markdown."""
    yield f"{cost.clients} clients at once, {cost.cores} cores, manifests of {cost.bytes / 1000:.0f} kB:"
    yield ""
    yield "| applied | without the webhook: p50, p99 | with it: p50, p99 | requests each |"
    yield "|---|--:|--:|--:|"
    for one in cost.applied:
        plain, reviewed = one.plain, one.reviewed
        yield f"| {one.title} | {_pair(plain)} | {_pair(reviewed)} | {reviewed.requests} |"
    yield ""
    p50, p99 = _ms(cost.review_p50), _ms(cost.review_p99)
    yield f"- in the webhook itself, by its histogram: {p50} at the median, {p99} at p99"
    for_each = 1000 * cost.cpu_seconds / cost.memory[-1].reviews
    yield f"- the operator's CPU: {for_each:.1f} ms for each review, with all else that it did meanwhile"
    told = ", ".join(f"{one.rss:.0f} MB after {one.reviews:,}" for one in cost.memory)
    yield f"- the operator's memory: {told} reviews; {max(one.peak for one in cost.memory):.0f} MB at most"
    yield f"- reviews that did not end as they had to: {cost.wrong}"
    yield f"- at {cost.commit}, {cost.began}, load {cost.load:.1f} before"


def _pair(latency: Latency) -> str:
    return f"{_ms(latency.p50)}, {_ms(latency.p99)}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"
