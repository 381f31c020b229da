"""Kubernetes events: each decision told once, never in the way of the next one."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rayserve_operator.engine.ports import Clock, Kube
from rayserve_operator.model.errors import OperatorError
from rayserve_operator.model.objects import API_VERSION, Meta
from rayserve_operator.planning.actions import Announcement, Kind

logger = logging.getLogger(__name__)

COMPONENT = "rayserve-operator"
REPEATED_AFTER = timedelta(minutes=10)
REMEMBERED = 10_000
MESSAGE_LIMIT = 1024
AT_ONCE = 2
"""Events under way at a time, few, so that where there is much to do the API server is not kept busy with telling."""


@dataclass(slots=True)
class Recorder:
    """Sends events in the background. One that repeats itself within ten minutes is left out."""

    kube: Kube
    clock: Clock
    _told: OrderedDict[tuple[str, Announcement], datetime] = field(default_factory=OrderedDict)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _sequence: int = 0
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def tell(self, kind: Kind, meta: Meta, announcement: Announcement) -> None:
        """Tell something about an object."""
        now = self.clock.now()
        told = self._told.get((meta.uid, announcement))
        if told is not None and now - told < REPEATED_AFTER and announcement.type == "Warning":
            return
        self._told[meta.uid, announcement] = now
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        logger.info("%s %s/%s: %s: %s", kind, meta.namespace, meta.name, announcement.reason, announcement.message)
        self._sequence += 1
        task = asyncio.get_running_loop().create_task(self._send(self._event(kind, meta, announcement, now)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Wait for the events under way."""
        await asyncio.gather(*self._sending)

    async def _send(self, event: Mapping[str, Any]) -> None:
        try:
            async with self._turn:
                await self.kube.create(Kind.EVENT, event)
        except OperatorError as error:
            logger.warning("An event was lost: %s", error)

    def _event(self, kind: Kind, meta: Meta, announcement: Announcement, now: datetime) -> Mapping[str, Any]:
        stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {
            "apiVersion": API_VERSION,
            "kind": str(kind),
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.version,
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "namespace": meta.namespace,
                "name": f"{meta.name}.{int(now.timestamp() * 1e6):x}{self._sequence:x}",
            },
            "involvedObject": about,
            "reason": announcement.reason,
            "message": announcement.message[:MESSAGE_LIMIT],
            "type": announcement.type,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }
