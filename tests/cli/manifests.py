"""Objects as the API server holds them, for the commands."""

from __future__ import annotations

import json
from typing import Any

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import labels

UID = "uid-demo"
NAMESPACE = "default"


def owned(name: str, notes: dict[str, str], uid: str = UID) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "annotations": notes,
        "ownerReferences": [{"uid": uid, "controller": True}],
    }


def ray_service(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "demo", "namespace": NAMESPACE, "uid": UID, "resourceVersion": "7", **metadata},
        "spec": spec,
    }


def revision(number: int, spec: dict[str, Any], failed: str | None = None, uid: str = UID) -> dict[str, Any]:
    notes = {labels.STARTED_AT: "2030-01-01T11:00:00+00:00"}
    if failed is not None:
        notes[labels.FAILED] = json.dumps({"reason": failed, "message": "it does not start"})
    return {
        "metadata": owned(f"demo-{number}", notes, uid),
        "revision": number,
        "data": {"spec": _stored(spec)},
    }


def _stored(spec: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = Goal.parse(Meta.parse(ray_service(spec)), spec).data["spec"]
    return stored


def ray_cluster(name: str, number: int) -> dict[str, Any]:
    return {"metadata": owned(name, {labels.REVISION: f"demo-{number}"})}


def serve_service(active: str) -> dict[str, Any]:
    return {"metadata": owned("demo-serve-svc", {labels.ACTIVE_CLUSTER: active})}
