"""How Ray is started: the flags of `ray start`, and the container command around them."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.resources import LogicalResources, parse_custom
from rayserve_operator.render import fault_tolerance, labels, ports
from rayserve_operator.render.node import Node

_OPEN_FILES = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}"

_TAKES_FALSE = frozenset({"log-color", "include-dashboard", "include-log-monitor"})
"""Flags that Ray turns on by itself, so that `false` has to be said."""


def start_params(node: Node) -> dict[str, str]:
    """All flags of `ray start`.

    A group's own `resources` and `labels` count most, because Ray's autoscaler believes them; then what the user
    gives as flags; then what the container has.
    """
    from_container = LogicalResources.of_container(node.container)
    return {
        **_defaults(node),
        **from_container.flags,
        **node.group.ray_start_params,
        **_accelerators(node, from_container.custom),
        **fault_tolerance.start_params(node),
        **_from_group(node),
        "block": "true",
    }


def start_command(node: Node) -> str:
    """The `ray start` command line. Values are shell text, as the user wrote them."""
    flags = [flag for name, value in sorted(start_params(node).items()) if (flag := _flag(name, value))]
    return " ".join(["ray start", *(["--head"] if node.is_head else []), *flags])


def container_command(node: Node) -> dict[str, list[str]]:
    """The `command` and `args` of the Ray container.

    What the user gives there runs before Ray (KubeRay's rule), unless it starts Ray itself or the cluster is
    annotated to leave commands alone. The shell gives way to Ray by `exec`: a shell that stays would, as the
    container's first process, ignore the SIGTERM that makes Ray drain.
    """
    given = [*(node.container.get("command") or ()), *(node.container.get("args") or ())]
    before = " ".join(given)
    if "ray start" in before or keeps_command(node):
        return {key: node.container[key] for key in ("command", "args") if key in node.container}
    script = f"{_OPEN_FILES}; exec {start_command(node)}"
    return {
        "command": ["/bin/bash", "-cl" if node.options.login_shell else "-c", "--"],
        "args": [f"{before} && {script}" if before else script],
    }


def keeps_command(node: Node) -> bool:
    """Whether the cluster is annotated to leave the commands of its containers alone."""
    return node.cluster.meta.annotations.get(labels.OVERWRITE_COMMAND) == "true"


def _defaults(node: Node) -> dict[str, str]:
    common = {
        "metrics-export-port": str(ports.metrics_port(node.group)),
        "dashboard-agent-listen-port": str(ports.agent_port(node.group)),
    }
    if not node.is_head:
        return {**common, "address": node.gcs_address}
    # The autoscaler runs in a container of its own; without this, Ray would start a second one in the head.
    own_monitor = {"no-monitor": "true"} if node.cluster.spec.autoscaling else {}
    return {**common, "dashboard-host": "0.0.0.0", **own_monitor}  # noqa: S104


def _accelerators(node: Node, found: Mapping[str, Any]) -> dict[str, str]:
    """What the container has, together with what the user names: both go into one flag."""
    given = node.group.ray_start_params.get("resources")
    named = parse_custom(given) if given else {}
    return {} if not found or named is None else {"resources": _shell_json({**found, **named})}


def _from_group(node: Node) -> dict[str, str]:
    said = LogicalResources.of_group(node.group.resources)
    flags = dict(said.flags)
    if said.custom:
        flags["resources"] = _shell_json(said.custom)
    if node.group.labels:
        flags["labels"] = shlex.quote(",".join(f"{key}={value}" for key, value in sorted(node.group.labels.items())))
    return flags


def _shell_json(value: Mapping[str, Any]) -> str:
    return shlex.quote(json.dumps(value, sort_keys=True, separators=(",", ":")))


def _flag(name: str, value: str) -> str:
    if value.lower() in ("true", "false") and name not in _TAKES_FALSE:
        return f"--{name}" if value.lower() == "true" else ""
    return f"--{name}={value}"
