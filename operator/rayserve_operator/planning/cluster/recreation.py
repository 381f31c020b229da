"""What `upgradeStrategy.type: Recreate` does to a RayCluster of its own: all pods anew when their template changes.

The head keeps the spec that it was made from, and that is compared through today's models, like the spec of a living
cluster of a RayService. So a new operator recreates nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.planning.actions import Annotate, Kind
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.observed import ObservedRayCluster
from rayserve_operator.render import labels
from rayserve_operator.render.node import runs_service


def outdated(observed: ObservedRayCluster) -> tuple[str, ...]:
    """Paths of the spec that changed since the head was made and that only new pods can take."""
    if not _applies(observed.cluster):
        return ()
    for head in observed.heads:
        base = _made_from(head.meta.annotations)
        if base is not None:
            return compare(base, observed.cluster.spec).rebuild
    return ()


def remembered(observed: ObservedRayCluster) -> Annotate | None:
    """Write down what a head was made from that was made before the strategy was asked for: the spec as it is now."""
    for head in observed.heads:
        if _applies(observed.cluster) and head.alive and labels.MADE_FROM not in head.meta.annotations:
            notes = memory_of(observed.cluster)
            return Annotate(kind=Kind.POD, name=head.meta.name, uid=head.meta.uid, annotations=notes)
    return None


def memory_of(cluster: RayCluster) -> dict[str, str]:
    """What a new head is to remember."""
    return {labels.MADE_FROM: json.dumps(cluster.spec.manifest())} if _applies(cluster) else {}


def _applies(cluster: RayCluster) -> bool:
    strategy = cluster.spec.upgrade_strategy
    return strategy is not None and strategy.type == "Recreate" and not runs_service(cluster)


def _made_from(noted: Mapping[str, Any]) -> RayClusterSpec | None:
    try:
        return RayClusterSpec.model_validate_json(noted[labels.MADE_FROM])
    except (KeyError, ValidationError):
        return None
