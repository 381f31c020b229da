"""Who leads, read from a Lease. The rules are those of Kubernetes' own leader election (coordination.k8s.io/v1).

Clocks of different machines are never compared: a Lease has run out when its holder has not renewed it for as long as
it is given for, by the monotonic clock of whoever looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rayserve_operator.model.lease import NOBODY, Record

DURATION = timedelta(seconds=10)
"""For how long a Lease is given."""
RENEW_DEADLINE = timedelta(seconds=7)
"""After this long without a renewal a leader stops, well before anybody else may take the Lease."""
RETRY = timedelta(seconds=2)
"""Between two renewals, and before a request that failed is tried again."""
LOOK = timedelta(milliseconds=500)
"""How often those who wait look whether the Lease was released."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a Lease says, and since when, in seconds of the looker's monotonic clock, it is known to say just this."""

    record: Record | None
    since: float

    def then(self, record: Record | None, now: float) -> Sighting:
        """The sighting after one more look."""
        return Sighting(record, self.since if record == self.record else now)


def free_in(seen: Sighting, identity: str, now: float) -> timedelta:
    """How long until this identity may write itself into the Lease; nothing if it may now."""
    record = seen.record
    if record is None or record.holder in (NOBODY, identity):
        return timedelta()
    return max(timedelta(), record.duration - timedelta(seconds=now - seen.since))


def claimed(before: Record | None, identity: str, now: datetime) -> Record:
    """The record with which this identity takes the Lease, or keeps it."""
    stamp = _stamp(now)
    if before is None:
        return Record(identity, DURATION, stamp, stamp, transitions=0)
    renewed = replace(before, duration=DURATION, renewed=stamp)
    if before.holder == identity:
        return renewed
    return replace(renewed, holder=identity, acquired=stamp, transitions=before.transitions + 1)


def released(held: Record, now: datetime) -> Record:
    """The record that lets anybody take the Lease at once."""
    return replace(held, holder=NOBODY, duration=timedelta(seconds=1), renewed=_stamp(now))


def _stamp(now: datetime) -> str:
    """The time as Kubernetes' MicroTime."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
