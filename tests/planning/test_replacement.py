from datetime import timedelta

import pytest

from rayserve_operator.planning.cluster.replacement import failures_after

from ..builders import NOW, pod


@pytest.mark.parametrize(("minutes", "failures"), [(9.9, 8), (10, 0)])
def test_after_ten_minutes_an_end_is_no_failure(minutes: float, failures: int) -> None:
    ended = pod(phase="Failed", failures=7, age=timedelta(minutes=minutes).total_seconds())
    assert failures_after(ended, NOW) == failures
