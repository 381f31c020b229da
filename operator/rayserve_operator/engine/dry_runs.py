"""Tries pods at the API server without making them, and remembers for each RayService what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rayserve_operator.advice.rules import BY_CODE, Stops
from rayserve_operator.engine.ports import Kube
from rayserve_operator.model.errors import OperatorError
from rayserve_operator.model.objects import RayService
from rayserve_operator.model.problems import Problem, first_of
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.dry_run import drafts
from rayserve_operator.planning.dry_run.drafts import Draft
from rayserve_operator.planning.dry_run.verdicts import Answer, judged
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render.options import RenderOptions

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=2)
"""How long all pods of a manifest may take together; they are tried at the same time."""


async def tried(kube: Kube, pods: Sequence[Draft]) -> list[Answer]:
    """The answer to each pod. None that does not come holds anybody up for longer than PATIENCE."""
    return await asyncio.gather(*(_tried(kube, pod) for pod in pods))


async def _tried(kube: Kube, pod: Draft) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await kube.dry_run(Kind.POD, pod.manifest)
    except TimeoutError:
        return Answer(None, {"message": f"no answer within {PATIENCE.total_seconds():g} s"})
    except OperatorError as error:
        return Answer(None, {"message": str(error)})


@dataclass(slots=True)
class DryRuns:
    """What came of the newest revision of each RayService that was tried. All of it can be lost at any time."""

    kube: Kube
    options: RenderOptions
    _known: dict[str, tuple[str, tuple[Problem, ...]]] = field(default_factory=dict)

    async def problems(self, service: RayService, goal: Goal) -> tuple[Problem, ...]:
        """Why no pod can ever be made from the goal; none where it can, or where that could not be found out."""
        uid = service.meta.uid
        known = self._known.get(uid)
        if known is not None and known[0] == goal.revision:
            return known[1]
        pods = drafts.of_service(service, goal.serve.cluster_part, self.options)
        stops: list[Problem] = []
        for problem in judged(pods, await tried(self.kube, pods)):
            if BY_CODE[problem.code].stops is Stops.NEVER:
                logger.warning("%s %s", problem.code, problem)
            else:
                stops.append(problem)
        found = tuple(first_of(stops, "spec.rayClusterConfig"))
        self._known[uid] = goal.revision, found
        return found

    def forget(self, alive: set[str]) -> None:
        """Drop what is kept of RayServices that are gone."""
        for uid in self._known.keys() - alive:
            del self._known[uid]
