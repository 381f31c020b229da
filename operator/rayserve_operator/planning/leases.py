"""Whether another operator leads, as far as its Lease tells.

As the clients of Kubernetes do it, a Lease counts as held for as long as its holder says after each renewal was *seen*,
because the clocks of two nodes may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

KUBERAY_LEASE = "ray-operator-leader"
"""Name of the Lease that KubeRay's leader renews every two seconds."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much the clocks of two nodes may differ. A Lease that is older when it is first seen was left behind."""
_DEFAULT_DURATION = 15


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A Lease."""

    namespace: str
    holder: str
    """Who holds it; empty where it was given up."""
    renewed: datetime | None
    """When its holder last renewed it, by the holder's clock."""
    duration: timedelta
    """For how long that holds."""

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Lease."""
        spec = manifest.get("spec") or {}
        renewed = spec.get("renewTime")
        return cls(
            namespace=manifest["metadata"]["namespace"],
            holder=spec.get("holderIdentity") or "",
            renewed=datetime.fromisoformat(renewed) if renewed else None,
            duration=timedelta(seconds=spec.get("leaseDurationSeconds") or _DEFAULT_DURATION),
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease, and since when it has been seen as it is."""

    lease: LeaseView
    since: datetime

    def holds(self, now: datetime) -> bool:
        """Whether its holder leads."""
        return bool(self.lease.holder) and now - self.since < self.lease.duration


def sighted(found: Iterable[LeaseView], before: Iterable[Sighting] | None, now: datetime) -> tuple[Sighting, ...]:
    """What is known of the Leases now that they were looked at again; `before` is None at the first look."""
    known = {(sighting.lease.namespace, sighting.lease): sighting for sighting in before or ()}
    return tuple(known.get((lease.namespace, lease)) or Sighting(lease, _since(lease, before, now)) for lease in found)


def _since(lease: LeaseView, before: Iterable[Sighting] | None, now: datetime) -> datetime:
    if before is not None or lease.renewed is None:
        return now
    return min(now, lease.renewed + CLOCKS_DIFFER)
