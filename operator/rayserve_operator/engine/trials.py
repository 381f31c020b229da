"""Asks the pods of clusters between which traffic is shared what they answer, every few seconds and no more often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from rayserve_operator.engine.ports import Clock, Ray
from rayserve_operator.planning.observed import ObservedCluster, PodView, Traffic
from rayserve_operator.planning.service import analysis, draining
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.roles import Roles
from rayserve_operator.render import ports

SAMPLED_EVERY = timedelta(seconds=3)

Told = TypeVar("Told")
Sample = TypeVar("Sample", Traffic | None, dict[str, int | None])


@dataclass(slots=True)
class Trials:
    """What was last sampled of each cluster. All of it can be lost at any time."""

    ray: Ray
    clock: Clock
    _traffic: dict[str, tuple[datetime, Traffic | None]] = field(default_factory=dict)
    _smoke: dict[str, tuple[datetime, dict[str, int | None]]] = field(default_factory=dict)

    async def add(self, asked: ObservedCluster, observed: ObservedCluster, roles: Roles, goal: Goal) -> ObservedCluster:
        """Add what matters of the cluster's answers.

        Args:
            asked: the cluster with what its Ray says.
            observed: the same one as it stands in the roles.
            roles: the part that each cluster plays.
            goal: what says by what a new cluster is judged.
        """
        uid = observed.cluster.meta.uid
        if analysis.is_measured(goal, roles):
            asked = replace(asked, traffic=await self._sampled(self._traffic, uid, lambda: self._count(observed)))
        if asked.answering and analysis.is_tried(observed, goal, roles):
            asked = replace(asked, smoke=await self._sampled(self._smoke, uid, lambda: self._try(asked, goal)))
        return asked

    def forget(self, alive: set[str]) -> None:
        """Drop what is kept of clusters that are gone."""
        for kept in (self._traffic, self._smoke):
            for uid in kept.keys() - alive:
                del kept[uid]

    async def _sampled(
        self, kept: dict[str, tuple[datetime, Sample]], uid: str, sample: Callable[[], Awaitable[Sample]]
    ) -> Sample:
        now, known = self.clock.now(), kept.get(uid)
        if known is not None and now - known[0] < SAMPLED_EVERY:
            return known[1]
        found = await sample()
        kept[uid] = now, found
        return found

    async def _count(self, observed: ObservedCluster) -> Traffic | None:
        told = await told_by_pods(observed, self.ray.traffic)
        return None if told is None else sum(told, Traffic(0, 0, 0.0))

    async def _try(self, observed: ObservedCluster, goal: Goal) -> dict[str, int | None]:
        """Send the smoke requests to one of the pods that answer; its proxy reaches all replicas."""
        pod = next(pod for pod in observed.pods if pod.meta.name in observed.answering)
        port, facts = serve_port(observed, pod), ports.ServeFacts.of(observed.cluster)
        paths = [request.path for request in goal.spec.analysis.smoke_requests]
        found = await asyncio.gather(*(self.ray.answers(pod.ip or "", port, path, https=facts.https) for path in paths))
        return dict(zip(paths, found, strict=True))


async def told_by_pods(
    observed: ObservedCluster, ask: Callable[[str, int], Awaitable[Told | None]]
) -> list[Told] | None:
    """What the metrics of all pods tell in which Ray runs; None where one of them does not tell."""
    pods = draining.to_be_asked(observed)
    found = await asyncio.gather(*(ask(pod.ip or "", metrics_port(observed, pod)) for pod in pods))
    told = [one for one in found if one is not None]
    return told if len(told) == len(found) else None


def serve_port(observed: ObservedCluster, pod: PodView) -> int:
    """Where the Serve proxy in a pod listens."""
    return ports.serve_port(observed.cluster, _group_of(observed, pod))


def metrics_port(observed: ObservedCluster, pod: PodView) -> int:
    """Where a pod exports its metrics."""
    return ports.metrics_port(_group_of(observed, pod))


def _group_of(observed: ObservedCluster, pod: PodView) -> ports.Group:
    spec = observed.cluster.spec
    return next((g for g in spec.worker_group_specs if g.group_name == pod.group), spec.head_group_spec)
