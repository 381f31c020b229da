"""Fields that are accepted, because KubeRay has them, and have no effect yet. None is passed over in silence."""

from __future__ import annotations

from rayserve_operator.model.rayservice import RayServiceSpec


def unsupported_in_service(spec: RayServiceSpec) -> tuple[str, ...]:
    """Fields of a RayService that are set and have no effect, or not all of it."""
    strategy = spec.upgrade_strategy
    if strategy is not None and strategy.type == "NewClusterWithIncrementalUpgrade":
        return ("spec.upgradeStrategy.type NewClusterWithIncrementalUpgrade (traffic moves at once)",)
    return ()
