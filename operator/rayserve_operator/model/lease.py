"""A Lease, as the API server keeps it (coordination.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

NOBODY = ""
"""Holder of a Lease that was given up."""

_USUAL = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. Two that differ in nothing but the version are the same."""

    holder: str
    duration: timedelta
    """For how long a renewal holds."""
    acquired: str
    renewed: str
    """When its holder last renewed it, by the holder's clock."""
    transitions: int
    version: str = field(default="", compare=False)

    @classmethod
    def parse(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Lease. One without a duration is given for as long as the clients of Kubernetes usually take it."""
        spec = manifest.get("spec") or {}
        seconds = spec.get("leaseDurationSeconds")
        return cls(
            holder=spec.get("holderIdentity") or NOBODY,
            duration=timedelta(seconds=seconds) if seconds else _USUAL,
            acquired=spec.get("acquireTime") or "",
            renewed=spec.get("renewTime") or "",
            transitions=spec.get("leaseTransitions") or 0,
            version=manifest["metadata"].get("resourceVersion", ""),
        )

    def spec(self) -> dict[str, Any]:
        """The spec of a Lease that says this."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": int(self.duration.total_seconds()),
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        }
