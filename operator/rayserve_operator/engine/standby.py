"""Standing by while KubeRay works, and taking over when it no longer does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rayserve_operator.engine.ports import Clock, Kube
from rayserve_operator.engine.rounds import Rounds
from rayserve_operator.model.errors import OperatorError, Refused
from rayserve_operator.model.lease import Record
from rayserve_operator.planning.leases import KUBERAY_LEASE, Sighting, sighted

logger = logging.getLogger(__name__)

LOOKED_AT_EVERY = timedelta(seconds=5)
"""How often KubeRay's Lease is read. It changes every two seconds, so a watch on it would bring more than that."""


@dataclass(slots=True)
class Standby:
    """Looks at KubeRay's Lease again and again."""

    kube: Kube
    clock: Clock
    tell: Callable[[bool], None]
    """Is told whether KubeRay leads, whenever that changes."""
    leader: str | None = None
    """Which KubeRay leads, in words; None while none does."""
    _sightings: tuple[Sighting, ...] | None = None
    _looks: Rounds = field(init=False)

    def __post_init__(self) -> None:
        self._looks = Rounds(self._look_again, f"Lease {KUBERAY_LEASE}")

    async def open(self) -> None:
        """Look once, and from then on in the background.

        Raises:
            Unavailable: the API server does not answer.
        """
        try:
            await self._look()
        except Refused as refusal:
            logger.warning("Cannot see whether KubeRay runs, so it is taken not to: %s", refusal)
            return
        self._looks.begin(LOOKED_AT_EVERY)

    async def close(self) -> None:
        """Look no more."""
        await self._looks.close()

    async def _look_again(self) -> timedelta:
        try:
            await self._look()
        except OperatorError as error:
            # Nobody knows who leads, so nothing changes; while the API server is away nothing can be done in any case.
            logger.info("Could not see whether KubeRay runs: %s", error)
        return LOOKED_AT_EVERY

    async def _look(self) -> None:
        leases = await self.kube.leases(KUBERAY_LEASE)
        found = {manifest["metadata"]["namespace"]: Record.parse(manifest) for manifest in leases}
        now = self.clock.now()
        self._sightings = sighted(found, self._sightings, now)
        held = next((sighting for sighting in self._sightings if sighting.holds(now)), None)
        before, self.leader = self.leader, f"{held.record.holder} in namespace {held.namespace}" if held else None
        if (before is None) == (held is None):
            return
        if held is not None:
            logger.warning(
                "Standing by for KubeRay, which leads: %s. What is marked as ours is looked after", self.leader
            )
        else:
            logger.warning("Taking over from KubeRay, which leads no longer: it was %s", before)
        self.tell(held is not None)
