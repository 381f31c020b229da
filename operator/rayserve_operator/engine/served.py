"""Which of our fields the API server keeps: behind KubeRay's CRDs, or those of another release, some do not exist."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rayserve_operator.engine.ports import Kube
from rayserve_operator.model.base import Model
from rayserve_operator.model.errors import NotFound, Refused
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.schema import Path, lacking, structural, without
from rayserve_operator.planning.actions import Kind

logger = logging.getLogger(__name__)

_MODELS: Mapping[Kind, Mapping[str, type[Model]]] = {
    Kind.RAY_SERVICE: {"spec": RayServiceSpec, "status": RayServiceStatus},
    Kind.RAY_CLUSTER: {"spec": RayClusterSpec, "status": RayClusterStatus},
}


@dataclass(frozen=True, slots=True)
class Served:
    """What the API server drops of a status."""

    dropped: Mapping[Kind, frozenset[Path]] = field(default_factory=dict)

    @classmethod
    async def learn(cls, kube: Kube) -> Served:
        """Compare the models with the CRDs that are installed, and say once what these lack."""
        return cls({kind: await _dropped(kube, kind) for kind in _MODELS})

    def is_news(
        self, kind: Kind, status: RayServiceStatus | RayClusterStatus, before: RayServiceStatus | RayClusterStatus
    ) -> bool:
        """Whether writing the status would change the one before, but for a time that says only when it was written."""
        if status == before:
            return False
        dropped = self.dropped.get(kind)
        return not dropped or _kept(status, dropped) != _kept(before, dropped)


def _kept(status: RayServiceStatus | RayClusterStatus, dropped: frozenset[Path]) -> Any:
    return without({**status.manifest(), "lastUpdateTime": None}, dropped)


async def _dropped(kube: Kube, kind: Kind) -> frozenset[Path]:
    try:
        served = await kube.schema(kind)
    except (NotFound, Refused) as error:
        logger.warning("Cannot tell which fields of %s are served, so all of them are taken to be: %s", kind, error)
        return frozenset()
    parts = {part: {"properties": {part: structural(model)}} for part, model in _MODELS[kind].items()}
    missing = {part: sorted(lacking(served, wanted)) for part, wanted in parts.items()}
    if told := [".".join(path) for paths in missing.values() for path in paths]:
        logger.warning(
            "The CRD of %s lacks %s: defaults hold for what users would set there. The CRDs of this release have them",
            kind,
            ", ".join(told).replace(".[]", "[]"),
        )
    return frozenset(path[1:] for path in missing["status"])
