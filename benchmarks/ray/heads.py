"""What the Ray of each head says: pure, so that its server is thin."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOT_STARTED: Mapping[str, Any] = {"controller_info": {}, "proxies": {}, "applications": {}, "target_capacity": None}
"""Ray's answer while Serve does not run."""


@dataclass(frozen=True, slots=True)
class Node:
    """A pod, as a node of Ray."""

    uid: str
    name: str
    cluster: str
    address: str

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Node | None:
        """The node that a pod of a RayCluster is; None while it has no address."""
        metadata, address = pod["metadata"], pod.get("status", {}).get("podIP")
        cluster = metadata.get("labels", {}).get("ray.io/cluster")
        if not address or not cluster:
            return None
        return cls(metadata["uid"], metadata["name"], f"{metadata['namespace']}/{cluster}", address)


@dataclass(slots=True)
class Heads:
    """The Serve applications of every head, by the address at which it is asked."""

    _nodes: dict[str, Node] = field(default_factory=dict)
    _clusters: defaultdict[str, dict[str, Node]] = field(default_factory=lambda: defaultdict(dict))
    _configs: dict[str, tuple[Mapping[str, Any], float]] = field(default_factory=dict)
    _unhealthy: frozenset[str] = frozenset()
    _answers: dict[str, bytes] = field(default_factory=dict)

    def saw(self, event: str, pod: Mapping[str, Any]) -> str | None:
        """Take in an event about a pod, and return the address that somebody answers at from now on."""
        node = Node.of(pod)
        if node is None:
            return None
        members = self._clusters[node.cluster]
        if event == "DELETED":
            members.pop(node.uid, None)
            self._configs.pop(node.uid, None)
            if not members:
                del self._clusters[node.cluster]
            known = self._nodes.get(node.address)
            if known is not None and known.uid == node.uid:
                del self._nodes[node.address]
            self._forget_answers(members.values())
            return None
        if members.get(node.uid) == node:
            return None
        members[node.uid] = node
        self._nodes[node.address] = node
        self._forget_answers(members.values())
        return node.address

    def knows(self, address: str) -> bool:
        """Whether a pod has this address."""
        return address in self._nodes

    def take(self, address: str, config: Mapping[str, Any]) -> None:
        """Run a Serve config on the head at an address, at once."""
        node = self._nodes[address]
        self._configs[node.uid] = config, time.time()
        self._answers.pop(address, None)

    def be_unhealthy(self, addresses: Iterable[str]) -> None:
        """Call the applications of these heads UNHEALTHY, and those of all others RUNNING."""
        self._unhealthy = frozenset(addresses)
        self._answers.clear()

    def answer(self, address: str) -> bytes:
        """The answer of the head at an address to GET /api/serve/applications/, as JSON."""
        known = self._answers.get(address)
        if known is None:
            known = self._answers[address] = json.dumps(self._report(address)).encode()
        return known

    def _forget_answers(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._answers.pop(node.address, None)

    def _report(self, address: str) -> Mapping[str, Any]:
        head = self._nodes[address]
        if head.uid not in self._configs:
            return NOT_STARTED
        config, taken_at = self._configs[head.uid]
        nodes = self._clusters[head.cluster].values()
        is_healthy = address not in self._unhealthy
        applications = config.get("applications") or ()
        return {
            "controller_info": {"node_id": head.uid, "node_ip": address, "node_instance_id": head.name},
            "proxy_location": config.get("proxy_location", "EveryNode"),
            "http_options": {"host": "0.0.0.0", "port": 8000},  # noqa: S104
            "proxies": {node.uid: _proxy(node) for node in nodes},
            "applications": {app["name"]: _application(app, taken_at, is_healthy=is_healthy) for app in applications},
            "target_capacity": config.get("target_capacity"),
            "target_groups": [{"protocol": "HTTP", "route_prefix": "/", "targets": [_target(node) for node in nodes]}],
        }


def _proxy(node: Node) -> Mapping[str, Any]:
    return {"node_id": node.uid, "node_ip": node.address, "node_instance_id": node.name, "status": "HEALTHY"}


def _target(node: Node) -> Mapping[str, Any]:
    return {"ip": node.address, "port": 8000, "instance_id": node.name, "name": ""}


def _application(app: Mapping[str, Any], taken_at: float, *, is_healthy: bool) -> Mapping[str, Any]:
    deployments = app.get("deployments") or ()
    return {
        "name": app["name"],
        "route_prefix": app.get("route_prefix", "/"),
        "status": "RUNNING" if is_healthy else "UNHEALTHY",
        "message": "",
        "last_deployed_time_s": taken_at,
        "source": "declarative",
        "deployed_app_config": app,
        "deployments": {one["name"]: _deployment(one, is_healthy=is_healthy) for one in deployments},
    }


def _deployment(deployment: Mapping[str, Any], *, is_healthy: bool) -> Mapping[str, Any]:
    count = deployment.get("num_replicas", 1)
    replicas = [{"replica_id": f"{deployment['name']}-{number}", "state": "RUNNING"} for number in range(count)]
    return {
        "name": deployment["name"],
        "status": "HEALTHY" if is_healthy else "UNHEALTHY",
        "status_trigger": "CONFIG_UPDATE_COMPLETED" if is_healthy else "HEALTH_CHECK_FAILED",
        "message": "" if is_healthy else "A replica's health check failed.",
        "deployment_config": deployment,
        "target_num_replicas": count,
        "replicas": replicas,
    }
