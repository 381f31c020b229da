from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import pytest

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.recorder import MESSAGE_LIMIT, REPEATED_AFTER, Recorder
from rayserve_operator.model.errors import Unavailable
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Announcement, Kind

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
        self.is_down = False

    async def create(self, kind: Kind, manifest: dict[str, Any]) -> None:
        if self.is_down:
            raise Unavailable("down")
        self.events.append(manifest)


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


async def test_a_warning_that_repeats_itself_is_told_once_in_a_while(
    recorder: Recorder, sink: Sink, clock: Clock
) -> None:
    await tell(recorder, "same")
    clock.time += REPEATED_AFTER - timedelta(seconds=1)
    await tell(recorder, "same")
    await tell(recorder, "another")
    assert [event["message"] for event in sink.events] == ["same", "another"]
    clock.time += timedelta(seconds=2)
    await tell(recorder, "same")
    assert len(sink.events) == 3


async def test_what_was_done_twice_is_told_twice_under_names_of_their_own(recorder: Recorder, sink: Sink) -> None:
    await tell(recorder, "created", "Normal")
    await tell(recorder, "created", "Normal")
    assert len({event["metadata"]["name"] for event in sink.events}) == 2


async def test_an_event_that_cannot_be_sent_is_in_nobodys_way(recorder: Recorder, sink: Sink) -> None:
    sink.is_down = True
    await tell(recorder, "lost")
    assert sink.events == []


async def test_a_long_message_is_cut_to_what_kubernetes_takes(recorder: Recorder, sink: Sink) -> None:
    await tell(recorder, "x" * 5000)
    assert len(sink.events[0]["message"]) == MESSAGE_LIMIT
