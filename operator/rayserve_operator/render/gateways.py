"""The Gateway and the HTTPRoute of a RayService, in KubeRay's form.

Like Services they are written by server-side apply and hold only what is ours to say, so that listeners, addresses and
annotations that somebody adds to a Gateway stay.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rayserve_operator.model.objects import RAY_SERVICE, RayCluster, RayService, owner_reference
from rayserve_operator.model.rayservice import ClusterUpgradeOptions
from rayserve_operator.render import labels, names, ports

API_VERSION: Final = "gateway.networking.k8s.io/v1"

_LISTENER: Final[Mapping[str, Any]] = {"name": "http", "port": 80, "protocol": "HTTP"}
_EVERYTHING: Final[Mapping[str, Any]] = {"path": {"type": "PathPrefix", "value": "/"}}


def gateway(service: RayService, class_name: str) -> dict[str, Any]:
    """The Gateway that is made where only a GatewayClass is given."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Gateway",
        "metadata": _metadata(service, names.gateway_name(service.meta.name)),
        "spec": {"gatewayClassName": class_name, "listeners": [dict(_LISTENER)]},
    }


def http_route(
    service: RayService, options: ClusterUpgradeOptions, weights: Iterable[tuple[RayCluster, int]]
) -> dict[str, Any]:
    """The HTTPRoute that leads all requests to the Services of clusters.

    Args:
        service: the RayService.
        options: name the Gateway that it is attached to; without one it is that of the RayService.
        weights: the clusters, each with the share of the requests that it takes, in percent.
    """
    given = options.gateway
    parent = {"name": names.gateway_name(service.meta.name)} if given is None else given.manifest()
    return {
        "apiVersion": API_VERSION,
        "kind": "HTTPRoute",
        "metadata": _metadata(service, names.http_route_name(service)),
        "spec": {
            "parentRefs": [{"namespace": service.meta.namespace, **parent}],
            "rules": [
                {
                    "matches": [dict(_EVERYTHING)],
                    "backendRefs": [backend(cluster, weight) for cluster, weight in weights],
                }
            ],
        },
    }


def backend(cluster: RayCluster, weight: int) -> dict[str, Any]:
    """What leads from a route to the Serve proxies of one cluster."""
    [port, *_] = ports.serve_ports(cluster)
    return {"name": names.cluster_serve_service_name(cluster.meta.name), "port": port["port"], "weight": weight}


def _metadata(service: RayService, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": service.meta.namespace,
        "labels": labels.origin(RAY_SERVICE, service.meta.name),
        "ownerReferences": [owner_reference(RAY_SERVICE, service.meta)],
    }
