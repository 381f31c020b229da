"""Settings of the operator, from its environment."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from rayserve_operator.planning.custody import Manage
from rayserve_operator.render.options import BatchScheduler

PREFIX = "RAYSERVE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set from outside. Every field is the environment variable RAYSERVE_ and its name in capitals."""

    watch_namespaces: tuple[str, ...] = ()
    """Namespaces that are looked after, separated by commas; none means all."""
    cluster_domain: str = "cluster.local"
    """DNS domain of the Kubernetes cluster."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_format: Literal["json", "text"] = "text"
    """`json` for one object a line, `text` for people."""
    health_port: int = 8080
    """Port of the health endpoint, /healthz."""
    operator_namespace: str | None = None
    """Where the operator itself runs; network policies of Ray clusters let it through from there alone."""
    node_lost_after: int = 60
    """Seconds that a node must be silent (Ready=Unknown) before the head of a cluster on it is replaced."""
    batch_scheduler: BatchScheduler | None = None
    """`volcano`, `yunikorn` or `scheduler-plugins` to schedule Ray pods; empty means the default scheduler."""
    manage: Manage = "all"
    """`all` to look after what is KubeRay's by default too, `marked` for what `spec.managedBy` gives to us alone."""
    shard: str = ""
    """Only RayServices whose label rayserve.ray.io/shard has this value are looked after; empty means those without."""
    default_container_env: tuple[Mapping[str, Any], ...] = ()
    """Environment variables of every Ray container that does not set them, as a JSON list of a container's `env`."""
    lease_name: str | None = None
    """Name of the Lease, in `operator_namespace`, whose holder alone acts; empty where there is no other replica."""
    identity: str = field(default_factory=socket.gethostname)
    """What the Lease calls this replica, the name of its pod; its own also after a restart, and nobody else's."""

    webhook_name: str | None = None
    """Name of the webhook's Service, and of the Secret with its certificate; empty where there is no webhook."""
    webhook_configuration: str | None = None
    """The ValidatingWebhookConfiguration that is to trust a certificate made here; empty where others issue it."""
    webhook_port: int = 9443
    """Port of the webhook, /validate."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ValueError: naming the variable that cannot be read.
        """
        namespaces = environment.get(f"{PREFIX}WATCH_NAMESPACES", "")
        level = environment.get(f"{PREFIX}LOG_LEVEL", "INFO").upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError(f"{PREFIX}LOG_LEVEL: {level} is no level; use DEBUG, INFO, WARNING or ERROR")
        form = environment.get(f"{PREFIX}LOG_FORMAT", "text")
        if form not in ("json", "text"):
            raise ValueError(f"{PREFIX}LOG_FORMAT: {form} is no format; use json or text")
        health_port, webhook_port = (
            _port(environment, "HEALTH_PORT", "8080"),
            _port(environment, "WEBHOOK_PORT", "9443"),
        )
        lost_after = environment.get(f"{PREFIX}NODE_LOST_AFTER", "60")
        if not lost_after.isdecimal():
            raise ValueError(f"{PREFIX}NODE_LOST_AFTER: {lost_after} is no number of seconds; use one, as 60")
        scheduler = environment.get(f"{PREFIX}BATCH_SCHEDULER", "")
        namespace = environment.get(f"{PREFIX}OPERATOR_NAMESPACE") or None
        lease = environment.get(f"{PREFIX}LEASE_NAME") or None
        if lease and not namespace:
            raise ValueError(f"{PREFIX}LEASE_NAME: a Lease has a namespace; set {PREFIX}OPERATOR_NAMESPACE")
        webhook = environment.get(f"{PREFIX}WEBHOOK_NAME") or None
        if webhook and not namespace:
            raise ValueError(f"{PREFIX}WEBHOOK_NAME: a Service has a namespace; set {PREFIX}OPERATOR_NAMESPACE")
        known: dict[str, BatchScheduler] = {name: name for name in get_args(BatchScheduler)}
        if scheduler and scheduler not in known:
            raise ValueError(f"{PREFIX}BATCH_SCHEDULER: {scheduler} is not supported; use {', '.join(known)}")
        manage = environment.get(f"{PREFIX}MANAGE", "all")
        if manage not in ("all", "marked"):
            raise ValueError(f"{PREFIX}MANAGE: {manage} is neither all nor marked")
        return cls(
            watch_namespaces=tuple(name.strip() for name in namespaces.split(",") if name.strip()),
            cluster_domain=environment.get(f"{PREFIX}CLUSTER_DOMAIN", "cluster.local"),
            log_level=level,
            log_format="json" if form == "json" else "text",
            health_port=health_port,
            operator_namespace=namespace,
            node_lost_after=int(lost_after),
            batch_scheduler=known.get(scheduler),
            manage="all" if manage == "all" else "marked",
            shard=environment.get(f"{PREFIX}SHARD", ""),
            default_container_env=_variables(environment.get(f"{PREFIX}DEFAULT_CONTAINER_ENV", "")),
            lease_name=lease,
            identity=environment.get(f"{PREFIX}IDENTITY") or socket.gethostname(),
            webhook_name=webhook,
            webhook_configuration=environment.get(f"{PREFIX}WEBHOOK_CONFIGURATION") or None,
            webhook_port=webhook_port,
        )


def _port(environment: Mapping[str, str], name: str, default: str) -> int:
    port = environment.get(f"{PREFIX}{name}", default)
    if not port.isdecimal():
        raise ValueError(f"{PREFIX}{name}: {port} is no port; use a number, as {default}")
    return int(port)


def _variables(text: str) -> tuple[Mapping[str, Any], ...]:
    """Read entries of a container's `env`; no text means none."""
    try:
        entries = json.loads(text or "[]")
    except ValueError:
        entries = None
    if isinstance(entries, list) and all(isinstance(entry, dict) and entry.get("name") for entry in entries):
        return tuple(entries)
    raise ValueError(f'{PREFIX}DEFAULT_CONTAINER_ENV: use a JSON list, as [{{"name": "HF_HOME", "value": "/models"}}]')
