"""What a Lease says."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.lease import NOBODY, Record
from scenarios.harness import kuberay

HELD = Record("a", timedelta(seconds=40), "acquired", "renewed", 3)


def manifest(spec: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


def test_a_record_is_what_a_lease_says() -> None:
    assert Record.parse(manifest(HELD.spec())) == HELD
    assert Record.parse(manifest(HELD.spec())).version == "7"


def test_a_lease_is_read_as_kuberay_writes_it() -> None:
    time = "2030-01-01T00:00:00.000000Z"
    found = Record.parse(kuberay.lease(time))
    assert (found.holder, found.duration) == ("kuberay-operator-7d9f_3f1c", timedelta(seconds=15))
    assert found.renewed == time


@pytest.mark.parametrize("spec", [{}, None, {"holderIdentity": None, "renewTime": None}])
def test_a_lease_that_says_nothing_is_nobodys(spec: Any) -> None:
    found = Record.parse(manifest(spec))
    assert (found.holder, found.renewed, found.duration) == (NOBODY, "", timedelta(seconds=15))
