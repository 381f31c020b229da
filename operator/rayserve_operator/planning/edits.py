"""What lies between two goals of a RayService, and how it would be brought about."""

from __future__ import annotations

from dataclasses import dataclass

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
    base = before.spec.ray_cluster_config
    deployed = DeployedConfig(before.serve.applications, before.serve.document.get("target_capacity"))
    return Edit(
        rebuilding=after.beyond(base, before.serve.cluster_part),
        patched=tuple(f"rayClusterConfig.{path}" for path in compare(base, after.spec.ray_cluster_config).edited),
        submitted=tuple(f"serveConfigV2:{path}" for path in after.serve.differences(deployed)),
    )
