"""What is written down on objects, and read as what it is."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.notes import record_of, time_of, written

from ..builders import NOW, service_meta


@pytest.mark.parametrize(
    ("noted", "time"),
    [
        (NOW.isoformat(), NOW),
        ("2030-01-01T13:00:00+02:00", NOW - timedelta(hours=1)),
        ("2030-01-01T12:00:00", None),
        ("noon", None),
        (None, None),
    ],
    ids=["as we write it", "of another zone", "of no zone", "no time", "nothing"],
)
def test_a_time_is_read_where_it_is_one(noted: str | None, time: Any) -> None:
    assert time_of(service_meta(notes={} if noted is None else {"key": noted}), "key") == time


@pytest.mark.parametrize(
    ("noted", "record"),
    [('{"a": 1}', {"a": 1}), ("[1]", {}), ("{", {}), (None, {})],
    ids=["a record", "a list", "spoilt", "nothing"],
)
def test_a_record_is_read_where_it_is_one(noted: str | None, record: Any) -> None:
    assert record_of(service_meta(notes={} if noted is None else {"key": noted}), "key") == record


def test_a_record_is_always_written_the_same() -> None:
    assert written({"b": 1, "a": {"d": 2, "c": 3}}) == '{"a": {"c": 3, "d": 2}, "b": 1}'
