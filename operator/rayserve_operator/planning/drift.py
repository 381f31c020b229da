"""Whether a live object still is what we would apply."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind, Patch
from rayserve_operator.planning.observed import ServiceView
from rayserve_operator.render import labels
from rayserve_operator.render.manifests import annotated


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """A short name for a manifest, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def stamped(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its own fingerprint among its annotations, so that a field taken out of it is noticed too."""
    return annotated(manifest, {labels.APPLIED: fingerprint(manifest)})


def drifted(live: ServiceView, wanted: Mapping[str, Any]) -> bool:
    """Whether applying the (stamped) manifest would change the live Service.

    The API server tells ports apart by number and protocol. Those that somebody else has added stay, in whatever order.
    """
    present = {_number(port): port for port in live.spec.get("ports") or ()}
    ports = [present.get(_number(port)) for port in wanted["spec"].get("ports", ())]
    return has_drifted(live.meta, {"spec": {**live.spec, "ports": ports}}, wanted)


def fitted(live: ServiceView, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the live Service can become of the manifest: one with an address, as KubeRay may make it, keeps that."""
    if is_headless(live.spec) or not is_headless(wanted["spec"]):
        return wanted
    return {**wanted, "spec": {key: value for key, value in wanted["spec"].items() if key != "clusterIP"}}


def has_drifted(meta: Meta, content: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether applying the (stamped) manifest would change a live object with this metadata and content."""
    metadata = wanted["metadata"]
    return not (
        holds(content, {key: wanted[key] for key in wanted.keys() - {"apiVersion", "kind", "metadata"}})
        and metadata.get("labels", {}).items() <= meta.labels.items()
        and metadata.get("annotations", {}).items() <= meta.annotations.items()
    )


def disown(live: ServiceView) -> Patch | None:
    """Take the fields of a Service from the one who made it, as KubeRay, so that the next apply may remove some.

    To server-side apply a field of two managers stays until both leave it out. A port could never get another number.
    """
    if live.foreign_entry is None:
        return None
    same = {"op": "test", "path": "/metadata/resourceVersion", "value": live.meta.version}
    entry = {"op": "remove", "path": f"/metadata/managedFields/{live.foreign_entry}"}
    return Patch(kind=Kind.SERVICE, name=live.meta.name, operations=(same, entry))


def _number(port: Mapping[str, Any]) -> tuple[Any, Any]:
    return port["port"], port.get("protocol", "TCP")


def is_headless(spec: Mapping[str, Any]) -> bool:
    """Whether the Service has no address of its own, which the API server never changes."""
    return spec.get("clusterIP") == "None"


def holds(live: Any, wanted: Any) -> bool:
    """Whether everything wanted is there; more may be.

    The API server keeps no empty values (`false`, 0, an empty list), and chooses something in the place of some. So one
    asks for nothing where there is nothing, and an empty word never does.
    """
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            holds(live[key], value) if key in live else not value for key, value in wanted.items()
        )
    if wanted is None or wanted == "":
        return True
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(holds, live, wanted))
    return bool(live == wanted)
