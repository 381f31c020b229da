"""What lies between two goals of a RayService, and how it would be brought about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.serve import DeployedConfig
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.service.goal import Goal


@dataclass(frozen=True, slots=True)
class Edit:
    """Paths in a RayService's spec that differ."""

    rebuilding: tuple[str, ...]
    """Those that only a new cluster can change."""
    patched: tuple[str, ...]
    """Those that are patched into the running cluster."""
    submitted: tuple[str, ...]
    """Those that are sent to Ray, which changes its applications in place."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them, those with the greatest consequences first."""
        return (*self.rebuilding, *self.patched, *self.submitted)


def between(before: Goal, after: Goal) -> Edit:
    """The edit that leads from one goal to another."""
    return reaching(after, before.spec.ray_cluster_config, before.serve.cluster_part, before.serve.as_deployed)


def reaching(after: Goal, base: RayClusterSpec, options: Mapping[str, Any] | None, deployed: DeployedConfig) -> Edit:
    """The edit that leads to a goal from what there is.

    Args:
        after: the goal.
        base: the spec of a living cluster.
        options: the options of Serve itself that it was made for; None where that is not known.
        deployed: the applications that run on it.
    """
    return Edit(
        rebuilding=after.beyond(base, options),
        patched=tuple(f"rayClusterConfig.{path}" for path in compare(base, after.spec.ray_cluster_config).edited),
        submitted=tuple(f"serveConfigV2:{path}" for path in after.serve.differences(deployed)),
    )
