from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.engine import lease
from rayserve_operator.engine.lease import DURATION, RENEW_DEADLINE, RETRY, Sighting
from rayserve_operator.model.lease import NOBODY, Record

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
HELD = Record("a", timedelta(seconds=15), "acquired", "renewed", 3, "7")


def manifest(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


@pytest.mark.parametrize(
    ("holder", "now", "free_in"), [("a", 0, 0), (NOBODY, 0, 0), ("b", 4, 11), ("b", 15, 0), ("b", 99, 0)]
)
def test_a_lease_is_free_once_its_own_time_has_passed_without_a_renewal(
    holder: str, now: float, free_in: float
) -> None:
    record = Record(holder, timedelta(seconds=15), "", "", 0)
    assert lease.free_in(Sighting(record, 0), "a", now) == timedelta(seconds=free_in)


def test_no_lease_is_free() -> None:
    assert not lease.free_in(Sighting(None, 0), "a", 0)


def test_only_a_renewal_makes_a_lease_last() -> None:
    seen = Sighting(HELD, 1)
    relabelled = Record.parse({**manifest(**HELD.spec()), "metadata": {"resourceVersion": "8"}})
    assert seen.then(relabelled, 5).since == 1
    assert seen.then(lease.claimed(HELD, "a", NOW), 5).since == 5


def test_to_keep_a_lease_is_no_transition() -> None:
    kept, taken = lease.claimed(HELD, "a", NOW), lease.claimed(HELD, "b", NOW)
    assert (kept.holder, kept.acquired, kept.transitions) == ("a", HELD.acquired, 3)
    assert (taken.holder, taken.acquired, taken.transitions) == ("b", taken.renewed, 4)
    assert taken.renewed == kept.renewed == "2026-01-02T03:04:05.000678Z"


def test_a_leader_stops_before_another_one_may_start() -> None:
    assert RETRY * 2 < RENEW_DEADLINE < DURATION
