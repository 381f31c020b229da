from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import pytest

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.recorder import MESSAGE_LIMIT, REPEATED_AFTER, YIELDS_FOR, Recorder
from rayserve_operator.model.errors import NotFound, Unavailable
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Announcement, Kind
from tests.sim.virtual_time import run, wait

META = Meta.parse({"metadata": {"name": "demo", "namespace": "default", "uid": "u", "resourceVersion": "4"}})


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Sink:
    """Takes events in, or not."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.writes = 0
        self.failure: Exception | None = None

    async def create(self, kind: Kind, manifest: dict[str, Any]) -> None:
        self._arrive()
        self.events.append(dict(manifest))

    async def merge(self, kind: Kind, namespace: str, name: str, patch: dict[str, Any]) -> None:
        self._arrive()
        found = [event for event in self.events if event["metadata"] == {"namespace": namespace, "name": name}]
        if not found:
            raise NotFound(name)
        found[0].update(patch)

    def _arrive(self) -> None:
        self.writes += 1
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def recorder(sink: Sink, clock: Clock) -> Recorder:
    return Recorder(cast(Kube, sink), clock)


async def tell(recorder: Recorder, message: str, kind: Literal["Normal", "Warning"] = "Warning") -> None:
    recorder.tell(Kind.RAY_SERVICE, META, Announcement("Reason", message, kind))
    await recorder.close()


async def test_an_event_says_what_it_is_about(recorder: Recorder, sink: Sink) -> None:
    await tell(recorder, "words")
    [event] = sink.events
    assert (event["reason"], event["message"], event["type"]) == ("Reason", "words", "Warning")
    assert event["involvedObject"] == {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "namespace": "default",
        "name": "demo",
        "uid": "u",
        "resourceVersion": "4",
    }


async def test_a_warning_that_repeats_itself_is_counted_and_told_once_in_a_while(
    recorder: Recorder, sink: Sink, clock: Clock
) -> None:
    await tell(recorder, "same")
    clock.time += REPEATED_AFTER - timedelta(seconds=1)
    await tell(recorder, "same")
    await tell(recorder, "another")
    assert [(event["message"], event["count"]) for event in sink.events] == [("same", 1), ("another", 1)]
    clock.time += timedelta(seconds=2)
    await tell(recorder, "same")
    assert [(event["message"], event["count"]) for event in sink.events] == [("same", 3), ("another", 1)]
    assert sink.events[0]["firstTimestamp"] == "2030-01-01T00:00:00Z"
    assert sink.events[0]["lastTimestamp"] == "2030-01-01T00:10:01Z"


async def test_what_was_done_twice_is_one_event_with_a_count(recorder: Recorder, sink: Sink) -> None:
    await tell(recorder, "created", "Normal")
    await tell(recorder, "created", "Normal")
    [event] = sink.events
    assert event["count"] == 2


async def test_what_was_done_often_at_once_takes_two_requests(recorder: Recorder, sink: Sink) -> None:
    for _ in range(100):
        recorder.tell(Kind.RAY_SERVICE, META, Announcement("Reason", "created"))
    await recorder.close()
    assert [event["count"] for event in sink.events] == [100]
    assert sink.writes <= 2


async def test_an_event_that_kubernetes_has_forgotten_begins_anew(recorder: Recorder, sink: Sink, clock: Clock) -> None:
    await tell(recorder, "created", "Normal")
    [old] = sink.events
    sink.events.clear()
    clock.time += timedelta(hours=2)
    await tell(recorder, "created", "Normal")
    [new] = sink.events
    assert new["metadata"]["name"] != old["metadata"]["name"]
    assert (new["count"], new["firstTimestamp"]) == (1, "2030-01-01T02:00:00Z")


@pytest.mark.parametrize("failure", [Unavailable("down"), RuntimeError("nobody has foreseen this")])
async def test_an_event_that_cannot_be_sent_is_in_nobodys_way(
    failure: Exception, recorder: Recorder, sink: Sink
) -> None:
    sink.failure = failure
    for message in ("lost", "lost too", "lost as well"):
        recorder.tell(Kind.RAY_SERVICE, META, Announcement("Reason", message))
    await recorder.close()
    assert (sink.writes, sink.events) == (3, [])
    sink.failure = None
    await tell(recorder, "lost", "Normal")
    assert [event["count"] for event in sink.events] == [2]


async def test_a_long_message_is_cut_to_what_kubernetes_takes(recorder: Recorder, sink: Sink) -> None:
    await tell(recorder, "x" * 5000)
    assert len(sink.events[0]["message"]) == MESSAGE_LIMIT


@pytest.mark.parametrize(("busy_for", "told_after"), [(0, 0), (7, 7), (3600, YIELDS_FOR.total_seconds())])
def test_an_event_lets_what_is_to_be_done_go_first_but_not_for_ever(busy_for: float, told_after: float) -> None:
    async def story() -> float:
        running = asyncio.get_running_loop()
        began, sink = running.time(), Sink()

        async def calm() -> None:
            await wait(began + busy_for - running.time())

        recorder = Recorder(cast("Kube", sink), Clock(), calm=calm)
        recorder.tell(Kind.RAY_SERVICE, META, Announcement("Done", "it is done"))
        await recorder.close()
        assert [event["reason"] for event in sink.events] == ["Done"]
        return running.time() - began

    assert run(story()) == pytest.approx(told_after)
