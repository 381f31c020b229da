"""The ControllerRevisions of a RayService: every pair of cluster part and Serve config that was once its goal."""

from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.objects import RAY_SERVICE, RayService, owner_reference
from rayserve_operator.render import labels


def controller_revision(
    service: RayService, name: str, number: int, data: Mapping[str, Any], annotations: Mapping[str, str]
) -> dict[str, Any]:
    """A ControllerRevision. Kubernetes never lets its data change; number and annotations may.

    Args:
        service: its owner.
        name: its name, made from its content.
        number: higher than those of all other revisions whenever this one becomes the goal.
        data: what it holds.
        annotations: the state of its rollout.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": service.meta.namespace,
            "labels": labels.origin(RAY_SERVICE, service.meta.name),
            "annotations": dict(annotations),
            "ownerReferences": [owner_reference(RAY_SERVICE, service.meta)],
        },
        "data": dict(data),
        "revision": number,
    }
