"""How a share of the traffic becomes whole pods."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.planning.service.share import pods_of, share_of, split

from ..builders import NOW, cluster, head, pod


@pytest.mark.parametrize(
    ("serving", "coming", "percent", "expected"),
    [
        (4, 4, 20, (4, 1)),
        (4, 4, 50, (4, 4)),
        (4, 4, 99, (1, 4)),
        (4, 4, 75, (1, 3)),
        (2, 2, 5, (2, 1)),
        (1, 1, 20, (1, 1)),
        (4, 2, 50, (2, 2)),
        (4, 0, 50, (4, 0)),
        (0, 4, 50, (0, 0)),
        (4, 4, 0, (4, 0)),
        (10, 3, 25, (9, 3)),
    ],
)
def test_the_nearest_pair_that_is_not_above_the_share_is_taken(
    serving: int, coming: int, percent: int, expected: tuple[int, int]
) -> None:
    assert split(serving, coming, percent) == expected


@given(serving=st.integers(1, 12), coming=st.integers(1, 12), percent=st.integers(1, 99))
def test_no_pair_is_nearer(serving: int, coming: int, percent: int) -> None:
    wanted = Fraction(percent, 100)
    pairs = [(a, b) for a in range(1, serving + 1) for b in range(1, coming + 1)]
    fitting = [(Fraction(b, a + b), a + b) for a, b in pairs if Fraction(b, a + b) <= wanted]
    kept, added = split(serving, coming, percent)
    assert (Fraction(added, kept + added), kept + added) == max(
        fitting, default=(Fraction(1, serving + 1), serving + 1)
    )


def test_pods_that_take_traffic_already_are_preferred() -> None:
    old = cluster(pods=(head(serve="true"), pod("a", traffic=True), pod("b", traffic=True), pod("c", ready=False)))
    new = cluster("demo-b", pods=(pod("m", "demo-b"), pod("n", "demo-b", traffic=True)))
    assert pods_of("demo", old, new, 30) == {"a", "b", "demo-a-head", "n"}
    assert pods_of("demo", old, new, 34) == {"a", "b", "n"}


def test_of_others_the_first_by_name_are_taken_so_that_every_pass_takes_the_same() -> None:
    old = cluster(pods=(pod("b"), pod("a")))
    for new in (("n", "m"), ("m", "n")):
        coming = cluster("demo-b", pods=tuple(pod(name, "demo-b") for name in new))
        assert pods_of("demo", old, coming, 34) == {"a", "b", "m"}


@pytest.mark.parametrize(
    "noted",
    [
        "",
        "{}",
        "[]",
        "50",
        '{"percent": "many", "since": "2030-01-01T00:00:00+00:00"}',
        '{"percent": 20, "since": 2030}',
        '{"percent": 20, "since": "2030-01-01T00:00:00"}',
        '{"percent": 100, "since": "2030-01-01T00:00:00+00:00"}',
        '{"percent": -1, "since": "2030-01-01T00:00:00+00:00"}',
    ],
)
def test_a_note_that_a_hand_has_spoilt_counts_as_none(noted: str) -> None:
    assert share_of(cluster(notes={"rayserve.ray.io/share": noted})) is None


def test_a_share_is_read_as_it_was_written() -> None:
    noted = cluster(notes={"rayserve.ray.io/share": f'{{"percent": 20, "since": "{NOW.isoformat()}"}}'})
    share = share_of(noted)
    assert share is not None
    assert (share.percent, share.since) == (20, NOW)
    assert share_of(cluster(notes={"rayserve.ray.io/share": share.written})) == share
