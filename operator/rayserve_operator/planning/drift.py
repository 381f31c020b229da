"""Whether a live object still is what we would apply."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rayserve_operator.planning.observed import ServiceView
from rayserve_operator.render import labels


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """A short name for a manifest, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def stamped(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its own fingerprint among its annotations, so that a field taken out of it is noticed too."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), labels.APPLIED: fingerprint(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def drifted(live: ServiceView, wanted: Mapping[str, Any]) -> bool:
    """Whether applying the (stamped) manifest would change the live Service."""
    metadata = wanted["metadata"]
    return not (
        holds(live.spec, wanted["spec"])
        and holds(live.meta.labels, metadata.get("labels", {}))
        and holds(live.meta.annotations, metadata.get("annotations", {}))
    )


def is_headless(spec: Mapping[str, Any]) -> bool:
    """Whether the Service has no address of its own, which the API server never changes."""
    return spec.get("clusterIP") == "None"


def holds(live: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; more may be."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(key in live and holds(live[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(holds, live, wanted))
    return bool(live == wanted)
