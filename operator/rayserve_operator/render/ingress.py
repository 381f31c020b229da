"""The Ingress of the head's dashboard."""

from typing import Any

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import IngressOptions
from rayserve_operator.render import labels, names, ports
from rayserve_operator.render.containers import without_empty
from rayserve_operator.render.manifests import of_belonging
from rayserve_operator.render.services import cluster_head_service

_CLASS = "kubernetes.io/ingress.class"
_OF_RAY = ("ray.io/", labels.PREFIX)


def head_ingress(cluster: RayCluster) -> dict[str, Any] | None:
    """The Ingress; None unless headGroupSpec.enableIngress asks for one.

    What controllers go by stands in annotations that no list could hold. So the RayCluster's own are taken over, as in
    KubeRay, apart from those that are about the RayCluster; the class of the Ingress among them goes where Kubernetes
    has it now.
    """
    head, own = cluster.spec.head_group_spec, cluster.meta
    if not head.enable_ingress:
        return None
    options = head.ingress_options or IngressOptions()
    taken = labels.copied(own.annotations).items()
    annotations = {key: value for key, value in taken if key != _CLASS and not key.startswith(_OF_RAY)}
    metadata = of_belonging(cluster, names.head_ingress_name(own.name), **without_empty({"annotations": annotations}))
    rule = {"host": options.host, "http": {"paths": [_path(cluster, options)]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {
            **without_empty({"ingressClassName": own.annotations.get(_CLASS)}),
            "rules": [without_empty(rule)],
            **without_empty({"tls": [entry.manifest() for entry in options.tls]}),
        },
    }


def _path(cluster: RayCluster, options: IngressOptions) -> dict[str, Any]:
    return {
        "path": options.path or f"/{cluster.meta.name}/(.*)",
        # The default path is a pattern, which is for the controller to understand.
        "pathType": options.path_type or "ImplementationSpecific",
        "backend": {
            "service": {"name": names.head_service_name(cluster), "port": {"number": _dashboard_port(cluster)}},
        },
    }


def _dashboard_port(cluster: RayCluster) -> int:
    """The port of the head Service that leads to the dashboard; the user's own may have another number."""
    listed = cluster_head_service(cluster)["spec"]["ports"]
    named = (int(port["port"]) for port in listed if port.get("name") == ports.DASHBOARD)
    return next(named, ports.dashboard_port(cluster))
