"""Every condition, and every reason that the operator can give, is explained in the reference, and no others are."""

from collections.abc import Iterable

from rayserve_operator.model.conditions import ClusterCondition, ServiceCondition

from .found import reasons
from .meanings import EVENTS_OF_CLUSTERS, EVENTS_OF_SERVICES, OF_CLUSTERS, OF_SERVICES, Reason


def told(conditions: Iterable[tuple[Reason, ...]]) -> set[str]:
    return {reason.reason for one in conditions for reason in one}


def test_every_condition_is_explained() -> None:
    assert OF_SERVICES.keys() == set(ServiceCondition)
    assert OF_CLUSTERS.keys() == set(ClusterCondition)


def test_the_reasons_of_conditions_are_those_that_are_given() -> None:
    assert told((*OF_SERVICES.values(), *OF_CLUSTERS.values())) == reasons("Fact")


def test_the_reasons_of_events_are_those_that_are_given() -> None:
    assert EVENTS_OF_SERVICES.keys() | EVENTS_OF_CLUSTERS.keys() == reasons("Announcement")
