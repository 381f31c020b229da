"""One operator in one world, and all that may befall them."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import random
from typing import Any, Self

from hypothesis import HealthCheck, Phase, settings
from typing_extensions import override

from rayserve_operator.engine import served
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.ports import Meter, Unmetered
from rayserve_operator.model import schema
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.custody import Manage
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from .client import Client, Network
from .manifests import Json, merged, name_of
from .rules import Rules
from .virtual_time import wait
from .world import World

# Every operator learns the schemas of the models at its start, and a simulation starts thousands of them.
vars(served)["structural"] = functools.cache(schema.structural)

RESTART = 0.5
SETTLED = 480.0
"""Long enough for a rollout, the longest backoff, the deletion delay and the regular listing of all there is."""


def simulated(examples: int) -> settings:
    """Settings of hypothesis for a property: the same few examples always, or as many new ones as SIMULATIONS says."""
    hunt = os.environ.get("SIMULATIONS")
    return settings(
        max_examples=int(hunt or examples),
        derandomize=hunt is None,
        database=None,
        deadline=None,
        # A story takes a moment to tell, so that shrinking one takes minutes; its log says more than a short one would.
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


class _Alarm(logging.Handler):
    """Failures that nobody expected, and objects that never come to rest."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(logging.WARNING)
        self.rules = rules

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.rules.violations.append(f"{record.getMessage()}: {record.exc_info[1]!r}")
        elif "in a row" in record.getMessage():
            self.rules.violations.append(record.getMessage())


class Story:
    """What happens, step by step. `seed` decides how long every message takes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.manage: Manage = "all"
        self.rules = Rules()
        self.world = World(random.Random(seed))
        self.network = Network(self.rules.judge, self._crash)
        self.rules.world, self.rules.network = self.world, self.network
        self.world.on_change, self.world.on_step = self.rules.saw, self.rules.look
        self.meter: Meter = Unmetered()
        """Counts for all the lives of the operator."""
        self.lives: list[Client] = []
        self.operator: Operator
        self._alarm = _Alarm(self.rules)
        self._starting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        logger = logging.getLogger("rayserve_operator.engine")
        logger.addHandler(self._alarm)
        logger.propagate = False
        asyncio.get_running_loop().set_exception_handler(self._went_wrong)
        await self._start()
        return self

    async def __aexit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        logger = logging.getLogger("rayserve_operator.engine")
        logger.propagate = True
        logger.removeHandler(self._alarm)
        self._kill()
        if isinstance(failure, AssertionError):
            failure.add_note("\n".join(self.network.log))

    def _went_wrong(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.rules.violations.append(f"{context.get('message')}: {context.get('exception')!r}")

    # The operator. -------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        """A new operator, which knows nothing."""
        client = Client(self.world, self.network)
        self.lives.append(client)
        self.operator = Operator(client, client, client, RenderOptions(), manage=self.manage, meter=self.meter)
        chance = random.Random(self.seed + len(self.lives))
        self.operator.loop.chance = chance
        self.operator.passes.executor.chance = chance
        await self.operator.open()
        self.world.connect(self.operator.saw)

    def _kill(self) -> None:
        """The process ends; what it has sent is on its way nevertheless."""
        self.lives[-1].is_dead = True
        self.world.disconnect()
        self.operator.loop.hold()

    def _crash(self) -> None:
        self.lives[-1].tell("the operator dies")
        self._kill()
        self._starting = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        await wait(RESTART)
        await self._start()
        self._starting = None

    # What befalls. -------------------------------------------------------------------------------------------

    async def perform(self, step: str, argument: Any) -> None:
        """One thing that happens."""
        world, network = self.world, self.network
        self.lives[-1].tell(f"--- {step} {argument}")
        match step:
            case "wait":
                await wait(argument)
            case "delete":
                self._delete(*argument)
            case "fail a pod":
                self._each(Kind.POD, argument, world.fail)
            case "relabel a pod":
                self._each(Kind.POD, argument, self._relabel)
            case "lose a node":
                index, seconds, comes_back = argument
                world.silence_node(index, seconds, comes_back=comes_back)
            case "load":
                world.load = argument
            case "lag":
                kind, seconds = argument
                self.impatient_until(seconds)
                world.hold(kind, seconds)
            case "cut":
                kind, seconds = argument
                self.impatient_until(seconds)
                world.cut(kind, seconds)
            case "fault":
                self.impatient_until(10)
                network.fault = argument
            case "outage":
                self.impatient_until(argument)
                network.cut_off_until = world.seconds + argument
            case "silence":
                network.silent_until = world.seconds + argument
            case "freeze":
                world.frozen_until = world.seconds + argument
            case "mute":
                network.mute_until = world.seconds + argument
            case "hold the slices":
                world.slices_held_until = world.seconds + argument
            case "demand":
                world.demand = argument
            case "lose the head":
                self._each(Kind.RAY_CLUSTER, argument, self._lose_head)
            case "restart":
                if self._starting is None:
                    self._crash()
            case _:
                raise AssertionError(step)
        self.rules.look()
        self.assert_no_violation()

    def impatient_until(self, seconds: float) -> None:
        """For a while, the operator's view of the world may be long out of date."""
        self.rules.patience = max(self.rules.patience, self.world.seconds + seconds + 15)

    def _each(self, kind: Kind, index: int, what: Any) -> None:
        """Do something to one of the objects of a kind, if there is any."""
        objects = self.world.all(kind)
        if objects:
            chosen = objects[index % len(objects)]
            self.lives[-1].tell(f"    {name_of(chosen)}")
            what(chosen)

    def _lose_head(self, cluster: Json) -> None:
        for pod in list(self.world.pods(name_of(cluster), labels.HEAD)):
            self.world.fail(pod)

    def _delete(self, kind: Kind, index: int) -> None:
        self._each(kind, index, lambda found: self.world.end(kind, name_of(found)))

    def _relabel(self, pod: Json) -> None:
        """What people do with a pod that they want to look into: take it out of everything that selects it."""
        self.world.put(Kind.POD, merged(pod, {"metadata": {"labels": {labels.CLUSTER: "quarantine"}}}))

    # The end. ------------------------------------------------------------------------------------------------

    async def settle(self, seconds: float = SETTLED) -> None:
        """No more trouble; time passes."""
        self.network.fault = None
        self.network.silent_until = self.network.cut_off_until = self.network.mute_until = 0.0
        self.world.frozen_until = self.world.slices_held_until = 0.0
        self.world.release()
        self.world.end_silences()
        self.lives[-1].tell("--- quiet")
        await wait(seconds)
        self.assert_no_violation()

    def assert_no_violation(self) -> None:
        """Nothing has been done that must not be done."""
        assert not self.rules.violations, "\n".join(self.rules.violations)

    async def assert_stays(self, seconds: float = 400.0) -> None:
        """From now on nothing is written, Kubernetes events included."""
        writes = self.network.writes.copy()
        await wait(seconds)
        for key in list(self.operator.store.keys()):
            self.operator.loop.wake(key)
        await wait(30)
        assert self.network.writes - writes == {}
        self.assert_no_violation()

    async def assert_survives_a_restart(self) -> None:
        """A new operator finds everything done."""
        writes = self.network.writes.copy()
        await self.perform("restart", None)
        await wait(120)
        assert self.network.writes - writes == {}
        self.assert_no_violation()

    def counts(self, cluster: Json) -> dict[str, int]:
        """Pods that bear the cluster's label, by group."""
        found = {group["groupName"]: 0 for group in cluster["spec"]["workerGroupSpecs"]} | {labels.HEAD_GROUP: 0}
        for pod in self.world.all(Kind.POD):
            noted = pod["metadata"]["labels"]
            if noted[labels.CLUSTER] == name_of(cluster):
                found[noted[labels.GROUP]] = found.get(noted[labels.GROUP], 0) + 1
        return found
