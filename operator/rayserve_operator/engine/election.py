"""One leader among the replicas of the operator: a Lease that is taken, renewed and released.

Whoever leads knows it by its own monotonic clock alone, so that a process which was stopped for a while does not go on
as if it led still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from typing_extensions import override

from rayserve_operator.engine import lease
from rayserve_operator.engine.lease import Sighting
from rayserve_operator.engine.news import News
from rayserve_operator.engine.ports import Clock, Kube
from rayserve_operator.model.errors import NotFound, OperatorError
from rayserve_operator.model.lease import Record
from rayserve_operator.planning.actions import Kind

logger = logging.getLogger(__name__)

PATIENCE = lease.RETRY
"""For how long the API server may take to answer one turn: a renewal that hangs leaves time for others."""


@dataclass(slots=True)
class Election:
    """This process' part in the election."""

    kube: Kube
    """Of its own: renewals wait for no other request."""
    clock: Clock
    namespace: str
    name: str
    identity: str
    """What the Lease calls this process. One that is started anew under its old name goes on leading at once."""
    on_loss: Callable[[], None]
    """Ends the process: it led, and could not renew the Lease in time."""
    _on_gain: Callable[[], None] | None = None
    _seen: Sighting | None = None
    _written: Record | None = None
    """The answer to our last write; None where the Lease is to be read before the next one."""
    _leads_until: float | None = None
    _expiry: asyncio.TimerHandle | None = None
    _next: asyncio.TimerHandle | None = None
    _turn: asyncio.Task[None] | None = field(default=None, repr=False)
    _is_over: bool = False
    _news: News = field(default_factory=News)

    def open(self, on_gain: Callable[[], None]) -> None:
        """Stand for election; `on_gain` is called once, when this process leads."""
        self._on_gain = on_gain
        self._start()

    @property
    def leads(self) -> bool:
        """Whether this process may act now."""
        return self._leads_until is not None and asyncio.get_running_loop().time() < self._leads_until

    async def close(self) -> None:
        """Stand no longer, and let another one lead at once. To be called when nothing acts any more."""
        self._stop()
        if self._turn is not None:
            await asyncio.gather(self._turn, return_exceptions=True)
        if self._leads_until is None:
            return
        self._leads_until = None
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await self._release()
        except (OperatorError, TimeoutError) as error:
            logger.warning("%s was not released: %s", self, str(error) or "no answer in time")

    @override
    def __str__(self) -> str:
        return f"Lease {self.namespace}/{self.name}"

    def _stop(self) -> None:
        self._is_over = True
        for timer in (self._next, self._expiry):
            if timer is not None:
                timer.cancel()
        if self._turn is not None and self._turn is not asyncio.current_task():
            self._turn.cancel()

    def _start(self) -> None:
        self._turn = asyncio.get_running_loop().create_task(self._take_turn(), name=str(self))

    async def _take_turn(self) -> None:
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), lease.RETRY
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                pause = await self._try()
            self._news.end()
        except (OperatorError, TimeoutError) as error:
            # A write without an answer may have taken effect.
            self._written = None
            words = str(error) or "no answer in time"
            if self._news.is_new(words):
                logger.warning("%s: %s", self, words)
        except Exception:
            self._written = None
            logger.exception("%s: unexpected failure", self)
        if not self._is_over:
            self._next = loop.call_at(began + pause.total_seconds(), self._start)

    async def _try(self) -> timedelta:
        """Take or renew the Lease if that is possible. Returns the time from the start of this try to the next one."""
        loop = asyncio.get_running_loop()
        record = self._written or await self._read()
        self._seen = seen = (
            Sighting(record, loop.time()) if self._seen is None else self._seen.then(record, loop.time())
        )
        if self._leads_until is not None and not self._is_ours(record):
            self._lose()
            return lease.RETRY
        if wait := lease.free_in(seen, self.identity, loop.time()):
            return min(wait, lease.LOOK)
        asked = loop.time()
        self._written = await self._claim(record)
        self._lead_until(asked + lease.RENEW_DEADLINE.total_seconds())
        return lease.RETRY

    def _lead_until(self, until: float) -> None:
        """Lead until a time that counts from before the request, because nobody else has seen its effect earlier."""
        is_new = self._leads_until is None
        if self._expiry is not None:
            self._expiry.cancel()
        self._leads_until = until
        self._expiry = asyncio.get_running_loop().call_at(until, self._lose)
        if is_new and self._on_gain is not None:
            logger.info("%s: %s leads", self, self.identity)
            self._on_gain()

    def _lose(self) -> None:
        logger.error("%s: %s could not keep it", self, self.identity)
        self._leads_until = None
        self._stop()
        self.on_loss()

    def _is_ours(self, record: Record | None) -> bool:
        return record is not None and record.holder == self.identity

    async def _read(self) -> Record | None:
        try:
            return Record.parse(await self.kube.get(Kind.LEASE, self.namespace, self.name))
        except NotFound:
            return None

    async def _claim(self, before: Record | None) -> Record:
        claim = lease.claimed(before, self.identity, self.clock.now())
        if before is not None:
            return await self._write(before.version, claim)
        metadata = {"namespace": self.namespace, "name": self.name}
        manifest = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": claim.spec()}
        return Record.parse(await self.kube.create(Kind.LEASE, manifest))

    async def _release(self) -> None:
        held = await self._read()
        if held is not None and self._is_ours(held):
            await self._write(held.version, lease.released(held, self.clock.now()))

    async def _write(self, version: str, record: Record) -> Record:
        """Write the record into the Lease of this version, and into no other."""
        same = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        said = {"op": "add", "path": "/spec", "value": record.spec()}
        return Record.parse(await self.kube.patch(Kind.LEASE, self.namespace, self.name, (same, said)))
