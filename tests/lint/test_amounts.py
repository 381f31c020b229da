"""Packing: what `left_over` says against all ways there are, and the arithmetic of shared GPUs."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.advice.amounts import Amounts, Demand, Pod, Pods, left_over, room_beside

NAMES = st.sampled_from("abc")


def pod(cpus: int, gpus: int = 0, memory: int | None = None) -> Pod:
    return Pod(Decimal(cpus), None if memory is None else Decimal(memory), {}, (Decimal(1),) * gpus)


def needs(cpus: float, gpus: float = 0, memory: int = 0) -> Amounts:
    return Amounts(Decimal(str(cpus)), Decimal(str(gpus)), Decimal(memory))


@pytest.mark.parametrize(
    ("share", "gpus", "room"), [(0.25, 1, 4), (0.4, 1, 2), (0.4, 2, 4), (0.5, 3, 6), (1, 3, 3), (2, 3, 1), (0.3, 0, 0)]
)
def test_a_share_of_a_gpu_is_a_share_of_one(share: float, gpus: int, room: int) -> None:
    assert pod(0, gpus).room(needs(0, share), 100) == room


def test_a_whole_gpu_is_one_that_nobody_shares() -> None:
    shared = pod(8, 2).without(needs(1, 0.5), 1)
    assert shared.room(needs(1, 1), 10) == 1
    assert shared.room(needs(1, 0.5), 10) == 3


def test_an_unknown_amount_never_runs_out() -> None:
    assert Pod(None, None, None).room(Amounts(Decimal(4), Decimal(0), Decimal(10), {"x": Decimal(1)}), 7) == 7
    assert Pod(None, None, {}).room(Amounts(others={"x": Decimal(1)}), 7) == 0


def test_a_billion_replicas_take_no_longer_than_one() -> None:
    demands = [Demand("a", needs(0.5), 10**9), Demand("b", needs(0), 10**9)]
    assert left_over(demands, [Pods(pod(4), 10**8)]) == {"a": 2 * 10**8}


@given(
    demands=st.lists(
        st.builds(Demand, NAMES, st.builds(needs, st.integers(0, 3), st.just(0), st.integers(0, 3)), st.integers(1, 2)),
        max_size=3,
    ),
    pods=st.lists(st.builds(pod, st.integers(1, 4), st.just(0), st.integers(1, 4)), min_size=1, max_size=3),
)
def test_what_fits_by_packing_fits_in_truth(demands: list[Demand], pods: list[Pod]) -> None:
    ours = sum(left_over(demands, [Pods(one, 1) for one in pods]).values())
    each = tuple((int(d.needs.cpus), int(d.needs.memory)) for d in demands for _ in range(d.count))
    best = least_left(each, tuple(sorted((int(p.cpus or 0), int(p.memory or 0)) for p in pods)))
    assert best <= ours
    if not best and len({str(d.needs) for d in demands}) <= 1:
        assert ours == 0  # With replicas of one size, packing is exact.


@lru_cache(maxsize=10_000)
def least_left(replicas: tuple[tuple[int, int], ...], pods: tuple[tuple[int, int], ...]) -> int:
    if not replicas:
        return 0
    (cpus, memory), rest = replicas[0], replicas[1:]
    options = [1 + least_left(rest, pods)]
    for index, free in enumerate(pods):
        if cpus <= free[0] and memory <= free[1]:
            after = (*pods[:index], (free[0] - cpus, free[1] - memory), *pods[index + 1 :])
            options.append(least_left(rest, tuple(sorted(after))))
    return min(options)


def test_room_beside_others_is_what_they_leave() -> None:
    others = [Demand("b", needs(2), 2)]
    assert room_beside(Demand("a", needs(1), 100), others, [Pods(pod(4), 3)]) == 8
