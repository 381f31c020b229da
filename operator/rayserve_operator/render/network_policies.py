"""Which traffic of a cluster's pods is let through (spec.networkPolicy).

The mode denies; these rules allow what the cluster needs to work, and the user's rules allow the rest. What a kubelet
asks of its own pods is not subject to policies.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import NetworkPolicyOptions, NetworkPolicyRules
from rayserve_operator.model.resources import ray_container
from rayserve_operator.render import fault_tolerance, labels, names, ports
from rayserve_operator.render.manifests import of_belonging

OPERATOR: Final = {labels.OPERATOR: "true"}
"""Labels of the operator's own pods."""

_INGRESS, _EGRESS = "Ingress", "Egress"
_DENIED = {"DenyAll": [_INGRESS, _EGRESS], "DenyAllIngress": [_INGRESS], "DenyAllEgress": [_EGRESS]}
_NAMESPACE_NAME = "kubernetes.io/metadata.name"

_LABELS = "matchLabels"
_LEFT_OUT_EMPTY = frozenset({"from", "to", "ports", "except", "matchExpressions", "values", _LABELS})

_DNS = 53
_API_SERVER = (443, 6443)
"""Policies see the port of the Service or that of the process behind it, depending on who enforces them."""
_REDIS = 6379


def network_policies(cluster: RayCluster, *, operator_namespace: str | None = None) -> list[dict[str, Any]]:
    """One policy for the head and one for each worker group; none where spec.networkPolicy is unset.

    Whatever is denied, these stay allowed: traffic among the cluster's own pods, DNS, the head's way to the API server
    under autoscaling and to Redis where the GCS keeps its state there, and the operator's way to the pods.

    Serve's port is not opened to anybody else, not even for a RayService: who denies ingress wants to name the callers.
    The port asks for no credentials, and the token of `authOptions` does not protect it. That it is closed is seen at
    the first request; that it was left open would be seen by nobody. So the callers belong into the `ingressRules` of
    `head` and of `worker`, which both take traffic, as do Prometheus and the controller of the dashboard's Ingress into
    those of the pods that they reach. It is so in KubeRay, too, whose rules therefore mean the same here.

    Args:
        cluster: the cluster.
        operator_namespace: where the operator runs. None takes every pod in every namespace that is labelled like the
            operator for it, and so lets whoever can make pods reach the dashboard.
    """
    policy = cluster.spec.network_policy
    if policy is None:
        return []
    head, workers = {labels.NODE_TYPE: labels.HEAD}, {labels.NODE_TYPE: labels.WORKER}
    return [
        _policy(
            cluster,
            policy,
            names.head_policy_name(cluster.meta.name),
            head,
            ingress=[
                *_among_pods(cluster, "from"),
                _from_operator(cluster, cluster.spec.head_group_spec, operator_namespace),
            ],
            egress=[*_among_pods(cluster, "to"), _to_dns(), *_from_head(cluster)],
            rules=[policy.head],
        ),
        *(
            _policy(
                cluster,
                policy,
                names.workers_policy_name(cluster.meta.name, group.group_name),
                {**workers, labels.GROUP: group.group_name},
                ingress=[*_among_pods(cluster, "from"), _from_operator(cluster, group, operator_namespace)],
                egress=[*_among_pods(cluster, "to"), _to_dns()],
                rules=[policy.worker, *(own for own in policy.worker_groups if own.group_name == group.group_name)],
            )
            for group in cluster.spec.worker_group_specs
        ),
    ]


def _policy(
    cluster: RayCluster,
    policy: NetworkPolicyOptions,
    name: str,
    selected: Mapping[str, str],
    *,
    ingress: list[dict[str, Any]],
    egress: list[dict[str, Any]],
    rules: list[NetworkPolicyRules | None],
) -> dict[str, Any]:
    """A policy with the rules for the directions that it denies; those for another would have no effect."""
    given = [own for own in rules if own is not None]
    directions = {
        _INGRESS: ("ingress", [*ingress, *(rule for own in given for rule in own.ingress_rules)]),
        _EGRESS: ("egress", [*egress, *(rule for own in given for rule in own.egress_rules)]),
    }
    denied = _DENIED[policy.mode or "DenyAll"]
    own = cluster.meta
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": of_belonging(cluster, name),
        "spec": {
            "podSelector": {_LABELS: {labels.CLUSTER: own.name, **selected}},
            "policyTypes": denied,
            **{key: _as_stored(allowed) for key, allowed in (directions[direction] for direction in denied)},
        },
    }


def _among_pods(cluster: RayCluster, direction: str) -> Iterator[dict[str, Any]]:
    yield {direction: [{"podSelector": {_LABELS: {labels.CLUSTER: cluster.meta.name}}}]}


def _from_operator(cluster: RayCluster, group: ports.Group, namespace: str | None) -> dict[str, Any]:
    """The operator asks the dashboard for the state of Serve, and every pod whether it serves and how busy it is."""
    place = {_LABELS: {_NAMESPACE_NAME: namespace}} if namespace else {}
    asked = {ports.serve_port(cluster, group), ports.metrics_port(group)}
    if group is cluster.spec.head_group_spec:
        asked.add(ports.dashboard_port(cluster))
    return {
        "from": [{"namespaceSelector": place, "podSelector": {_LABELS: OPERATOR}}],
        "ports": [_tcp(port) for port in sorted(asked)],
    }


def _to_dns() -> dict[str, Any]:
    """To any address: caches of DNS run on the node itself, out of the reach of selectors."""
    return {"ports": [{"protocol": "UDP", "port": _DNS}, _tcp(_DNS)]}


def _from_head(cluster: RayCluster) -> Iterator[dict[str, Any]]:
    """Where only the head has to go, at whatever address: names are no part of policies, and addresses change."""
    if cluster.spec.autoscaling:
        yield {"ports": [_tcp(port) for port in _API_SERVER]}
    if fault_tolerance.storage_namespace(cluster) is not None:
        yield {"ports": [_tcp(port) for port in _redis_ports(cluster)]}


def _redis_ports(cluster: RayCluster) -> list[int]:
    """The ports in the address of Redis as far as it can be read; it may also come from a Secret."""
    options = cluster.spec.gcs_fault_tolerance_options
    variables = ray_container(cluster.spec.head_group_spec.template).get("env") or ()
    given = next((entry.get("value") for entry in variables if entry["name"] == "RAY_REDIS_ADDRESS"), None)
    addresses = given or (options.redis_address if options is not None else None) or ""
    return sorted({_port(address.strip()) for address in addresses.split(",")})


def _port(address: str) -> int:
    try:
        return urlsplit(address if "://" in address else f"//{address}").port or _REDIS
    except ValueError:
        return _REDIS


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}


def _as_stored(rules: Any) -> Any:
    """The rules without what the API server does not keep, so that what is stored can be compared with what is wanted.

    Labels are left as they are, even where one has no value: a selector with fewer of them would select more.
    """
    if isinstance(rules, list):
        return [_as_stored(rule) for rule in rules]
    if not isinstance(rules, Mapping):
        return rules
    return {
        key: value if key == _LABELS else _as_stored(value)
        for key, value in rules.items()
        if value is not None and (value or key not in _LEFT_OUT_EMPTY)
    }
