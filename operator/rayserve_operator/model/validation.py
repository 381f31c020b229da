"""What must hold before a spec can be acted upon.

The API server refuses most of this at the door when our CRDs are installed; behind KubeRay's it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rayserve_operator.model.problems import InvalidSpec, Problem, first_of
from rayserve_operator.model.raycluster import RayClusterSpec, WorkerGroupSpec
from rayserve_operator.model.rayservice import RayServiceSpec, ServiceUpgradeStrategy
from rayserve_operator.model.resources import parse_quantity
from rayserve_operator.model.serve_parsing import serve_config_of

CLUSTER_NAME_LENGTH = 53
SERVICE_NAME_LENGTH = 47
DNS_LABEL = "^[a-z]([-a-z0-9]*[a-z0-9])?$"


def validate_service(name: str, namespace: str, spec: RayServiceSpec) -> list[Problem]:
    """The problems of a RayService."""
    return first_of(_service(name, namespace, spec), "spec")


def validate_cluster(name: str, namespace: str, spec: RayClusterSpec) -> list[Problem]:
    """The problems of a RayCluster."""
    return first_of([*_name(name, CLUSTER_NAME_LENGTH), *_cluster("spec", namespace, spec)], "spec")


def _service(name: str, namespace: str, spec: RayServiceSpec) -> Iterator[Problem]:
    yield from _name(name, SERVICE_NAME_LENGTH)
    yield from _cluster("spec.rayClusterConfig", namespace, spec.ray_cluster_config)
    head_service = spec.ray_cluster_config.head_group_spec.head_service
    if _metadata(head_service).get("name"):
        yield Problem(
            "spec.rayClusterConfig.headGroupSpec.headService.metadata.name",
            "would give the old and the new cluster of a rollout one Service",
            "leave it out",
            "RS005",
        )
    yield from _service_template("spec.serveService", namespace, spec.serve_service)
    if spec.recreates and spec.upgrade_strategy is not None:
        yield from _recreation("spec.upgradeStrategy", spec.upgrade_strategy)
    try:
        serve_config_of(spec)
    except InvalidSpec as invalid:
        yield from invalid.problems


def _recreation(path: str, strategy: ServiceUpgradeStrategy) -> Iterator[Problem]:
    """What is about two clusters side by side, where there is never more than one."""
    for field, is_given in (
        ("clusterUpgradeOptions", strategy.cluster_upgrade_options is not None),
        ("analysis", strategy.analysis is not None),
        ("autoPromotion", strategy.auto_promotion is False),
        ("previewService", strategy.preview_service),
    ):
        if is_given:
            words, mend = "needs a second cluster, and type is Recreate", "leave it out, or write type: NewCluster"
            yield Problem(f"{path}.{field}", words, mend, "RS013")


def _name(name: str, longest: int) -> Iterator[Problem]:
    if len(name) > longest:
        yield Problem("metadata.name", f"has {len(name)} characters", f"use {longest} at most", "RS003")
    if not re.fullmatch(DNS_LABEL, name):
        yield Problem(
            "metadata.name", f"is {name}", "use lower-case letters, digits and '-', beginning with a letter", "RS003"
        )


def _cluster(path: str, namespace: str, spec: RayClusterSpec) -> Iterator[Problem]:
    head = spec.head_group_spec
    yield from _containers(f"{path}.headGroupSpec.template", head.template)
    yield from _amounts(f"{path}.headGroupSpec.resources", head.resources)
    yield from _service_template(f"{path}.headGroupSpec.headService", namespace, head.head_service)
    if spec.history_server_options is not None:
        yield Problem(f"{path}.historyServerOptions", "is not supported", "leave it out", "RS009")
    if spec.auth_options is not None and spec.auth_options.enable_k8s_token_auth:
        yield Problem(f"{path}.authOptions.enableK8sTokenAuth", "is not supported", "use mode: token instead", "RS009")
    seen: set[str] = set()
    for index, group in enumerate(spec.worker_group_specs):
        at = f"{path}.workerGroupSpecs[{index}]"
        if group.group_name in seen:
            yield Problem(
                f"{at}.groupName", f"is {group.group_name} again", "give each group a name of its own", "RS007"
            )
        seen.add(group.group_name)
        yield from _containers(f"{at}.template", group.template)
        yield from _amounts(f"{at}.resources", group.resources)
        yield from _bounds(at, group)


def _containers(path: str, template: Mapping[str, Any]) -> Iterator[Problem]:
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    if not containers:
        yield Problem(f"{path}.spec.containers", "is empty", "add the container that runs Ray", "RS006")
    elif not isinstance(containers, list) or not all(isinstance(container, Mapping) for container in containers):
        yield Problem(
            f"{path}.spec.containers", "is not a list of containers", "write each with a name and an image", "RS006"
        )
    else:
        for index, container in enumerate(containers):
            yield from _resources(f"{path}.spec.containers[{index}].resources", container.get("resources"))


def _resources(path: str, resources: Any) -> Iterator[Problem]:
    if not isinstance(resources or {}, Mapping):
        yield Problem(path, "is not a mapping", "write requests and limits under it", "RS010")
        return
    for bound in ("requests", "limits"):
        yield from _amounts(f"{path}.{bound}", (resources or {}).get(bound))


def _amounts(path: str, amounts: Any) -> Iterator[Problem]:
    if not isinstance(amounts or {}, Mapping):
        yield Problem(path, "is not a mapping", "write cpu: and memory: under it", "RS010")
        return
    for name, quantity in (amounts or {}).items():
        try:
            parse_quantity(str(quantity))
        except ValueError:
            yield Problem(f"{path}.{name}", f"is {quantity}, which is no quantity", "write it as 500m or 2Gi", "RS010")


def _bounds(path: str, group: WorkerGroupSpec) -> Iterator[Problem]:
    low, high = group.min_replicas or 0, group.max_replicas
    if high is not None and low > high:
        yield Problem(
            f"{path}.maxReplicas",
            f"is {high} and minReplicas is {low}",
            "raise maxReplicas or lower minReplicas",
            "RS008",
        )


def _service_template(path: str, namespace: str, service: Mapping[str, Any] | None) -> Iterator[Problem]:
    for part in ("metadata", "spec"):
        if not isinstance((service or {}).get(part) or {}, Mapping):
            yield Problem(f"{path}.{part}", "is not a mapping", "write it as in a Service", "RS004")
    named = _metadata(service).get("namespace")
    if named and named != namespace:
        yield Problem(
            f"{path}.metadata.namespace", f"is {named}", f"leave it out: everything is made in {namespace}", "RS004"
        )


def _metadata(service: Mapping[str, Any] | None) -> Mapping[str, Any]:
    metadata = (service or {}).get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}
