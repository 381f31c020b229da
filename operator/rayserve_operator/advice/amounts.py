"""What a pod has and a replica takes, and how replicas are packed into pods as Ray would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import permutations
from typing import Self

from typing_extensions import override

_ZERO = Decimal(0)
_GIB = Decimal(1024) ** 3
_MIB = Decimal(1024) ** 2


@dataclass(frozen=True, slots=True)
class Amounts:
    """Resources as Ray counts them."""

    cpus: Decimal = _ZERO
    gpus: Decimal = _ZERO
    memory: Decimal = _ZERO
    """Bytes."""
    others: Mapping[str, Decimal] = field(default_factory=dict)

    @override
    def __str__(self) -> str:
        named = [
            *([_count(self.cpus, "CPU")] if self.cpus else []),
            *([_count(self.gpus, "GPU")] if self.gpus else []),
            *([size(self.memory)] if self.memory else []),
            *(f"{_plain(amount)} {name}" for name, amount in sorted(self.others.items()) if amount),
        ]
        return ", ".join(named) or "nothing"

    def plus(self, other: Self) -> Self:
        """Both together."""
        names = self.others.keys() | other.others.keys()
        return replace(
            self,
            cpus=self.cpus + other.cpus,
            gpus=self.gpus + other.gpus,
            memory=self.memory + other.memory,
            others={name: self.others.get(name, _ZERO) + other.others.get(name, _ZERO) for name in names},
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """What is free in a pod; None is an amount that only the node will tell, and that never runs out."""

    cpus: Decimal | None
    memory: Decimal | None
    others: Mapping[str, Decimal] | None
    gpus: tuple[Decimal, ...] = ()
    """Each GPU by itself, because a replica that takes a part of one takes it of one."""

    def room(self, needs: Amounts, wanted: int) -> int:
        """How many replicas of these needs go in, as far as they are wanted."""
        bounds = [wanted]
        for free, need in ((self.cpus, needs.cpus), (self.memory, needs.memory)):
            if free is not None and need:
                bounds.append(int(free // need))
        if self.others is not None:
            bounds += [int(self.others.get(name, _ZERO) // need) for name, need in needs.others.items() if need]
        if needs.gpus:
            bounds.append(sum(_shares(free, needs.gpus) for free in self.gpus) // max(1, int(needs.gpus)))
        return max(0, min(bounds))

    def without(self, needs: Amounts, count: int) -> Pod:
        """What is left once so many replicas are in."""
        return Pod(
            cpus=None if self.cpus is None else self.cpus - needs.cpus * count,
            memory=None if self.memory is None else self.memory - needs.memory * count,
            others=self.others and {n: free - needs.others.get(n, _ZERO) * count for n, free in self.others.items()},
            gpus=tuple(_taken(self.gpus, needs.gpus, count)),
        )


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods that have the same free."""

    pod: Pod
    count: int


@dataclass(frozen=True, slots=True)
class Demand:
    """Replicas that need the same; `name` tells whose they are."""

    name: str
    needs: Amounts
    count: int


def left_over(demands: Sequence[Demand], pods: Sequence[Pods]) -> Mapping[str, int]:
    """How many of the demands find no room, by name; empty where all do.

    What Ray does depends on who comes first, so the best of several orders counts: what is left is left by all.
    """
    attempts = (_packed(order, pods)[0] for order in _orders(demands))
    return min(attempts, key=lambda left: sum(left.values()))


def room_beside(demand: Demand, others: Sequence[Demand], pods: Sequence[Pods]) -> int:
    """How many of a demand find room once the others are in."""
    rooms = []
    for order in _orders(others):
        _, free = _packed(order, pods)
        left, _ = _packed([demand], free)
        rooms.append(demand.count - left.get(demand.name, 0))
    return max(rooms)


def _size_by(order: Sequence[int]) -> Callable[[Demand], tuple[Decimal, ...]]:
    def key(demand: Demand) -> tuple[Decimal, ...]:
        amounts = (demand.needs.gpus, demand.needs.cpus, demand.needs.memory)
        return tuple(amounts[index] for index in order)

    return key


_SIZES = [_size_by(order) for order in permutations(range(3))]


def _orders(demands: Sequence[Demand]) -> Iterable[Sequence[Demand]]:
    """The demands with the largest first, by each notion of large that makes a difference."""
    orders = (sorted(demands, key=key, reverse=True) for key in _SIZES)
    return {tuple(map(id, order)): order for order in orders}.values()


def _packed(demands: Iterable[Demand], pods: Sequence[Pods]) -> tuple[dict[str, int], list[Pods]]:
    left: dict[str, int] = {}
    free = sorted(pods, key=lambda one: len(one.pod.gpus))  # As Ray: GPUs are kept for who needs them.
    for demand in demands:
        remaining, after = demand.count, []
        for one in free:
            placed, parts = _placed(demand.needs, remaining, one)
            remaining -= placed
            after += parts
        free = after
        if remaining:
            left[demand.name] = left.get(demand.name, 0) + remaining
    return left, free


def _placed(needs: Amounts, wanted: int, pods: Pods) -> tuple[int, list[Pods]]:
    """Put replicas into like pods: some become full, one perhaps half full, the rest stay as they are."""
    each = pods.pod.room(needs, wanted)
    if not each or not pods.count:
        return 0, [pods]
    full = min(pods.count, wanted // each)
    rest = min(each, wanted - full * each) if full < pods.count else 0
    parts = [
        Pods(pods.pod.without(needs, each), full),
        Pods(pods.pod.without(needs, rest), 1 if rest else 0),
        Pods(pods.pod, pods.count - full - (1 if rest else 0)),
    ]
    return full * each + rest, [part for part in parts if part.count]


def _shares(free: Decimal, need: Decimal) -> int:
    """Replicas that share one GPU, or of one that needs whole ones, whether this is one."""
    return int(free == 1) if need >= 1 else int(free // need)


def _taken(gpus: Sequence[Decimal], need: Decimal, count: int) -> Iterator[Decimal]:
    shares = count * max(1, int(need))
    for free in gpus:
        here = min(shares, _shares(free, need)) if need else 0
        shares -= here
        yield free - here * min(need, Decimal(1))


def size(memory: Decimal) -> str:
    """Bytes in the unit that people read."""
    unit, name = (_GIB, "GiB") if memory >= _GIB else (_MIB, "MiB") if memory >= _MIB else (Decimal(1), "bytes")
    return f"{_plain((memory / unit).quantize(Decimal('0.1')))} {name}"


def _count(amount: Decimal, name: str) -> str:
    return f"{_plain(amount)} {name}" + ("s" if amount > 1 else "")


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
