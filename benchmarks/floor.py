"""The same writes without an operator: what no operator can be quicker than, on this machine and at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.api import CONNECTIONS, Api
from benchmarks.blueprint import Blueprint, Owner, Part
from benchmarks.manifests import cluster_edit, home, ray_service
from benchmarks.measures import Effect, Outcome
from benchmarks.stage import Stage
from benchmarks.views import has_left, has_ready_pods, is_gone, pods_are_ready, pods_exist
from benchmarks.world import World, each
from scenarios.harness.kube import Manifest

GRACE = 1
"""Seconds that the pods of an old cluster are given."""


class Floor:
    """Writes everything that an operator would write, as quickly as so many requests at once allow."""

    def __init__(self, stage: Stage, blueprint: Blueprint) -> None:
        self._stage = stage
        self._blueprint = blueprint
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._uids: dict[Owner, str] = {}

    @property
    def _api(self) -> Api:
        return self._stage.api

    @property
    def _world(self) -> World:
        return self._stage.world

    async def create(self, names: Sequence[str]) -> Outcome:
        """RayServices, and all that comes of them."""
        exist, ready = (self._world.await_(names, question) for question in (pods_exist, pods_are_ready))
        wanted = {name: (ray_service(name, home(name)), self._blueprint.for_service(name)) for name in names}
        applied = await each(names, lambda name: self._create_one(*wanted[name]), at_once=len(names))
        patience = self._stage.patience
        return Outcome(
            {
                "pods exist": Effect.of(applied, await exist.within(patience)),
                "Ready": Effect.of(applied, await ready.within(patience)),
            }
        )

    async def roll_out(self, names: Sequence[str]) -> Outcome:
        """Another cluster beside each, the switch when its pods are ready, and the end of the old one."""
        old = {name: self._world.view(name).routed_to for name in names}
        switched = self._world.await_(names, has_left(old))
        before = {name: self._blueprint.for_service(name) for name in names}
        after = {name: blueprint.next_cluster() for name, blueprint in before.items()}
        edits = {name: cluster_edit(name, 1) for name in names}

        async def roll_out(name: str) -> None:
            async with self._room:
                await self._api.merge("rayservices", home(name), name, edits[name])
            await self._replace(before[name], after[name])

        applied = await each(names, roll_out, at_once=len(names))
        return Outcome({"switched": Effect.of(applied, await switched.within(self._stage.patience))})

    async def delete(self, names: Sequence[str]) -> Outcome:
        """All of it."""
        gone = self._world.await_(names, is_gone)
        applied = await each(names, lambda name: self._api.delete("rayservices", home(name), name))
        return Outcome({"gone": Effect.of(applied, await gone.within(self._stage.patience))})

    async def _create_one(self, service: Manifest, blueprint: Blueprint) -> None:
        async with self._room:
            made = await self._api.create("rayservices", service)
        self._uids["RayService", blueprint.service] = made["metadata"]["uid"]
        await self._create_all(blueprint)

    async def _create_all(self, blueprint: Blueprint) -> None:
        namespace = home(blueprint.service)
        await self._together(namespace, blueprint.own)
        await self._together(namespace, blueprint.of_cluster)
        await self._write_status("rayservices", namespace, blueprint.service, blueprint.service_status)
        for part in blueprint.own:
            if part.status:
                await self._write_status(part.plural, namespace, part.name, part.status)

    async def _together(self, namespace: str, parts: Sequence[Part]) -> None:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._create_part(namespace, part))

    async def _create_part(self, namespace: str, part: Part) -> None:
        async with self._room:
            made = await self._api.create(part.plural, part.placed(namespace, self._uids))
        self._uids[made["kind"], part.name] = made["metadata"]["uid"]

    async def _write_status(self, plural: str, namespace: str, name: str, status: Manifest | object) -> None:
        async with self._room:
            await self._api.merge(plural, namespace, name, {"status": status}, "status")

    async def _replace(self, before: Blueprint, after: Blueprint) -> None:
        """Create another cluster, send traffic there when its pods are ready, and end the old one."""
        namespace = home(before.service)
        leaving = [part.name for part in before.of_cluster if part.plural == "pods"]
        is_up = self._world.await_([before.service], has_ready_pods(after.cluster, len(leaving)))
        await self._create_all(after)
        await is_up.within(self._stage.patience)
        for service in before.routing:
            async with self._room:
                patch = {"spec": {"selector": {"ray.io/cluster": after.cluster}}}
                await self._api.merge("services", namespace, service, patch)
        for pod in leaving:
            async with self._room:
                await self._api.delete("pods", namespace, pod, grace=GRACE)
        async with self._room:
            await self._api.delete("rayclusters", namespace, before.cluster)
