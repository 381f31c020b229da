"""Stories of several replicas of the operator, of which one at a time is to act."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from typing_extensions import override

from rayserve_operator.engine.election import Election
from rayserve_operator.engine.operator import Operator
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render.options import RenderOptions

from .client import Client
from .manifests import Json
from .rayservice import ServiceStory

LEASE = "rayserve-operator"


@dataclass(slots=True)
class Replica:
    """One process."""

    client: Client
    operator: Operator
    election: Election


class ReplicatedStory(ServiceStory):
    """The story of a RayService that two replicas look after."""

    def __init__(self, seed: int = 0, names: tuple[str, ...] = ("a", "b")) -> None:
        super().__init__(seed)
        self._names = names
        self.replicas: dict[str, Replica] = {}

    @property
    def leaders(self) -> list[str]:
        """Names of the replicas that would act now."""
        return [name for name, replica in self.replicas.items() if replica.operator.acts]

    @property
    def lease(self) -> Json:
        """The Lease."""
        found = self.world.find(Kind.LEASE, LEASE)
        assert found is not None
        return found

    @override
    async def _start(self) -> None:
        for name in self._names:
            await self.join(name, partial(self.end, name))
        self.world.connect(self._saw)

    async def join(self, name: str, on_loss: Callable[[], None]) -> None:
        """Start a replica."""
        client = Client(self.world, self.network)
        self.lives.append(client)
        election = Election(client, client, "default", LEASE, name, on_loss)
        operator = Operator(client, client, client, RenderOptions(), election=election)
        operator.loop.chance = operator.passes.executor.chance = random.Random(f"{self.seed}{name}")
        self.operator = operator
        await operator.open()
        self.replicas[name] = Replica(client, operator, election)

    def end(self, name: str) -> None:
        """A replica's process is gone, with all that it had in mind."""
        self.lives[-1].tell(f"--- {name} is gone")
        replica = self.replicas.pop(name)
        replica.client.is_dead = True
        replica.operator.loop.hold()
        replica.election._stop()

    @override
    def _kill(self) -> None:
        for name in list(self.replicas):
            self.end(name)
        self.world.disconnect()

    @override
    def _crash(self) -> None:
        for name in self.leaders:
            self.end(name)

    def _saw(self, kind: Kind, event: str | None, manifest: Json) -> None:
        for replica in self.replicas.values():
            replica.operator.saw(kind, event, manifest)

    def stop(self, name: str, seconds: float) -> None:
        """Stop a replica's process for a while: what was asked before is answered only then."""
        self.lives[-1].tell(f"--- {name} is stopped")
        self.replicas[name].client.stopped_until = asyncio.get_running_loop().time() + seconds
