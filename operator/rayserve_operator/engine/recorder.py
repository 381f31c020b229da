"""Kubernetes events: each decision told once, never in the way of the next one.

What repeats itself is one Event with a count, as the events of Kubernetes' own controllers are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from rayserve_operator.engine import scope
from rayserve_operator.engine.ports import Clock, Kube, Meter, Unmetered
from rayserve_operator.model.errors import NotFound, OperatorError
from rayserve_operator.model.objects import API_VERSION, Meta
from rayserve_operator.planning.actions import Announcement, Kind

logger = logging.getLogger(__name__)

COMPONENT = "rayserve-operator"
REPEATED_AFTER = timedelta(minutes=10)
"""A warning that repeats itself is only counted until then. What was done is told each time that it was."""
REMEMBERED = 4096
"""Series, a KB each: as many as the recorder of Kubernetes' own client library remembers."""
MESSAGE_LIMIT = 1024
YIELDS_FOR = timedelta(seconds=30)
"""How long an event waits at most, after it was told, until objects need the API server less than it does."""
AT_ONCE = 2
"""Events under way at a time, few, so that where there is much to do the API server is not kept busy with telling."""


async def _at_once() -> None:
    """Nothing is urgent."""


class _About(NamedTuple):
    """The object that something is told of, and no more of it: thousands of these are kept."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    version: str

    def reference(self) -> Mapping[str, str]:
        """The same for the API server."""
        return {
            "apiVersion": API_VERSION,
            "kind": str(self.kind),
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
            "resourceVersion": self.version,
        }


@dataclass(slots=True)
class _Series:
    """The same announcement about the same object, over and over."""

    about: _About
    announcement: Announcement
    first: datetime
    last: datetime
    count: int = 0
    name: str = ""
    """Of the Event; empty as long as there is none."""
    told_at: datetime | None = None
    untold: bool = False
    """Whether there is something to tell that no request has taken with it yet."""
    is_under_way: bool = False

    def manifest(self) -> Mapping[str, Any]:
        """The whole Event."""
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": self.about.namespace, "name": self.name},
            "involvedObject": self.about.reference(),
            "reason": self.announcement.reason,
            "message": self.announcement.message[:MESSAGE_LIMIT],
            "type": self.announcement.type,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": _stamp(self.first),
            **self.repetition(),
        }

    def repetition(self) -> Mapping[str, Any]:
        """What changes when it is told once more."""
        return {"lastTimestamp": _stamp(self.last), "count": self.count}


@dataclass(slots=True)
class Recorder:
    """Sends events in the background."""

    kube: Kube
    clock: Clock
    meter: Meter = field(default_factory=Unmetered)
    calm: Callable[[], Awaitable[None]] = _at_once
    """Returns when there is nothing more urgent to do than telling."""
    _series: OrderedDict[tuple[str, Announcement], _Series] = field(default_factory=OrderedDict)
    _untold: deque[_Series] = field(default_factory=deque)
    """What waits to be told, in that order."""
    _senders: set[asyncio.Task[None]] = field(default_factory=set)
    """Those who tell it, as many as events are under way at a time."""
    _sequence: int = 0

    def tell(self, kind: Kind, meta: Meta, announcement: Announcement) -> None:
        """Tell something about an object."""
        now = self.clock.now()
        series = self._series_of(kind, meta, announcement, now)
        series.count += 1
        series.last = now
        is_warning = announcement.type == "Warning"
        if is_warning and series.told_at is not None and now - series.told_at < REPEATED_AFTER:
            return
        series.told_at = now
        series.untold = True
        level = logging.WARNING if is_warning else logging.INFO
        logger.log(level, "%s: %s", announcement.reason, announcement.message)
        self.meter.announced(kind, announcement)
        if not series.is_under_way:
            series.is_under_way = True
            self._untold.append(series)
            if len(self._senders) < AT_ONCE:
                self._senders.add(asyncio.get_running_loop().create_task(self._send_all()))

    async def close(self) -> None:
        """Wait for the events under way."""
        await asyncio.gather(*self._senders)

    def _series_of(self, kind: Kind, meta: Meta, announcement: Announcement, now: datetime) -> _Series:
        key = (meta.uid, announcement)
        series = self._series.get(key)
        if series is None:
            about = _About(kind, meta.namespace, meta.name, meta.uid, meta.version)
            self._series[key] = series = _Series(about, announcement, first=now, last=now)
        self._series.move_to_end(key)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return series

    async def _send_all(self) -> None:
        # What is told belongs to many objects, and a pass of one of them has begun this.
        scope.leave()
        try:
            while self._untold:
                await self._send(self._untold.popleft())
        finally:
            self._senders.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _send(self, series: _Series) -> None:
        try:
            while series.untold:
                await self._yield(series)
                series.untold = False
                await self._write(series)
        except Exception as error:
            # Whether there is such an Event is not known, so the next one is an Event of its own.
            series.name = ""
            if isinstance(error, OperatorError):
                logger.warning("An event of %s %s was lost: %s", series.about.kind, series.about.name, error)
            else:
                logger.exception("An event of %s %s was lost", series.about.kind, series.about.name)
            self.meter.event_lost()
        finally:
            series.is_under_way = False

    async def _yield(self, series: _Series) -> None:
        """Let what is to be done go first, but not for ever."""
        left = YIELDS_FOR - (self.clock.now() - series.last)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(left.total_seconds(), 0)):
                await self.calm()

    async def _write(self, series: _Series) -> None:
        if series.name:
            try:
                await self.kube.merge(Kind.EVENT, series.about.namespace, series.name, series.repetition())
            except NotFound:
                # The API server forgets events after a while.
                series.first, series.count = series.last, 1
            else:
                return
        self._sequence += 1
        series.name = f"{series.about.name}.{int(series.last.timestamp() * 1e6):x}{self._sequence:x}"
        await self.kube.create(Kind.EVENT, series.manifest())


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
