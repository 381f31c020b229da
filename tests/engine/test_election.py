"""Replicas of the operator over one Lease, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonpatch
import pytest

from rayserve_operator.engine import lease
from rayserve_operator.engine.election import Election
from rayserve_operator.model.errors import AlreadyExists, NotFound, OutcomeUnknown, Superseded
from rayserve_operator.planning.actions import Kind
from tests.sim.virtual_time import VirtualLoop, run, wait

CALL = 0.05
"""Seconds that a request takes."""


class Api:
    """The API server, as far as one Lease is concerned."""

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self.version = 0

    def put(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**manifest["metadata"], "resourceVersion": str(self.version)}
        self.found = {**manifest, "metadata": metadata}
        return self.found

    @property
    def holder(self) -> str:
        return self.found["spec"]["holderIdentity"] if self.found else ""


class Link:
    """One replica's way to the API server."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.hangs = False
        self.loses_answers = False
        self.answers_nonsense = False

    async def _travel(self) -> None:
        await wait(CALL)
        if self.answers_nonsense:
            raise ValueError("this is no JSON")
        if self.hangs:
            await asyncio.Event().wait()

    def _answer(self, found: dict[str, Any]) -> dict[str, Any]:
        if self.loses_answers:
            raise OutcomeUnknown("no answer")
        return found

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        await self._travel()
        if self.api.found is None:
            raise NotFound(name)
        return self.api.found

    async def create(self, kind: Kind, manifest: Mapping[str, Any]) -> dict[str, Any]:
        await self._travel()
        if self.api.found is not None:
            raise AlreadyExists(manifest["metadata"]["name"])
        return self._answer(self.api.put(manifest))

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        await self._travel()
        try:
            changed = jsonpatch.apply_patch(self.api.found, list(operations))
        except jsonpatch.JsonPatchTestFailed as error:
            raise Superseded(name) from error
        return self._answer(self.api.put(changed))


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())


class Replica:
    """One process that stands for election."""

    def __init__(self, api: Api, name: str) -> None:
        self.link = Link(api)
        self.led_at: list[float] = []
        self.lost_at: list[float] = []
        lost = lambda: self.lost_at.append(asyncio.get_running_loop().time())  # noqa: E731
        self.election = Election(self.link, Clock(), "system", "operator", name, lost)  # type: ignore[arg-type]
        self.election.open(lambda: self.led_at.append(asyncio.get_running_loop().time()))

    def kill(self) -> None:
        """The process is gone without a word."""
        self.election._stop()


def story(tell: Callable[[Api], Awaitable[None]]) -> None:
    run(tell(Api()))  # type: ignore[arg-type]


def test_one_of_many_leads() -> None:
    async def tell(api: Api) -> None:
        replicas = [Replica(api, name) for name in "abc"]
        for _ in range(100):
            await wait(0.7)
            assert sum(replica.election.leads for replica in replicas) == 1
        assert api.found is not None
        assert api.found["spec"]["leaseTransitions"] == 0
        assert not [lost for replica in replicas for lost in replica.lost_at]

    story(tell)


def test_another_leads_soon_after_a_leader_is_killed() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(1)
        second = Replica(api, "b")
        await wait(29)
        first.kill()
        await wait(60)
        assert not first.lost_at
        assert 30 + lease.RENEW_DEADLINE.total_seconds() < second.led_at[0] < 45

    story(tell)


def test_another_leads_at_once_when_a_leader_stops() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(1)
        second = Replica(api, "b")
        await wait(29)
        await first.election.close()
        assert api.holder == ""
        await wait(1)
        assert second.election.leads
        assert not first.election.leads
        assert not first.lost_at

    story(tell)


def test_who_waits_leaves_the_lease_alone_when_it_stops() -> None:
    async def tell(api: Api) -> None:
        Replica(api, "a")
        await wait(1)
        second = Replica(api, "b")
        await wait(10)
        before = api.version
        await second.election.close()
        assert (api.holder, api.version) == ("a", before)

    story(tell)


def test_a_restarted_leader_goes_on_at_once() -> None:
    async def tell(api: Api) -> None:
        Replica(api, "a").kill()
        first = Replica(api, "a")
        await wait(5)
        first.kill()
        again = Replica(api, "a")
        await wait(1)
        assert again.election.leads

    story(tell)


def test_a_leader_that_cannot_renew_ends_before_another_one_leads() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(1)
        second = Replica(api, "b")
        await wait(29)
        first.link.hangs = True
        await wait(60)
        [lost] = first.lost_at
        assert not first.election.leads
        assert lost < second.led_at[0] < 45

    story(tell)


def test_who_waits_survives_an_answer_that_nobody_expected() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(1)
        second = Replica(api, "b")
        second.link.answers_nonsense = True
        await wait(10)
        second.link.answers_nonsense = False
        await first.election.close()
        await wait(3)
        assert second.election.leads

    story(tell)


def test_a_leader_survives_a_lost_answer() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(10)
        first.link.loses_answers = True
        await wait(3)
        first.link.loses_answers = False
        for _ in range(100):
            await wait(0.3)
            assert first.election.leads
        assert not first.lost_at

    story(tell)


def test_a_leader_that_was_stopped_for_a_minute_knows_at_once_that_it_leads_no_more() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(10)
        assert first.election.leads
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop._jump(60)
        assert not first.election.leads
        await wait(0)
        assert first.lost_at
        await wait(60)
        assert not first.election.leads
        assert len(first.led_at) == 1

    story(tell)


def test_a_lease_taken_by_somebody_else_is_lost() -> None:
    async def tell(api: Api) -> None:
        first = Replica(api, "a")
        await wait(10)
        assert api.found is not None
        api.put({**api.found, "spec": {**api.found["spec"], "holderIdentity": "b"}})
        await wait(5)
        assert first.lost_at
        assert api.holder == "b"

    story(tell)


def test_a_trouble_of_those_who_wait_is_told_once_each_time_that_it_begins(caplog: pytest.LogCaptureFixture) -> None:
    async def tell(api: Api) -> None:
        Replica(api, "a")
        await wait(5)
        waiting = Replica(api, "b")
        for hangs in (True, False, True):
            waiting.link.hangs = hangs
            await wait(60)
        waiting.kill()

    with caplog.at_level(logging.WARNING):
        story(tell)
    assert caplog.messages == ["Lease system/operator: no answer in time"] * 2
