"""The engine as a whole: what the handlers feed, and what looks after every object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rayserve_operator.engine.executor import Executor
from rayserve_operator.engine.loop import Loop
from rayserve_operator.engine.passes import Passes
from rayserve_operator.engine.ports import Clock, Kube, Ray
from rayserve_operator.engine.recorder import Recorder
from rayserve_operator.engine.store import WATCHED, Key, Store
from rayserve_operator.model.errors import NotFound, OperatorError
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render.options import RenderOptions

logger = logging.getLogger(__name__)

RELISTED_EVERY = timedelta(minutes=5)
"""kopf's watch says nothing of what vanished while it was cut, so what is gone is found by listing."""
RELIST_AFTER_GAP = timedelta(seconds=2)


class Operator:
    """Store, loop, passes and recorder, put together."""

    def __init__(self, kube: Kube, ray: Ray, clock: Clock, options: RenderOptions) -> None:
        self._kube = kube
        self.store = Store(self._wake)
        self.recorder = Recorder(kube, clock)
        executor = Executor(kube, ray, self.store)
        self.passes = Passes(kube, ray, clock, self.store, executor, self.recorder, options)
        self.loop = Loop(self.passes.run)
        self._relisting: dict[Kind, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = False

    async def open(self) -> None:
        """Learn what there is, all of it before anything is decided, and then look after it and all that comes."""
        for kind in WATCHED:
            try:
                async for manifest in self._kube.everything(kind):
                    self.store.put(kind, manifest)
            except NotFound as error:
                raise NotFound(f"The API server does not know the kind {kind}; install the CRDs first") from error
        self._is_open = True
        for kind in WATCHED:
            self._relist_in(kind, RELIST_AFTER_GAP)
        self.loop.open()

    async def close(self) -> None:
        """End all passes and tell what is still to be told."""
        self._is_open = False
        for timer in self._relisting.values():
            timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.loop.close()
        await self.recorder.close()

    def saw(self, kind: Kind, event: str | None, manifest: Mapping[str, Any]) -> None:
        """Take in a watch event. One without a type after the start tells that the kind was listed anew."""
        if event == "DELETED":
            self.store.remove(kind, manifest["metadata"]["uid"])
            return
        self.store.put(kind, manifest)
        if event is None and self._is_open:
            self._relist_in(kind, RELIST_AFTER_GAP)

    def _wake(self, key: Key) -> None:
        self.loop.wake(key)

    def _relist_in(self, kind: Kind, delay: timedelta) -> None:
        pending = self._relisting.get(kind)
        if pending is not None:
            pending.cancel()
        loop = asyncio.get_running_loop()
        self._relisting[kind] = loop.call_later(delay.total_seconds(), self._start_relisting, kind)

    def _start_relisting(self, kind: Kind) -> None:
        task = asyncio.get_running_loop().create_task(self.relist(kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def relist(self, kind: Kind) -> None:
        """Forget the objects of a kind that the API server no longer has, and wake whom that concerns."""
        delay = RELIST_AFTER_GAP
        try:
            listing = await self._kube.living(kind)
            self.store.prune(kind, listing.uids, listing.version)
            self.passes.forget(self.store.uids())
            delay = RELISTED_EVERY
        except OperatorError as error:
            logger.warning("Could not list %s: %s", kind, error)
        finally:
            if self._is_open:
                self._relist_in(kind, delay)
