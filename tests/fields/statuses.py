"""The fields of the two statuses that plans fill in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, OTHER_APP, ago, aim_at, cluster, revision, service_spec, world
from .effects import cluster_moments, service_moments
from .fields import Field, fields
from .values import base

_COPIED = frozenset({"activeServiceStatus.rayClusterStatus", "pendingServiceStatus.rayClusterStatus"})
"""The RayCluster's own status within that of the RayService."""

CLUSTER_STATUS = fields(RayClusterStatus)
SERVICE_STATUS = fields(RayServiceStatus, whole=_COPIED)


@cache
def is_filled_in(field: Field) -> bool:
    """Whether a plan that starts from an empty status sets the field."""
    statuses = _of_service() if field in SERVICE_STATUS else _of_cluster()
    return any(
        value not in (None, "", {}, []) for status in statuses for value in _found(status, field.path.split("."))
    )


@cache
def _of_cluster() -> list[dict[str, Any]]:
    moments = cluster_moments(base(of_service=False), of_service=False)
    return [plan_cluster(observed, RenderOptions(), NOW).status.manifest() for _, observed in moments]


@cache
def _of_service() -> list[dict[str, Any]]:
    first, second = aim_at(service_spec()), aim_at(service_spec(app=f"{OTHER_APP}\nhttp_options: {{port: 8001}}"))
    half = {labels.CAPACITY: json.dumps({"percent": 50, "since": ago(60)})}
    found = [
        cluster("demo-a", first, routed=600, serve=_words(), notes=half),
        cluster("demo-b", second, serve=_words(), notes=half),
    ]
    status = RayClusterStatus(state="ready")
    found = [replace(one, cluster=replace(one.cluster, status=status)) for one in found]
    observed = world(second, *found, active=found[0], revisions=(revision(first), revision(second, 2)))
    moments = [(second, observed), *((first, observed) for _, observed in service_moments(service_spec()))]
    return [plan_service(observed, aim, NOW).status.manifest() for aim, observed in moments]


def _words() -> ServeStatus:
    """An answer of Ray in which every word is given."""
    deployment = {"status": "UNHEALTHY", "message": "it fails"}
    app = {"status": "DEPLOYING", "message": "it waits", "deployments": {"model": deployment}}
    return ServeStatus.parse({"controller_info": {"node": "a"}, "applications": {"app": app}})


def _found(value: Any, steps: list[str]) -> Iterator[Any]:
    """The values at a path, in every item of lists and of maps."""
    if not steps:
        yield value
    elif steps[0] == "*" and isinstance(value, dict):
        for child in value.values():
            yield from _found(child, steps[1:])
    elif isinstance(value, dict):
        name = steps[0].removesuffix("[]")
        children = value.get(name) or [] if name != steps[0] else [value.get(name)]
        for child in children:
            yield from _found(child, steps[1:])
