"""Fields that are accepted, because KubeRay has them, and have no effect yet. None is passed over in silence."""

from __future__ import annotations

from collections.abc import Iterator

from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec


def unsupported_in_service(spec: RayServiceSpec) -> tuple[str, ...]:
    """Paths of a RayService's fields that are set and have no effect, or not all of it."""
    return tuple(_service(spec))


def unsupported_in_cluster(spec: RayClusterSpec) -> tuple[str, ...]:
    """Paths of a RayCluster's fields that are set and have no effect, or not all of it."""
    return tuple(_cluster(spec, "spec"))


def _service(spec: RayServiceSpec) -> Iterator[str]:
    if spec.suspend:
        yield "spec.suspend"
    if spec.upgrade_strategy and spec.upgrade_strategy.type == "NewClusterWithIncrementalUpgrade":
        yield "spec.upgradeStrategy.type NewClusterWithIncrementalUpgrade (traffic moves at once)"
    yield from _cluster(spec.ray_cluster_config, "spec.rayClusterConfig")


def _cluster(spec: RayClusterSpec, path: str) -> Iterator[str]:
    head = spec.head_group_spec
    is_set = {
        "authOptions": spec.auth_options is not None and spec.auth_options.mode == "token",
        "gcsFaultToleranceOptions": spec.gcs_fault_tolerance_options is not None,
        "networkPolicy": spec.network_policy is not None,
        "tlsOptions": spec.tls_options is not None and bool(spec.tls_options.enabled),
        "upgradeStrategy.type Recreate": spec.upgrade_strategy is not None and spec.upgrade_strategy.type == "Recreate",
        "headGroupSpec.enableIngress": bool(head.enable_ingress),
        "headGroupSpec.ingressOptions": head.ingress_options is not None,
    }
    yield from (f"{path}.{field}" for field, found in is_set.items() if found)
    for index, group in enumerate(spec.worker_group_specs):
        if (group.num_of_hosts or 1) > 1:
            yield f"{path}.workerGroupSpecs[{index}].numOfHosts (the pods of a replica come and go one by one)"
