"""The start, where the API server is not there yet, or not yet as it has to be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from rayserve_operator.engine.insistence import PAUSE, insist
from rayserve_operator.engine.operator import RELISTED_EVERY, Operator
from rayserve_operator.engine.ports import Clock, Kube, Listing, Ray
from rayserve_operator.model.errors import Disconnected, NotFound, OperatorError, Refused, Unavailable
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render.options import RenderOptions
from tests.sim.virtual_time import run, wait

from ..builders import NOW

AWAY = Disconnected("no answer to GET /apis/ray.io/v1/rayservices")
FORBIDDEN = Refused("GET /apis/ray.io/v1/rayservices: forbidden")


async def insisted(*errors: Exception) -> float:
    """The seconds until a step succeeds that first fails so."""
    left = list(errors)

    async def step() -> float:
        if left:
            raise left.pop(0)
        return asyncio.get_running_loop().time()

    return await insist(step)


def test_it_is_tried_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    assert run(insisted()) == 0
    assert not caplog.records
    assert run(insisted(AWAY, AWAY, FORBIDDEN)) == 3 * PAUSE.total_seconds()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AWAY, "network policies"),
        (FORBIDDEN, "roles"),
        (Unavailable("GET /apis: Unauthorized"), "Unauthorized"),
        (NotFound("install the CRDs first"), "CRDs"),
    ],
)
def test_the_log_says_what_is_wrong_and_where_to_look(
    error: OperatorError, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(insisted(error, error, error))
    [told] = caplog.messages
    assert str(error) in told
    assert words in told


def test_what_is_wrong_is_told_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    run(insisted(AWAY, AWAY, FORBIDDEN, FORBIDDEN, AWAY))
    told = zip((AWAY, FORBIDDEN, AWAY), caplog.messages, strict=True)
    assert all(str(error) in message for error, message in told)


def test_what_nobody_expected_is_not_waited_out() -> None:
    with pytest.raises(ZeroDivisionError):
        run(insisted(ZeroDivisionError()))


class Unsteady:
    """An API server that lists no RayClusters until it is up, and then nothing is left."""

    def __init__(self) -> None:
        self.is_up = False

    def now(self) -> Any:
        return NOW

    async def everything(self, kind: Kind) -> AsyncIterator[dict[str, Any]]:
        if self.is_up:
            return
        if kind is Kind.RAY_CLUSTER:
            raise AWAY
        if kind is Kind.RAY_SERVICE:
            metadata = {"name": "demo", "namespace": "default", "uid": "s", "resourceVersion": "1", "generation": 1}
            yield {"metadata": metadata, "spec": {}}

    async def living(self, kind: Kind) -> Listing:
        if not self.is_up:
            raise AWAY
        return Listing(frozenset(), "9")

    async def schema(self, kind: Kind) -> dict[str, Any]:
        raise NotFound(kind)


def on(kube: Unsteady) -> Operator:
    return Operator(cast("Kube", kube), cast("Ray", None), cast("Clock", kube), RenderOptions(), manage="marked")


def test_it_is_not_ready_before_and_knows_nothing_then_that_is_gone() -> None:
    async def tell() -> None:
        kube = Unsteady()
        operator = on(kube)
        opening = asyncio.create_task(operator.open())
        await wait(PAUSE.total_seconds() * 10.5)
        assert not operator.is_ready
        assert [*operator.store.uids()] == ["s"]
        kube.is_up = True
        await opening
        assert operator.is_ready
        assert not [*operator.store.uids()]
        await operator.close()

    run(tell())


def test_listings_that_fail_are_told_once_and_so_is_their_end(caplog: pytest.LogCaptureFixture) -> None:
    async def tell() -> None:
        kube = Unsteady()
        kube.is_up = True
        operator = on(kube)
        await operator.open()
        for is_up in (False, True):
            kube.is_up = is_up
            await wait(RELISTED_EVERY.total_seconds() + 60)
        await operator.close()

    with caplog.at_level(logging.INFO):
        run(tell())
    assert [message for message in caplog.messages if "listed again" in message or "list what" in message] == [
        f"Could not list what there is, and tries again: {AWAY}",
        "What there is has been listed again",
    ]


def test_what_is_told_to_end_while_it_waits_ends() -> None:
    async def tell() -> None:
        opening = asyncio.create_task(on(Unsteady()).open())
        await wait(PAUSE.total_seconds() * 2.5)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    run(tell())
