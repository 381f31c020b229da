"""Whether another operator leads, as far as its Lease tells.

As the clients of Kubernetes do it, a Lease counts as held for as long as its holder says after each renewal was *seen*,
because the clocks of two nodes may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rayserve_operator.model.lease import NOBODY, Record

KUBERAY_LEASE = "ray-operator-leader"
"""Name of the Lease that KubeRay's leader renews every two seconds."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much the clocks of two nodes may differ. A Lease that is older when it is first seen was left behind."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease of some namespace, and since when it has been seen as it is."""

    namespace: str
    record: Record
    since: datetime

    def holds(self, now: datetime) -> bool:
        """Whether its holder leads."""
        return self.record.holder != NOBODY and now - self.since < self.record.duration


def sighted(found: Mapping[str, Record], before: Iterable[Sighting] | None, now: datetime) -> tuple[Sighting, ...]:
    """What is known of the Lease of each namespace after one more look; `before` is None at the first one."""
    known = {(sighting.namespace, sighting.record): sighting for sighting in before or ()}
    return tuple(
        known.get((namespace, record)) or Sighting(namespace, record, _since(record, before, now))
        for namespace, record in found.items()
    )


def _since(record: Record, before: Iterable[Sighting] | None, now: datetime) -> datetime:
    if before is not None or not record.renewed:
        return now
    return min(now, datetime.fromisoformat(record.renewed) + CLOCKS_DIFFER)
