"""Replicas that share one Secret and one configuration, in virtual time."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self, cast

import jsonpatch
import pytest

from rayserve_operator.engine.certificates import LOOK, SOON, Keeper
from rayserve_operator.engine.ports import Kube, Pair, Stock
from rayserve_operator.model.errors import NotFound, OperatorError, Superseded, Unavailable
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.certificates import LIFETIME, Authority, Held, bundle
from tests.sim.virtual_time import run, wait

from ..builders import NOW

HOST = "hook.system.svc"


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class Numbered:
    """Certificates that are only their number, and the time at which they begin."""

    def __init__(self) -> None:
        self.made = 0

    def issue(self, name: str, keep: Sequence[Authority], now: datetime) -> Mapping[str, str]:
        self.made += 1
        authority = Authority(f"authority {self.made};", now + LIFETIME)
        return {"is": f"{self.made}", "for": name, "from": now.isoformat(), "ca": bundle((authority, *keep))}

    def read(self, data: Mapping[str, str]) -> Stock | None:
        if not data:
            return None
        begins = datetime.fromisoformat(data["from"])
        authorities = tuple(Authority(f"{one};", begins + LIFETIME) for one in data["ca"].split(";") if one)
        held = Held(frozenset({data["for"]}), begins, begins + LIFETIME, authorities)
        return Stock(held, Pair(data["is"], "key"))


@dataclass
class Api:
    """The Secret, the configuration, and what was written to them."""

    clock: Clock = field(default_factory=Clock)
    workshop: Numbered = field(default_factory=Numbered)
    found: dict[Kind, dict[str, Any]] = field(default_factory=dict)
    writes: list[Kind] = field(default_factory=list)
    trouble: OperatorError | None = None

    def __post_init__(self) -> None:
        webhooks = [{"name": "validate", "clientConfig": {"service": {"name": "hook"}}}]
        self.found[Kind.SECRET] = {"metadata": {"name": "hook", "resourceVersion": "1"}}
        self.found[Kind.WEBHOOK] = {"metadata": {"name": "rays", "resourceVersion": "1"}, "webhooks": webhooks}

    async def get(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        await wait(0.1)
        if self.trouble is not None:
            raise self.trouble
        found = self.found[kind]
        assert (namespace, name) == (("system", "hook") if kind is Kind.SECRET else ("", "rays"))
        return found

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        await wait(0.1)
        try:
            changed: dict[str, Any] = jsonpatch.apply_patch(self.found[kind], list(operations))
        except jsonpatch.JsonPatchTestFailed as error:
            raise Superseded(name) from error
        changed["metadata"]["resourceVersion"] += "1"
        self.found[kind] = changed
        self.writes.append(kind)
        return changed

    @property
    def trusted(self) -> str:
        [webhook] = self.found[Kind.WEBHOOK]["webhooks"]
        return base64.b64decode(webhook["clientConfig"].get("caBundle", "")).decode()


class Replica:
    def __init__(self, api: Api, configuration: str | None = "rays") -> None:
        self.api = api
        self.shown: list[str] = []
        kube, clock, workshop = cast("Kube", api), api.clock, api.workshop
        self.keeper = Keeper(kube, clock, workshop, self._show, "system", "hook", HOST, configuration)

    async def _show(self, pair: Pair) -> None:
        if self.keeper.configuration is not None:
            assert f"authority {pair.certificate};" in self.api.trusted
        self.shown.append(pair.certificate)

    async def __aenter__(self) -> Self:
        self.keeper.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keeper.close()


def test_all_replicas_show_the_one_that_the_quickest_made() -> None:
    async def story() -> None:
        api = Api()
        async with Replica(api) as one, Replica(api) as other:
            await wait(5)
        assert one.shown == other.shown == [base64.b64decode(api.found[Kind.SECRET]["data"]["is"]).decode()]
        assert api.writes == [Kind.SECRET, Kind.WEBHOOK]

    run(story())


def test_at_rest_nothing_is_written() -> None:
    async def story() -> None:
        api = Api()
        async with Replica(api):
            await wait(3600)
        assert api.writes == [Kind.SECRET, Kind.WEBHOOK]

    run(story())


def test_a_renewed_one_is_trusted_for_a_while_before_it_is_shown_and_the_old_one_stays_trusted() -> None:
    async def story() -> None:
        api = Api()
        async with Replica(api) as one, Replica(api) as other:
            await wait(5)
            before = one.shown[-1]
            api.clock.time += LIFETIME * 3 / 4
            await wait(LOOK.total_seconds())
            assert len(api.writes) == 4
            assert f"authority {before};" in api.trusted
            assert one.shown == other.shown == [before]
            await wait(2 * SOON.total_seconds())
            assert len(one.shown) == len(other.shown) == 2
            assert one.shown == other.shown

    run(story())


def test_what_a_hand_has_taken_away_is_put_back() -> None:
    async def story() -> None:
        api = Api()
        async with Replica(api) as one:
            await wait(5)
            trusted = api.trusted
            del api.found[Kind.WEBHOOK]["webhooks"][0]["clientConfig"]["caBundle"]
            await wait(2 * LOOK.total_seconds())
            assert api.trusted == trusted
            api.found[Kind.SECRET].pop("data")
            await wait(2 * LOOK.total_seconds() + SOON.total_seconds())
            assert len(one.shown) == 2

    run(story())


def test_trouble_is_told_once_and_passes_and_what_is_shown_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        api = Api(trouble=NotFound("no such Secret"))
        async with Replica(api) as one:
            await wait(60)
            assert one.shown == []
            api.trouble = Unavailable("down")
            await wait(60)
            api.trouble = None
            await wait(2 * SOON.total_seconds())
            assert len(one.shown) == 1

    with caplog.at_level(logging.WARNING):
        run(story())
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["no such Secret", "down"]


def test_what_somebody_else_issues_is_read_alone() -> None:
    async def story() -> None:
        api = Api()
        del api.found[Kind.WEBHOOK]
        async with Replica(api, configuration=None) as one:
            await wait(60)
            assert one.shown == []
            made = api.workshop.issue(HOST, (), NOW - timedelta(days=1))
            data = {key: base64.b64encode(value.encode()).decode() for key, value in made.items()}
            api.found[Kind.SECRET]["data"] = data
            await wait(2 * SOON.total_seconds())
            assert one.shown == ["1"]
        assert api.writes == []

    run(story())
