"""Conditions as they are carried from one status to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeVar

from rayserve_operator.model.conditions import Condition
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus

DatedStatus = TypeVar("DatedStatus", RayServiceStatus, RayClusterStatus)


UNSUPPORTED = "UnsupportedFields"
"""Reason of a spec that is valid, though not all of it has an effect."""

REFUSED = "ActionRefused"
"""Reason of what stands still because the API server or Ray refuses the next action."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition as it is found now, before it is compared with what stood there."""

    type: StrEnum
    holds: bool | None
    """None where it cannot be known."""
    reason: str
    message: str = ""


def acceptance(type_: StrEnum, gaps: tuple[str, ...]) -> Fact:
    """That a spec is valid, and which of its fields have no effect."""
    if not gaps:
        return Fact(type_, True, "Accepted")
    return Fact(type_, True, UNSUPPORTED, f"accepted, but these have no effect yet: {', '.join(gaps)}")


def carried(before: Iterable[Condition], facts: Iterable[Fact], generation: int, now: datetime) -> list[Condition]:
    """The facts as conditions. A time changes only with its status; conditions of other writers stay."""
    old = {condition.type: condition for condition in before}
    ours, families = {}, set[type[StrEnum]]()
    for fact in facts:
        families.add(type(fact.type))
        status = _STATUS[fact.holds]
        previous = old.get(fact.type)
        since = previous.last_transition_time if previous and previous.status == status else timestamp(now)
        ours[str(fact.type)] = Condition(
            type=str(fact.type),
            status=status,
            reason=fact.reason,
            message=fact.message,
            last_transition_time=since,
            observed_generation=generation,
        )
    known = {str(type_) for family in families for type_ in family}
    return [*ours.values(), *(condition for condition in old.values() if condition.type not in known)]


def replaced(conditions: Iterable[Condition], fact: Fact, generation: int, now: datetime) -> list[Condition]:
    """The conditions with this fact in the place of the one of its type."""
    before = list(conditions)
    [new, *_] = carried(before, [fact], generation, now)
    kept = [condition for condition in before if condition.type != fact.type]
    return [*kept, new]


def dated(status: DatedStatus, before: DatedStatus, now: datetime) -> DatedStatus:
    """The status with the time of its change: the old one unless anything else differs."""
    conditions = [_since(condition, before.conditions) for condition in status.conditions]
    same = status.model_copy(update={"conditions": conditions, "last_update_time": before.last_update_time})
    return same if same == before else same.model_copy(update={"last_update_time": timestamp(now)})


def _since(condition: Condition, before: Iterable[Condition]) -> Condition:
    """The condition with its time of before where its status is that of before, whatever it was on the way."""
    for old in before:
        if (old.type, old.status) == (condition.type, condition.status):
            return condition.model_copy(update={"last_transition_time": old.last_transition_time})
    return condition


def timestamp(now: datetime) -> str:
    """A time as Kubernetes writes it, to the second."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


_STATUS: dict[bool | None, Literal["True", "False", "Unknown"]] = {True: "True", False: "False", None: "Unknown"}
