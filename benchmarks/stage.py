"""Where everything is played: the cluster, the stand-in for Ray, the operator, and what is known of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.api import Api
from benchmarks.manifests import many
from benchmarks.measures import Usage, count_writes, counted_since, spent_since
from benchmarks.processes import cpu_seconds_of
from benchmarks.ray.client import RayStandIn
from benchmarks.subject import Subject
from benchmarks.world import World, pass_
from scenarios.harness.audit import AuditLog

QUIET = 3.0
"""Seconds without a write after which an operator counts as done."""


class NotInTime(Exception):
    """Something that the benchmark needs before it can measure did not come."""


@dataclass(frozen=True, slots=True)
class Start:
    """The state of all counters when a measurement began."""

    at: float
    log: int
    ray: Counter[str]
    cpu_seconds: float
    others: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario has at hand."""

    services: int
    api: Api
    world: World
    ray: RayStandIn
    subject: Subject
    user: str
    """Who the operator is to the API server."""
    audit: AuditLog
    others: Mapping[str, int]
    """The processes beside the operator's, by name."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the RayServices that are measured."""
        return many("many", self.services)

    @property
    def patience(self) -> float:
        """Seconds within which everything should have come that ever comes."""
        return 180 + self.services

    async def begin(self) -> Start:
        """Begin a measurement."""
        self.subject.forget_peak()
        return Start(
            at=time.monotonic(),
            log=self.audit.position(),
            ray=await self.ray.counts(),
            cpu_seconds=self.subject.used().cpu_seconds,
            others=cpu_seconds_of(self.others),
        )

    async def since(self, start: Start) -> Usage:
        """End a measurement."""
        seconds, used, others = time.monotonic() - start.at, self.subject.used(), cpu_seconds_of(self.others)
        ray = await self.ray.counts()
        mine, everybodys = await asyncio.gather(
            asyncio.to_thread(self.audit.tally, start.log, user=self.user),
            asyncio.to_thread(self.audit.tally, start.log),
        )
        return Usage(
            seconds=seconds,
            requests=dict(mine.most_common()),
            all_requests=dict(everybodys.most_common()),
            ray=counted_since(start.ray, ray),
            cpu_seconds=used.cpu_seconds - start.cpu_seconds,
            rss_mb=used.rss_kb / 1024,
            peak_mb=used.peak_kb / 1024,
            others_cpu_seconds=spent_since(start.others, others),
        )

    async def settle(self) -> None:
        """Wait until the operator has written nothing for a while; one that always writes is not waited for."""
        ends = time.monotonic() + self.patience / 3
        is_quiet = False
        while not is_quiet and time.monotonic() < ends:
            since = self.audit.position()
            await pass_(QUIET)
            is_quiet = not count_writes(self.audit.tally(since, user=self.user))

    async def settled(self, start: Start) -> Usage:
        """End a measurement when the operator is done."""
        await self.settle()
        return await self.since(start)
