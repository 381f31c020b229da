"""Where the processes of a Ray cluster listen.

What Ray is started with decides. A container port's name only says so, and counts where Ray is started by the user.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from rayserve_operator.model.addresses import authority
from rayserve_operator.model.objects import RayCluster
from rayserve_operator.model.raycluster import HeadGroupSpec, WorkerGroupSpec
from rayserve_operator.model.resources import ray_container
from rayserve_operator.model.serve import without_defaults
from rayserve_operator.render import labels

CLIENT: Final = "client"
GCS: Final = "gcs-server"
DASHBOARD: Final = "dashboard"
METRICS: Final = "metrics"
SERVE: Final = "serve"

_FLAG = {CLIENT: "ray-client-server-port", GCS: "port", DASHBOARD: "dashboard-port", METRICS: "metrics-export-port"}
_DEFAULT = {CLIENT: 10001, GCS: 6379, DASHBOARD: 8265, METRICS: 8080, SERVE: 8000}
_AGENT_FLAG, _AGENT_DEFAULT = "dashboard-agent-listen-port", 52365

Group = HeadGroupSpec | WorkerGroupSpec


def gcs_port(cluster: RayCluster) -> int:
    """Where the head's control store listens, which workers join the cluster through."""
    return _started_with(GCS, cluster.spec.head_group_spec) or _DEFAULT[GCS]


def dashboard_port(cluster: RayCluster) -> int:
    """Where the head's dashboard listens, which the Serve REST API is part of."""
    head = cluster.spec.head_group_spec
    return _started_with(DASHBOARD, head) or _declared(DASHBOARD, head) or _DEFAULT[DASHBOARD]


def dashboard_address(cluster: RayCluster, head_ip: str) -> str:
    """`host:port` of the dashboard of a head that has this address."""
    return authority(head_ip, dashboard_port(cluster))


def metrics_port(group: Group) -> int:
    """Where a node exports Prometheus metrics."""
    return _started_with(METRICS, group) or _DEFAULT[METRICS]


def agent_port(group: Group) -> int:
    """Where a node's dashboard agent listens, which tells whether its raylet is healthy."""
    return _as_port(group.ray_start_params.get(_AGENT_FLAG)) or _AGENT_DEFAULT


def serve_port(cluster: RayCluster, group: Group | None = None) -> int:
    """Where the Serve proxy of a node listens, by default of the head: its port named `serve`, else Serve's own."""
    return _declared(SERVE, group or cluster.spec.head_group_spec) or ServeFacts.of(cluster).port


@dataclass(frozen=True, slots=True)
class ServeFacts:
    """What the options of Serve itself say about its proxies, as noted on the RayCluster that was made for them."""

    port: int = _DEFAULT[SERVE]
    https: bool = False
    on_workers: bool = True
    """Whether workers with replicas run a proxy of their own."""
    on_head_alone: bool = False
    """Whether the head's is the only one. Where there is none at all, no traffic comes from outside either."""

    @classmethod
    def of(cls, cluster: RayCluster) -> Self:
        """The facts for a cluster; Ray's defaults for what is not noted."""
        options = serve_options(cluster) or {}
        http = options.get("http_options") or {}
        location = options.get("proxy_location") or "EveryNode"
        return cls(
            port=int(http.get("port") or _DEFAULT[SERVE]),
            https=bool(http.get("ssl_certfile")),
            on_workers=location == "EveryNode",
            on_head_alone=location == "HeadOnly",
        )


def serve_options(cluster: RayCluster) -> dict[str, Any] | None:
    """The options of Serve itself that the cluster was made for; None where it does not say, or nobody can read it."""
    try:
        noted = json.loads(cluster.meta.annotations.get(labels.SERVE_OPTIONS, "null"))
    except ValueError:
        return None
    return without_defaults(noted) if isinstance(noted, dict) else None


def declared_ports(group: Group) -> list[Mapping[str, Any]]:
    """The ports that the Ray container of a group declares."""
    return list(ray_container(group.template).get("ports") or ())


def service_ports(cluster: RayCluster) -> list[dict[str, Any]]:
    """The ports of a head Service, by name: what the head declares or else KubeRay's defaults, and always metrics."""
    head = cluster.spec.head_group_spec
    defaults = {
        CLIENT: _started_with(CLIENT, head) or _DEFAULT[CLIENT],
        GCS: gcs_port(cluster),
        DASHBOARD: dashboard_port(cluster),
        METRICS: metrics_port(head),
        SERVE: serve_port(cluster),
    }
    declared = [_service_port(port) for port in declared_ports(head)]
    wanted = [METRICS] if declared else list(defaults)
    ports = without_clashes([*declared, *(_tcp(name, defaults[name]) for name in wanted)])
    return sorted(({**port, "appProtocol": "tcp"} for port in ports), key=lambda port: str(port["name"]))


def serve_ports(cluster: RayCluster) -> list[dict[str, Any]]:
    """The ports of a serve Service: those of the head named `serve` or `serve-…`, else where Serve listens."""
    declared = [
        _service_port(port)
        for port in declared_ports(cluster.spec.head_group_spec)
        if (name := port.get("name") or "") == SERVE or name.startswith(f"{SERVE}-")
    ]
    return without_clashes(declared) or [_tcp(SERVE, serve_port(cluster))]


def without_clashes(ports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The ports of a Service without those whose name or number an earlier one has, which the API server refuses."""
    kept: list[dict[str, Any]] = []
    names, numbers = set(), set()
    for port in ports:
        name, number = port.get("name"), (port["port"], port.get("protocol", "TCP"))
        if name not in names and number not in numbers:
            kept.append(dict(port))
        names.add(name)
        numbers.add(number)
    return kept


def _service_port(port: Mapping[str, Any]) -> dict[str, Any]:
    number = port["containerPort"]
    return {
        "name": port.get("name") or f"{number}-port",
        "port": number,
        "targetPort": number,
        "protocol": port.get("protocol", "TCP"),
    }


def _tcp(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": number, "protocol": "TCP"}


def _started_with(name: str, group: Group) -> int | None:
    return _as_port(group.ray_start_params.get(_FLAG[name]))


def _declared(name: str, group: Group) -> int | None:
    return next((port["containerPort"] for port in declared_ports(group) if port.get("name") == name), None)


def _as_port(text: str | None) -> int | None:
    """A flag's value may be a variable that only the shell will know; then the default has to do."""
    return int(text) if text and text.isdecimal() else None
