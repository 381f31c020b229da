"""All RayServices as they are seen to change, and when: an effect is timed when the event that shows it arrives."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.api import CONNECTIONS, Api
from benchmarks.ray.client import RayStandIn
from benchmarks.views import Question, View, concerned
from scenarios.harness.kube import Manifest

FOLLOWED: Mapping[str, str] = {"rayservices": "", "rayclusters": "", "services": "", "pods": "benchmark/service"}
"""The kinds that are watched, each with a label that its objects must have."""


@dataclass(eq=False, slots=True)
class Awaited:
    """Something that is to become the case for some RayServices, and when it did."""

    question: Question
    names: frozenset[str]
    seen: dict[str, float] = field(default_factory=dict)
    """When it was first seen to be so, by the monotonic clock, for each RayService."""
    _is_complete: asyncio.Event = field(default_factory=asyncio.Event)

    def holds(self, view: View, at: float) -> bool:
        """Ask the question of a RayService that has changed; return whether it need not be asked again."""
        if not self.question(view):
            return False
        self.seen[view.name] = at
        if len(self.seen) == len(self.names):
            self._is_complete.set()
        return True

    async def within(self, seconds: float) -> dict[str, float]:
        """Wait until it is the case for all, at most so long; return when it was seen for those it came for."""
        if self.missing:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._is_complete.wait()
        return dict(self.seen)

    @property
    def missing(self) -> frozenset[str]:
        """The RayServices for which it has not become so."""
        return self.names - self.seen.keys()


class World:
    """The views of all RayServices, kept up by watches."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._awaited: defaultdict[str, list[Awaited]] = defaultdict(list)
        self.hung: set[str] = set()
        """Addresses of heads that have let a request hang."""
        self._hung_awaited: tuple[frozenset[str], asyncio.Event] = (frozenset(), asyncio.Event())

    def view(self, name: str) -> View:
        """What is seen of a RayService."""
        return self._views.setdefault(name, View(name))

    def await_(self, names: Iterable[str], question: Question) -> Awaited:
        """Look out from now on for something to become the case for these RayServices."""
        awaited = Awaited(question, frozenset(names))
        now = time.monotonic()
        for name in awaited.names:
            self._awaited[name].append(awaited)
            self._look(self.view(name), now)
        return awaited

    async def all_hung(self, addresses: frozenset[str], within: float) -> bool:
        """Wait until all of these heads have let a request hang, at most so many seconds; return whether they have."""
        self._hung_awaited = addresses, asyncio.Event()
        self._look_at_hung()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._hung_awaited[1].wait()
        return addresses <= self.hung

    async def follow(self, api: Api, plural: str) -> None:
        """Take in every event about a kind, until cancelled."""
        async for event, manifest in api.follow(plural, FOLLOWED[plural]):
            self.saw(plural, event, manifest, time.monotonic())

    async def follow_ray(self, ray: RayStandIn) -> None:
        """Take in what the stand-in for Ray tells, until cancelled."""
        async for event in ray.events():
            if "hung" in event:
                self.hung.add(event["hung"])
                self._look_at_hung()
            elif event["put"] in self._views:
                view = self._views[event["put"]]
                view.edit = event["edit"]
                self._look(view, event["at"])

    def saw(self, plural: str, event: str, manifest: Manifest, at: float) -> None:
        """Take in an event that arrived at a time of the monotonic clock."""
        name = concerned(plural, manifest)
        if name:
            view = self.view(name)
            view.saw(plural, manifest, is_gone=event == "DELETED")
            self._look(view, at)

    def _look(self, view: View, at: float) -> None:
        self._awaited[view.name] = [one for one in self._awaited[view.name] if not one.holds(view, at)]

    def _look_at_hung(self) -> None:
        addresses, event = self._hung_awaited
        if addresses <= self.hung:
            event.set()


async def each(
    names: Iterable[str], act: Callable[[str], Awaitable[object]], at_once: int = CONNECTIONS
) -> dict[str, float]:
    """Do something for each name, so many at once; return when each was begun, by the monotonic clock."""
    room = asyncio.Semaphore(at_once)
    begun: dict[str, float] = {}

    async def one(name: str) -> None:
        async with room:
            begun[name] = time.monotonic()
            await act(name)

    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))
    return begun


async def pass_(seconds: float) -> None:
    """Let time pass: for a measurement of what happens in it, and for nothing else."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
