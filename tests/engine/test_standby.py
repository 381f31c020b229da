"""Standing by for KubeRay, where the API server does not tell whether it is there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.standby import LOOKED_AT_EVERY, Standby
from rayserve_operator.model.errors import OperatorError, Refused, Unavailable
from rayserve_operator.planning.leases import KUBERAY_LEASE
from scenarios.harness import kuberay
from tests.sim.virtual_time import run, wait

from ..builders import NOW

PAUSE = LOOKED_AT_EVERY.total_seconds()


class Leases:
    """A Kube that shows Leases one look after the other, the last ones for ever."""

    def __init__(self, *looks: list[Any] | OperatorError) -> None:
        self.looks = list(looks)
        self.count = 0

    async def leases(self, name: str) -> list[Any]:
        assert name == KUBERAY_LEASE
        look = self.looks[min(self.count, len(self.looks) - 1)]
        self.count += 1
        if isinstance(look, OperatorError):
            raise look
        return look

    def now(self) -> Any:
        return NOW


LEADS = [kuberay.lease(NOW.isoformat())]


def told(leases: Leases) -> list[bool]:
    """What is told in three looks."""
    heard: list[bool] = []

    async def tell() -> None:
        standby = Standby(cast("Kube", leases), leases, heard.append)
        await standby.open()
        await wait(2.5 * PAUSE)
        await standby.close()
        await wait(2 * PAUSE)

    run(tell())
    return heard


def test_it_is_told_that_kuberay_begins_and_ends_to_lead() -> None:
    assert told(Leases([], LEADS, [])) == [True, False]
    assert told(Leases(LEADS)) == [True]


def test_a_look_without_an_answer_changes_nothing_and_another_follows() -> None:
    leases = Leases(LEADS, Unavailable("down"), LEADS)
    assert told(leases) == [True]
    assert leases.count == 3


def test_who_may_not_look_takes_it_that_nobody_leads() -> None:
    leases = Leases(Refused("forbidden"))
    assert told(leases) == []
    assert leases.count == 1


def test_nothing_is_begun_before_the_first_look_has_an_answer() -> None:
    with pytest.raises(Unavailable):
        told(Leases(Unavailable("down")))
