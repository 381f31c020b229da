"""A share of the traffic: what a new cluster is to take beside the one that serves, and in whole pods what that is.

New connections go to all pods behind the stable Service alike, so a share of pods is a share of the connections. Each
pod's proxy reaches all replicas of its cluster: how many pods take traffic says nothing of how much work gets done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import ObservedCluster, PodView
from rayserve_operator.render import labels

WHOLE = 100
"""All of the traffic, in percent, which is no share any more: it moves with the Service."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a cluster is to take, and since when."""

    percent: int
    """0 while the pods that serve are made ready to share."""
    since: datetime

    @property
    def written(self) -> str:
        """As an annotation holds it."""
        return notes.written({"percent": self.percent, "since": self.since.isoformat()})


@dataclass(frozen=True, slots=True)
class Sharing:
    """Two clusters between which the traffic is to be shared."""

    active: ObservedCluster
    pending: ObservedCluster
    share: Share
    """What the new one is to take."""


def share_of(cluster: ObservedCluster) -> Share | None:
    """The share that the cluster was given; None where traffic is not shared with it, or the note was spoilt."""
    return share_noted(cluster.cluster.meta)


def share_noted(meta: Meta) -> Share | None:
    """The same from the metadata of its RayCluster alone."""
    noted = notes.record_of(meta, labels.SHARE)
    try:
        share = Share(int(noted["percent"]), datetime.fromisoformat(noted["since"]))
    except (KeyError, TypeError, ValueError):
        return None
    return share if 0 <= share.percent < WHOLE and share.since.tzinfo else None


def taken_by(cluster: ObservedCluster) -> int:
    """The same, in percent."""
    share = share_of(cluster)
    return 0 if share is None else share.percent


def pods_of(service: str, serving: ObservedCluster, coming: ObservedCluster, percent: int) -> frozenset[str]:
    """Names of the pods of both clusters that are to take the traffic of a RayService.

    Pods that take it already are preferred, so that no more of them change than have to.
    """
    old, new = (_in_order(cluster.pods, service) for cluster in (serving, coming))
    kept, added = split(len(old), len(new), percent)
    return frozenset(pod.meta.name for pod in (*old[:kept], *new[:added]))


def split(serving: int, coming: int, percent: int) -> tuple[int, int]:
    """How many of so many pods on either side come nearest to a share of the new ones, without going above it.

    A share above 0 is at least one pod, even where that is more than was asked for, and one pod always stays.
    """
    if percent <= 0 or not serving or not coming:
        return serving, 0
    pairs = [(kept, added) for added in range(1, coming + 1) if (kept := _beside(added, percent)) <= serving]
    return max(pairs, key=lambda pair: (Fraction(pair[1], sum(pair)), sum(pair)), default=(serving, 1))


def takes_traffic(pod: PodView, service: str) -> bool:
    """Whether the pod is among those that share the traffic of a RayService."""
    return pod.meta.labels.get(labels.TRAFFIC) == labels.check_label(service)


def _beside(added: int, percent: int) -> int:
    """The fewest old pods beside which so many new ones are no more than the share."""
    return max(-(-added * (100 - percent) // percent), 1)


def _in_order(pods: Iterable[PodView], service: str) -> list[PodView]:
    return sorted((p for p in pods if p.serving), key=lambda p: (not takes_traffic(p, service), p.meta.name))
