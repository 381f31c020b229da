"""Which of several operators looks after what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.passes import Passes
from rayserve_operator.engine.ports import Kube, Listing, Ray
from rayserve_operator.engine.store import Key
from rayserve_operator.model.errors import NotFound
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions
from tests.engine.looks import Looks

SERVICE = Key(Kind.RAY_SERVICE, "default", "demo")
CLUSTER = Key(Kind.RAY_CLUSTER, "default", "demo-a")


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


class Nothing:
    """An API server that has nothing."""

    async def everything(self, kind: Kind) -> AsyncIterator[dict[str, Any]]:
        nothing: tuple[dict[str, Any], ...] = ()
        for found in nothing:
            yield found

    async def schema(self, kind: Kind) -> dict[str, Any]:
        raise NotFound(kind)

    async def living(self, kind: Kind) -> Listing:
        return Listing(frozenset(), "0")


def manifest(name: str, uid: str, version: int, shard: str | None = None, owner: str | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    metadata["labels"] = {labels.SHARD: shard} if shard else {}
    metadata["generation"] = 1
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"metadata": metadata, "spec": {"headGroupSpec": {"template": {}}}}


class Shard:
    """One operator."""

    def __init__(self, name: str) -> None:
        nothing = cast("Kube", Nothing())
        self.looks = Looks()
        self.operator = Operator(nothing, cast("Ray", None), Clock(), RenderOptions(), shard=name)
        self.operator.passes = cast("Passes", self.looks)

    async def saw(self, kind: Kind, found: dict[str, Any], event: str = "MODIFIED") -> set[Key]:
        """What is looked at because of an event."""
        self.looks.found.clear()
        self.operator.saw(kind, event, found)
        while not self.operator.loop.is_idle:
            await asyncio.gather(*(turn.task for turn in self.operator.loop._turns.values() if turn.task))
        return set(self.looks.found)


async def shard(name: str) -> Shard:
    found = Shard(name)
    await found.operator.open()
    return found


@pytest.mark.parametrize(
    ("name", "label", "is_looked_at"), [("", None, 1), ("", "x", 0), ("x", "x", 1), ("x", None, 0)]
)
async def test_a_shard_looks_after_what_bears_its_name(name: str, label: str | None, *, is_looked_at: bool) -> None:
    found = await shard(name)
    assert (SERVICE in await found.saw(Kind.RAY_SERVICE, manifest("demo", "s", 1, label))) == is_looked_at
    await found.operator.close()


@pytest.mark.parametrize(("name", "is_looked_at"), [("", False), ("x", True)])
async def test_a_cluster_goes_where_its_service_goes(name: str, *, is_looked_at: bool) -> None:
    found = await shard(name)
    await found.saw(Kind.RAY_SERVICE, manifest("demo", "s", 1, "x"))
    seen = await found.saw(Kind.RAY_CLUSTER, manifest("demo-a", "c", 2, owner="s"))
    assert (CLUSTER in seen) == is_looked_at
    await found.operator.close()


async def test_a_cluster_whose_service_is_gone_stays_where_it_was() -> None:
    found = await shard("x")
    service = manifest("demo", "s", 1, "x")
    await found.saw(Kind.RAY_SERVICE, service)
    await found.saw(Kind.RAY_CLUSTER, manifest("demo-a", "c", 2, "x", owner="s"))
    await found.saw(Kind.RAY_SERVICE, service, "DELETED")
    gone = manifest("demo-a", "c", 3, "x", owner="s")
    gone["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"]}
    assert CLUSTER in await found.saw(Kind.RAY_CLUSTER, gone)
    await found.operator.close()


async def test_a_service_that_changes_its_shard_takes_its_clusters_with_it() -> None:
    old, new = await shard(""), await shard("x")
    for one in (old, new):
        await one.saw(Kind.RAY_SERVICE, manifest("demo", "s", 1))
        await one.saw(Kind.RAY_CLUSTER, manifest("demo-a", "c", 2, owner="s"))
    moved = manifest("demo", "s", 3, "x")
    assert await old.saw(Kind.RAY_SERVICE, moved) == set()
    assert await new.saw(Kind.RAY_SERVICE, moved) == {SERVICE, CLUSTER}
    for one in (old, new):
        await one.operator.close()
