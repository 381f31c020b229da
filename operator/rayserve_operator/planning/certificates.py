"""What is to be done about the certificate of the webhook now.

A certificate is one in three steps, each of which any replica may take: it is put into the Secret, with the authority
that vouches for it; the API server is told to trust that authority; it is shown. So the API server never meets one that
it does not trust, and a replica that ends between two steps leaves nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

LIFETIME = timedelta(days=90)
"""How long a certificate of ours is valid."""
BACKDATED = timedelta(hours=1)
"""How much earlier it begins than it is made, for clocks that are late."""
RENEWED_AFTER = 2 / 3
"""The part of its time after which it is replaced."""
KEPT = 1
"""Older authorities that are trusted beside the present one, until every replica shows the present certificate."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate of an authority."""

    pem: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What the Secret holds: a certificate whose key fits."""

    names: frozenset[str]
    """DNS names that it is for."""
    begins: datetime
    expires: datetime
    authorities: tuple[Authority, ...]
    """All that are to be trusted, first the one that issued it; none where no such is there."""

    @property
    def renewed_at(self) -> datetime:
        """When it is replaced."""
        return self.begins + (self.expires - self.begins) * RENEWED_AFTER

    @property
    def bundle(self) -> str:
        """What the API server is to trust."""
        return bundle(self.authorities)


@dataclass(frozen=True, slots=True)
class Issue:
    """Make a certificate, and put it into the Secret with its authority and these older ones."""

    keep: tuple[Authority, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """Have the API server trust this."""

    bundle: str


@dataclass(frozen=True, slots=True)
class Show:
    """Show what the Secret holds, if it is not shown yet."""


@dataclass(frozen=True, slots=True)
class Await:
    """Look again later: somebody else is to make the certificate."""


Step: TypeAlias = Issue | Trust | Show | Await


def next_step(held: Held | None, trusted: Sequence[str] | None, name: str, now: datetime) -> Step:
    """What to do about the certificate.

    Args:
        held: what the Secret holds; None where that is nothing that can be shown.
        trusted: what the API server trusts, for each webhook that it asks; None where somebody else issues the
            certificate, renews it and has it trusted, as cert-manager does.
        name: the DNS name by which the API server asks.
        now: the time.
    """
    fitting = held if held is not None and name in held.names else None
    if trusted is None:
        return Await() if fitting is None else Show()
    if fitting is None or not fitting.authorities or now >= fitting.renewed_at:
        older = () if held is None else held.authorities
        return Issue(tuple(one for one in older if one.expires > now)[:KEPT])
    return Trust(fitting.bundle) if any(one != fitting.bundle for one in trusted) else Show()


def bundle(authorities: Sequence[Authority]) -> str:
    """Authorities in one text, as the API server takes them."""
    return "".join(one.pem for one in authorities)
