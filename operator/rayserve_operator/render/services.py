"""The Services of clusters and of RayServices.

They are written by server-side apply and hold only what is ours to say. All carry the label of what they were made
for, by which the operator's watch on Services is narrowed.
"""

from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.objects import RAY_CLUSTER, RAY_SERVICE, Meta, RayCluster, RayService, owner_reference
from rayserve_operator.render import labels, names, ports
from rayserve_operator.render.containers import without_empty
from rayserve_operator.render.metadata import head_selector, worker_selector
from rayserve_operator.render.node import runs_service


def cluster_head_service(cluster: RayCluster) -> dict[str, Any]:
    """The Service that leads to one cluster's head."""
    return _service(
        names.head_service_name(cluster),
        owner_reference(RAY_CLUSTER, cluster.meta),
        cluster.meta,
        labels={**head_selector(cluster), **labels.origin(RAY_CLUSTER, cluster.meta.name)},
        annotations=cluster.spec.head_service_annotations,
        spec=_head_spec(cluster),
        custom=cluster.spec.head_group_spec.head_service,
    )


def stable_head_service(service: RayService, cluster: RayCluster) -> dict[str, Any]:
    """The Service of a RayService that leads to the head of its active cluster."""
    name = service.meta.name
    return _service(
        names.stable_head_service_name(name),
        owner_reference(RAY_SERVICE, service.meta),
        service.meta,
        labels={
            **labels.origin(RAY_SERVICE, name),
            labels.NODE_TYPE: labels.HEAD,
            labels.IDENTIFIER: labels.check_label(f"{name}-head"),
        },
        annotations=cluster.spec.head_service_annotations,
        spec=_head_spec(cluster),
        custom=cluster.spec.head_group_spec.head_service,
    )


def stable_serve_service(service: RayService, cluster: RayCluster, *, is_shared: bool = False) -> dict[str, Any]:
    """The Service that clients use: it leads to the Serve proxies of the active cluster, and says which that is.

    While another cluster takes a share of the traffic, it leads to the pods of both that are labelled for it.
    """
    spec = _serve_spec(cluster, {labels.SERVE: "true"})
    if is_shared:
        spec["selector"] = {labels.SERVE: "true", labels.TRAFFIC: labels.check_label(service.meta.name)}
    return _service(
        names.serve_service_name(service),
        owner_reference(RAY_SERVICE, service.meta),
        service.meta,
        labels={**labels.origin(RAY_SERVICE, service.meta.name), labels.SERVE: f"{service.meta.name}-serve"},
        annotations={labels.ACTIVE_CLUSTER: cluster.meta.name},
        spec=spec,
        custom=service.spec.serve_service,
    )


def preview_service(service: RayService, cluster: RayCluster) -> dict[str, Any]:
    """The Service that leads to a new cluster before it takes over."""
    return _service(
        names.preview_service_name(service.meta.name),
        owner_reference(RAY_SERVICE, service.meta),
        service.meta,
        labels={**labels.origin(RAY_SERVICE, service.meta.name), labels.SERVE: f"{service.meta.name}-preview"},
        annotations={},
        spec=_serve_spec(cluster, {labels.SERVE: "true"}),
    )


def cluster_serve_service(cluster: RayCluster) -> dict[str, Any]:
    """A Service that leads to the Serve proxies of one cluster; outside a RayService, to all of its pods."""
    name = cluster.meta.name
    return _service(
        names.cluster_serve_service_name(name),
        owner_reference(RAY_CLUSTER, cluster.meta),
        cluster.meta,
        labels={
            **labels.origin(RAY_CLUSTER, name),
            labels.CLUSTER: name,
            labels.SERVE: labels.check_label(f"{name}-serve"),
        },
        annotations={},
        spec=_serve_spec(cluster, {labels.SERVE: "true"} if runs_service(cluster) else {}),
    )


def headless_worker_service(cluster: RayCluster) -> dict[str, Any]:
    """The Service by which the hosts of multi-host replicas find each other, ready or not."""
    name = cluster.meta.name
    return _service(
        names.headless_worker_service_name(name),
        owner_reference(RAY_CLUSTER, cluster.meta),
        cluster.meta,
        labels={**labels.origin(RAY_CLUSTER, name), labels.CLUSTER: name, labels.HEADLESS_SERVICE: name},
        annotations={},
        spec={"clusterIP": "None", "publishNotReadyAddresses": True, "selector": worker_selector(cluster)},
    )


def _head_spec(cluster: RayCluster) -> dict[str, Any]:
    """Headless unless the user asks for more, and led to the head before it is ready: workers wait for it there."""
    head = cluster.spec.head_group_spec
    spec: dict[str, Any] = {"selector": head_selector(cluster), "ports": ports.service_ports(cluster)}
    if head.head_service is None and head.service_type in (None, "", "ClusterIP"):
        return {**spec, "clusterIP": "None", "publishNotReadyAddresses": True}
    return {**spec, **without_empty({"type": head.service_type})}


def _serve_spec(cluster: RayCluster, selector: Mapping[str, str]) -> dict[str, Any]:
    return {
        "selector": {labels.CLUSTER: cluster.meta.name, **selector},
        "ports": ports.serve_ports(cluster),
        **without_empty({"type": cluster.spec.head_group_spec.service_type}),
    }


def _service(
    name: str,
    owner: Mapping[str, Any],
    home: Meta,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    spec: Mapping[str, Any],
    custom: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A Service, made from the user's own where there is one.

    The user's ports come first and the generated ones that fit beside them follow; of the user's type, labels,
    annotations and everything else, only the selector and what we say ourselves is replaced.
    """
    given = (custom or {}).get("spec") or {}
    metadata = (custom or {}).get("metadata") or {}
    generated = spec.get("ports", [])
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": home.namespace,
            "labels": {**(metadata.get("labels") or {}), **labels},
            **without_empty({"annotations": {**(metadata.get("annotations") or {}), **annotations}}),
            "ownerReferences": [owner],
        },
        "spec": {
            **spec,
            **given,
            "selector": spec["selector"],
            **without_empty({"ports": ports.without_clashes([*(given.get("ports") or ()), *generated])}),
        },
    }
