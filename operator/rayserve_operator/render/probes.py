"""When the kubelet takes a Ray container for started, alive and ready.

All are HTTP requests by the kubelet itself: a command run in the container costs a process each time, and `ray
health-check` more than a second of CPU. Only a node's own raylet and proxy are asked. A control store that hangs
leaves traffic unharmed, and its health check flaps on a busy machine, so it neither stops nor hides a pod.
"""

from collections.abc import Mapping
from typing import Any

from rayserve_operator.render.node import Node, runs_service
from rayserve_operator.render.ports import ServeFacts, agent_port, serve_port

Probe = Mapping[str, Any]

_START_UP = {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 600}
"""Ray answers in 4 s at best. Loading large models on the way may take it minutes; ten are allowed."""

_LIVENESS = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 120}
"""Ten minutes, as in KubeRay: Ray ends by itself when a part of it dies, so this is for what hangs for good."""

_RAYLET_READINESS = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 10}
"""Nothing hangs on how fast this one fails."""

_PROXY_READINESS = {"periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 3}
"""A refusing or draining proxy leaves the Service within 6 s, well inside the 30 s that a draining one still serves.
One that merely answers late under load has to miss three in a row."""


def probes(node: Node) -> dict[str, Probe]:
    """The probes of a Ray container: each of the user's own as it is, the others as described here."""
    given = {
        key: node.container[key]
        for key in ("startupProbe", "livenessProbe", "readinessProbe")
        if node.container.get(key)
    }
    if not node.options.inject_probes:
        return given
    raylet = _http(agent_port(node.group), "/api/local_raylet_healthz")
    return {
        "startupProbe": {**raylet, **_START_UP},
        "livenessProbe": {**raylet, **_LIVENESS},
        "readinessProbe": _proxy_readiness(node) or {**raylet, **_RAYLET_READINESS},
        **given,
    }


def _proxy_readiness(node: Node) -> Probe | None:
    """The check of the Serve proxy, for workers that may run one.

    The head has a proxy always, and it never reports draining, so the operator keeps the head in or out of the
    Service by a label instead.
    """
    facts = ServeFacts.of(node.cluster)
    if node.is_head or not facts.on_workers or not runs_service(node.cluster):
        return None
    check = _http(serve_port(node.cluster, node.group), "/-/healthz", https=facts.https)
    return {**check, **_PROXY_READINESS}


def _http(port: int, path: str, *, https: bool = False) -> dict[str, Any]:
    scheme = {"scheme": "HTTPS"} if https else {}
    return {"httpGet": {"path": path, "port": port, **scheme}}
