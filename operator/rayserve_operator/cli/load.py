"""What the pods of clusters tell of deployments, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rayserve_operator.adapters.ray import Load


@dataclass(frozen=True, slots=True)
class LoadRow:
    """A deployment on a cluster."""

    service: str
    cluster: str
    application: str
    deployment: str
    replicas: int
    """Those that are healthy."""
    queued: int
    """Requests that no replica has taken yet."""
    ongoing: int
    """Requests that replicas have taken and not answered yet."""


@dataclass(frozen=True, slots=True)
class Top:
    """What the pods tell."""

    deployments: tuple[LoadRow, ...]
    silent: tuple[str, ...]
    """Names of the pods whose metrics could not be read, so that what they know is missing."""


def load_rows(service: str, cluster: str, told: Sequence[Mapping[tuple[str, str], Load]]) -> Sequence[LoadRow]:
    """The deployments of a cluster.

    Args:
        service: name of its RayService.
        cluster: its own name.
        told: what each of its pods tells, by application and deployment.
    """
    known = sorted({key for one in told for key in one})
    whole = {key: sum((one.get(key, Load()) for one in told), Load()) for key in known}
    return [LoadRow(service, cluster, *key, load.replicas, load.queued, load.ongoing) for key, load in whole.items()]
