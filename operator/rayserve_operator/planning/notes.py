"""What the operator writes down on an object, and reads as what it is; a note that a hand has spoilt counts as none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Annotate, Announcement, Kind
from rayserve_operator.planning.observed import ObservedCluster


def time_of(meta: Meta, key: str) -> datetime | None:
    """The time in an annotation."""
    try:
        noted = datetime.fromisoformat(meta.annotations.get(key, ""))
    except ValueError:
        return None
    return noted if noted.tzinfo else None


def record_of(meta: Meta, key: str) -> Mapping[str, Any]:
    """The record in an annotation."""
    try:
        noted = json.loads(meta.annotations.get(key, "{}"))
    except ValueError:
        return {}
    return noted if isinstance(noted, dict) else {}


def on_cluster(
    observed: ObservedCluster, noted: Mapping[str, str | None], announce: Announcement | None = None
) -> Annotate:
    """Write these annotations down on the RayCluster; None takes one away."""
    meta = observed.cluster.meta
    return Annotate(kind=Kind.RAY_CLUSTER, name=meta.name, uid=meta.uid, annotations=noted, announce=announce)


def written(record: Mapping[str, Any]) -> str:
    """A record as an annotation holds it."""
    return json.dumps(record, sort_keys=True)
