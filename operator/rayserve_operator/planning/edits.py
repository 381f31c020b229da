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
    diff = compare(before.spec.ray_cluster_config, after.spec.ray_cluster_config)
    was, is_now = before.serve.cluster_part, after.serve.cluster_part
    options = sorted(key for key in was.keys() | is_now.keys() if was.get(key) != is_now.get(key))
    deployed = DeployedConfig(before.serve.applications, before.serve.document.get("target_capacity"))
    return Edit(
        rebuilding=(
            *(f"rayClusterConfig.{path}" for path in diff.rebuild),
            *(f"serveConfigV2:{key}" for key in options),
        ),
        patched=tuple(f"rayClusterConfig.{path}" for path in diff.edited),
        submitted=tuple(f"serveConfigV2:{path}" for path in after.serve.differences(deployed)),
    )
