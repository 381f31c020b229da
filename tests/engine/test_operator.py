"""What the operator as a whole does first, and what it doubts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rayserve_operator.engine.listings import PAUSE
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.passes import Passes
from rayserve_operator.engine.ports import Kube, Listing, Ray
from rayserve_operator.model.errors import NotFound
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render.options import RenderOptions
from tests.engine.looks import Looks

EDITED = 3


class Many:
    """An API server with five RayServices, of which one has been edited since an operator last looked."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.lists = 0

    def now(self) -> datetime:
        return self.time

    @property
    def services(self) -> list[dict[str, Any]]:
        return [
            {
                "metadata": {"name": f"demo-{number}", "namespace": "default", "uid": f"s{number}",
                             "resourceVersion": str(number), "generation": 2 if number == EDITED else 1},
                "spec": {},
                "status": {"observedGeneration": 1},
            }
            for number in range(5)
        ]  # fmt: skip

    async def everything(self, kind: Kind) -> AsyncIterator[dict[str, Any]]:
        for found in self.services if kind is Kind.RAY_SERVICE else ():
            yield found

    async def living(self, kind: Kind) -> Listing:
        self.lists += kind is Kind.RAY_SERVICE
        uids = [found["metadata"]["uid"] for found in self.services] if kind is Kind.RAY_SERVICE else []
        return Listing(frozenset(uids), "9")

    async def schema(self, kind: Kind) -> dict[str, Any]:
        raise NotFound(kind)


@pytest.fixture
async def many() -> Many:
    return Many()


@pytest.fixture
async def looks() -> Looks:
    return Looks()


@pytest.fixture
async def operator(many: Many, looks: Looks) -> AsyncIterator[Operator]:
    found = Operator(cast("Kube", many), cast("Ray", None), many, RenderOptions(), manage="marked")
    found.passes = cast("Passes", looks)
    await found.open()
    yield found
    await found.close()


async def settle(operator: Operator) -> None:
    """Let all passes end, and a relisting that is under way."""
    while not operator.loop.is_idle or operator._relisting is not None:
        tasks = [turn.task for turn in operator.loop._turns.values() if turn.task]
        await asyncio.gather(*tasks, *([operator._relisting] if operator._relisting else []))


async def test_what_was_edited_meanwhile_is_looked_at_first(operator: Operator, looks: Looks) -> None:
    await settle(operator)
    assert looks.found[0].name == f"demo-{EDITED}"
    assert len(looks.found) == 5


async def test_a_listing_that_is_told_slowly_raises_no_doubt(operator: Operator, many: Many) -> None:
    for found in many.services:
        many.time += PAUSE * 0.9
        operator.saw(Kind.RAY_SERVICE, None, found)
    assert operator.is_ready
    assert many.lists == 0


async def test_a_second_listing_makes_it_look_for_what_is_gone(operator: Operator, many: Many) -> None:
    for found in (*many.services, *many.services):
        operator.saw(Kind.RAY_SERVICE, None, found)
    assert not operator.is_ready
    await settle(operator)
    assert operator.is_ready
    assert many.lists == 1
