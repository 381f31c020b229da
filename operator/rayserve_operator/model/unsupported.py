"""Fields that are accepted, because KubeRay has them, and have no effect yet. None is passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from rayserve_operator.model.rayservice import ClusterUpgradeOptions, RayServiceSpec

WITHOUT_EFFECT = frozenset({"serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold"})
"""Fields of a RayService that KubeRay takes and does nothing by, either."""


def unsupported_in_service(spec: RayServiceSpec) -> tuple[str, ...]:
    """Fields of a RayService that are set and have no effect, or not all of it."""
    strategy = spec.upgrade_strategy
    if strategy is None or strategy.type != "NewClusterWithIncrementalUpgrade" or spec.ray_cluster_config.autoscaling:
        return ()
    return tuple(_of_fixed_size(strategy.cluster_upgrade_options or ClusterUpgradeOptions()))


def _of_fixed_size(options: ClusterUpgradeOptions) -> Iterator[str]:
    path = "spec.upgradeStrategy.clusterUpgradeOptions"
    if options.max_surge_percent not in (None, 100):
        yield f"{path}.maxSurgePercent (it needs enableInTreeAutoscaling)"
