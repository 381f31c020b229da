"""The engine as a whole: what the handlers feed, and what looks after every object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rayserve_operator.engine import scope
from rayserve_operator.engine.election import Election
from rayserve_operator.engine.elsewhere import Elsewhere
from rayserve_operator.engine.executor import Executor
from rayserve_operator.engine.insistence import insist
from rayserve_operator.engine.listings import Listings
from rayserve_operator.engine.loop import Loop
from rayserve_operator.engine.milestones import milestones
from rayserve_operator.engine.news import News
from rayserve_operator.engine.passes import Passes
from rayserve_operator.engine.ports import Clock, Kube, Listing, Meter, Ray, Unmetered
from rayserve_operator.engine.recorder import Recorder
from rayserve_operator.engine.served import Served
from rayserve_operator.engine.standby import Standby
from rayserve_operator.engine.store import OPTIONAL, WATCHED, Key, Store
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.model.errors import Disconnected, NotFound, OperatorError
from rayserve_operator.planning.actions import AnyAction, Kind
from rayserve_operator.planning.cluster.nodes import NODE_LOST_AFTER
from rayserve_operator.planning.custody import Custody, Manage
from rayserve_operator.render.options import RenderOptions

logger = logging.getLogger(__name__)

RELISTED_EVERY = timedelta(minutes=5)
"""kopf's watch says nothing of what vanished while it was cut, so what is gone is found by listing."""
RELIST_RETRY = timedelta(seconds=1)
FIRST_RELIST = timedelta(seconds=10)
"""What is gone between the first look and the beginning of the watches is found so long after the start."""
STUCK_AFTER = timedelta(minutes=15)
"""Every request has a time-out, the longest of 75 s, so a pass of that length is one that never ends."""


class Operator:
    """Store, loop, passes and recorder, put together.

    Args:
        kube: the Kubernetes API.
        ray: Ray's own endpoints.
        clock: the time of day.
        options: what the operator's settings say about every rendered object.
        node_lost_after: how long a node must be silent before the head on it is replaced.
        shard: name of the shard that this operator is; it looks after what bears that name, or none where it has none.
        election: decides when this process acts; until then it only keeps its store. Without one it acts at once.
    """

    def __init__(
        self,
        kube: Kube,
        ray: Ray,
        clock: Clock,
        options: RenderOptions,
        *,
        node_lost_after: timedelta = NODE_LOST_AFTER,
        manage: Manage = "all",
        shard: str = "",
        election: Election | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._kube = kube
        self._meter = meter or Unmetered()
        self.store = Store(self._wake, self._relent)
        self.loop = Loop(self._pass)
        self.recorder = Recorder(kube, clock, self._meter, calm=self.loop.calm)
        ray = Elsewhere(ray, self.loop.elsewhere)
        tokens = Tokens(kube)
        executor = Executor(kube, ray, self.store, tokens, may_act=lambda: self.acts, on_done=self._did)
        self.passes = Passes(
            kube,
            ray,
            clock,
            self.store,
            tokens,
            executor,
            self.recorder,
            options,
            Custody(manage),
            node_lost_after,
            may_tell=self.loop.may_tell,
        )
        self.standby = Standby(kube, clock, self._stand_by)
        self._clock = clock
        self._shard = shard
        self._elsewhere: set[Key] = set()
        """Objects of other shards that had reason to be looked at."""
        self._election = election
        self._takes_over = False
        self._opened: datetime | None = None
        self._listings = Listings()
        self.unknown_kinds: frozenset[Kind] = frozenset()
        """Optional kinds that the API server did not know at the start, so that they cannot be watched."""
        self._is_in_doubt = False
        self._relisting: asyncio.Task[None] | None = None
        self._next_relist: asyncio.TimerHandle | None = None
        self._relisting_news = News()

    @property
    def is_ready(self) -> bool:
        """Whether it knows what there is."""
        return self._opened is not None and not self._is_in_doubt

    @property
    def is_alive(self) -> bool:
        """Whether every pass that was begun may still end."""
        return self.loop.load().longest < STUCK_AFTER

    async def open(self) -> None:
        """Learn what there is, all of it before anything is decided, and then look after it and all that comes.

        Until the API server is reached, knows the CRDs and lets the operator read, this waits.
        """
        await insist(self._survey)
        self._opened = self._clock.now()
        self._listings.expect(kind for kind, count in self.store.counts() if count)
        self._relist_in(FIRST_RELIST)
        if self._election is None:
            self._let_pass()
        else:
            self._election.open(self._take_over)

    async def close(self) -> None:
        """End all passes, let another one lead, and tell what is still to be told."""
        await self.standby.close()
        if self._relisting is not None:
            self._relisting.cancel()
            await asyncio.gather(self._relisting, return_exceptions=True)
        if self._next_relist is not None:
            self._next_relist.cancel()
        await self.loop.close()
        if self._election is not None:
            await self._election.close()
        await self.recorder.close()

    def saw(self, kind: Kind, event: str | None, manifest: Mapping[str, Any]) -> None:
        """Take in a watch event. One without a type, after the start, tells that the kind was listed anew."""
        self._meter.saw(kind, event)
        meta = manifest["metadata"]
        if event == "DELETED":
            self.store.remove(kind, meta["uid"], meta["resourceVersion"])
            return
        self.store.put(kind, manifest)
        if event is None and self._listings.is_another(kind, meta["uid"], self._clock.now()):
            self._distrust()

    @property
    def acts(self) -> bool:
        """Whether it is this process that looks after objects."""
        return self._election is None or self._election.leads

    async def _survey(self) -> None:
        """See everything for the first time."""
        is_tried_again = any(count for _, count in self.store.counts())
        self.unknown_kinds = frozenset()
        await self._learn()
        if is_tried_again:
            # What an earlier try had found may be gone, and nothing is watched yet.
            await self.relist()
        self.passes.served = await Served.learn(self._kube)
        if self.passes.custody.manage == "all":
            await self.standby.open()

    async def _learn(self) -> None:
        for kind in WATCHED:
            try:
                async for manifest in self._kube.everything(kind):
                    self.store.put(kind, manifest)
            except NotFound as error:
                if kind not in OPTIONAL:
                    raise NotFound(f"The API server does not know the kind {kind}; install the CRDs first") from error
                self.unknown_kinds |= {kind}

    def _take_over(self) -> None:
        """Begin with what the last leader has left: its last writes may not have come by the watches yet."""
        self._takes_over = True
        self._start_relisting()

    def _let_pass(self) -> None:
        """Begin the passes, with what a user has edited and nobody has looked at yet."""
        self.loop.hurry(
            Key(Kind.RAY_SERVICE, record.meta.namespace, record.meta.name)
            for record in self.store.services()
            if record.meta.generation != record.status.observed_generation
        )
        self.loop.open()

    async def _pass(self, key: Key) -> timedelta | None:
        if not self.acts or not self._is_ours(key):
            return None
        began = self._time()
        result = "unexpected"
        try:
            again = await self.passes.run(key)
            result = "acted" if again == timedelta() else "rested"
        except OperatorError as error:
            result = type(error).__name__
            if isinstance(error, Disconnected):
                self._distrust()
            raise
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            self._meter.passed(key.kind, result, self._time() - began)
        logger.debug("The pass %s; next one: %s", result, "when something happens" if again is None else again)
        return again

    def _did(self, namespace: str, action: AnyAction) -> None:
        for milestone in milestones(self.store, namespace, action, self._clock.now()):
            self._meter.reached(milestone)

    @staticmethod
    def _time() -> timedelta:
        """The time of the running event loop, for durations."""
        return timedelta(seconds=asyncio.get_running_loop().time())

    def _is_ours(self, key: Key) -> bool:
        if self.store.shard(key) != self._shard:
            self._elsewhere.add(key)
            return False
        service = self.store.service(key.namespace, key.name)
        if key in self._elsewhere and key.kind is Kind.RAY_SERVICE and service is not None:
            # It comes from another shard, and with it its clusters, which nothing else would wake.
            for cluster in self.store.clusters_of(service.meta.uid):
                self.loop.wake(Key(Kind.RAY_CLUSTER, cluster.meta.namespace, cluster.meta.name))
        self._elsewhere.discard(key)
        return True

    def _wake(self, key: Key) -> None:
        # On taking over every known object is woken.
        if self.acts:
            self.loop.wake(key)

    def _relent(self, key: Key) -> None:
        self.loop.relent(key)

    def _stand_by(self, stands_by: bool) -> None:
        """Leave to KubeRay what it takes for its own, or look after that too."""
        self.passes.custody = replace(self.passes.custody, stands_by=stands_by)
        for key in list(self.store.keys()):
            self._wake(key)

    def _distrust(self) -> None:
        """The watches may have missed that something is gone: look before any further pass."""
        if self._relisting is None:
            self._is_in_doubt = True
            self._meter.doubted()
            self.loop.hold()
            self._start_relisting()

    def _relist_in(self, delay: timedelta) -> None:
        loop = asyncio.get_running_loop()
        self._next_relist = loop.call_later(delay.total_seconds(), self._start_relisting)

    def _start_relisting(self) -> None:
        if self._next_relist is not None:
            self._next_relist.cancel()
        if self._relisting is None:
            self._relisting = asyncio.get_running_loop().create_task(self._relist())

    async def _relist(self) -> None:
        # What has raised the doubt may be a pass.
        scope.leave()
        began, result = self._time(), "failed"
        delay, takes_over = RELIST_RETRY, self._takes_over
        try:
            if takes_over:
                await self._learn()
            await self.relist()
            self._is_in_doubt = False
            result = "done"
            if self._relisting_news.end():
                logger.info("What there is has been listed again")
            if takes_over:
                self._takes_over = False
                for key in list(self.store.keys()):
                    self.loop.wake(key)
            if self.acts and not self._takes_over:
                self._let_pass()
            delay = timedelta() if self._takes_over else RELISTED_EVERY
        except OperatorError as error:
            if self._relisting_news.is_new(str(error)):
                logger.warning("Could not list what there is, and tries again: %s", error)
        finally:
            self._meter.listed(result, self._time() - began)
            self._relisting = None
            self._relist_in(delay)

    async def relist(self) -> None:
        """Forget what the API server no longer has, owners before what they own, and wake whom that concerns."""
        for kind in WATCHED:
            try:
                listing = await self._kube.living(kind)
            except NotFound:
                # Its API was not installed, or is no more, and with it went its objects.
                listing = Listing(frozenset(), "")
            self.store.prune(kind, listing.uids, listing.version)
        self.passes.forget(self.store.uids())
        self._elsewhere.intersection_update(self.store.keys())
