"""The Serve config and what Ray says of it, modelled without importing Ray.

Ray's own schema imports modules that a config names, so it must never see a manifest here. The source of every rule
is the REST API of Ray Serve (`ServeDeploySchema`, `ServeInstanceDetails`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

_OF_CLUSTER: Mapping[str, Any] = {
    "proxy_location": "EveryNode",
    "http_options": {"host": "0.0.0.0", "port": 8000, "root_path": "", "keep_alive_timeout_s": 90},  # noqa: S104
    "grpc_options": {"port": 9000, "grpc_servicer_functions": [], "enable_reflection": True},
    "controller_options": {},
}
"""The options of Serve itself, with Ray's defaults (ray.serve.schema)."""
_MOST_OF_AUTO = 100
"""What Ray makes of `max_replicas: auto`, and of `num_replicas: auto` where nothing else is said."""
_VERBATIM = frozenset({"args", "user_config", "runtime_env", "policy_kwargs", "request_router_kwargs"})
"""What Ray hands on as it is: there `"1.10"` is not `"1.1"`, nor `"7"` a 7, nor null the same as nothing."""
_NULL_TELLS = frozenset({"route_prefix"})
"""Where null says something of its own: here, that the application is not reachable from outside."""
_ABSENT = object()
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MESSAGE_LIMIT = 2000
_LINE_LIMIT = 300
_LATEST = 2**36
"""Seconds since 1970, far from now, and within what Python has dates for."""


@dataclass(frozen=True)
class DeployedConfig:
    """The declarative applications that Ray runs, in its own spelling."""

    apps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    target_capacity: float | None = None

    @cached_property
    def digest(self) -> str:
        """A short name for exactly this answer."""
        return _digest({"apps": self.apps, "target_capacity": self.target_capacity})


@dataclass(frozen=True)
class ServeConfig:
    """A Serve config, parsed."""

    document: Mapping[str, Any]
    """What is PUT to Ray."""

    @cached_property
    def digest(self) -> str:
        """A short name for the content; formatting, comments and the order of keys do not matter."""
        return _digest(self.document)

    @cached_property
    def applications(self) -> Mapping[str, Mapping[str, Any]]:
        """The applications by name."""
        return {app.get("name", "default"): app for app in self.document.get("applications") or ()}

    @property
    def application_names(self) -> tuple[str, ...]:
        """Names of the applications, in the order of the config."""
        return tuple(self.applications)

    @property
    def as_deployed(self) -> DeployedConfig:
        """What Ray would say that it runs once it runs this."""
        return DeployedConfig(self.handed_down, self.document.get("target_capacity"))

    @cached_property
    def handed_down(self) -> Mapping[str, Mapping[str, Any]]:
        """The applications by name, each with what Ray hands down to it from the config as a whole."""
        logging = self.document.get("logging_config")
        return {name: {"logging_config": logging, **app} for name, app in self.applications.items()}

    @property
    def http_port(self) -> int:
        """Port of the Serve proxies."""
        return int((self.document.get("http_options") or {}).get("port") or 8000)

    @property
    def proxy_location(self) -> str:
        """Where Serve runs its proxies."""
        return str(self.document.get("proxy_location") or "EveryNode")

    @cached_property
    def cluster_part(self) -> dict[str, Any]:
        """The options of Serve itself, which a running Serve accepts and ignores: only a new cluster changes them."""
        return without_defaults(self.document)

    def differences(self, deployed: DeployedConfig) -> tuple[str, ...]:
        """Paths in which what Ray runs is not what this config says."""
        return tuple(self._differences(deployed))

    def _differences(self, deployed: DeployedConfig) -> Iterator[str]:
        yield from differing(
            self.document.get("target_capacity"), deployed.target_capacity, "target_capacity", verbatim=False
        )
        for name in sorted(self.applications.keys() | deployed.apps.keys()):
            wanted, running = self.handed_down.get(name), deployed.apps.get(name)
            if wanted is None or running is None:
                yield f"applications.{name}"
                continue
            wanted, running = {**wanted, "name": name}, {**running, "name": name}
            yield from differing(wanted, running, f"applications.{name}", verbatim=False)


def most_replicas(deployment: Mapping[str, Any], scaling: Mapping[str, Any]) -> tuple[Any, int]:
    """The `max_replicas` of a deployment that Serve scales, as it is written, and what counts where that is nothing."""
    said = scaling.get("max_replicas")
    unsaid = _MOST_OF_AUTO if deployment.get("num_replicas") == "auto" else 1
    return (_MOST_OF_AUTO if said == "auto" else said), unsaid


def without_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of Serve itself of a config, without what Ray would take in any case."""
    return dict(_told(options))


def _told(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, default in _OF_CLUSTER.items():
        value = options.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            value = {name: one for name, one in value.items() if one is not None and one != default.get(name)}
        if value and value != default:
            yield key, value


@dataclass(frozen=True)
class DeploymentState:
    """A deployment, as Ray reports it."""

    status: str
    message: str
    running: int = 0
    """Replicas that run."""
    nodes: frozenset[str] = frozenset()
    """Addresses of the nodes that they run on."""
    is_autoscaled: bool = False
    """Whether Serve decides how many there are, be it by the config or by the code."""


@dataclass(frozen=True)
class ApplicationState:
    """An application, as Ray reports it."""

    status: str
    message: str
    deployments: Mapping[str, DeploymentState]
    source: str
    """`declarative` for what a Serve config made, `imperative` for what `serve.run` did."""
    last_deployed_time_s: float | None
    """When a PUT last reached it, by Ray's clock: the only mark that tells one PUT from the next."""

    @property
    def words(self) -> str:
        """Why it does not run, in one line of Ray's; for a failing constructor only the deployment says why."""
        told = (
            f"deployment {name}: {line}"
            for name, state in self.deployments.items()
            if state.status != "HEALTHY" and (line := _telling_line(state.message))
        )
        return next(told, "") or _telling_line(self.message)


@dataclass(frozen=True)
class ServeStatus:
    """Ray's answer to GET /api/serve/applications/."""

    started: bool
    """Whether Serve runs at all."""
    applications: Mapping[str, ApplicationState]
    proxies: Mapping[str, str]
    """Status of the Serve proxies by address of their node."""
    deployed: DeployedConfig

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read the answer; every key but the outermost may be absent.

        Raises:
            AttributeError, TypeError: if it is not what Ray answers.
        """
        applications = answer.get("applications") or {}
        declared = {
            name: _mapping(app.get("deployed_app_config"))
            for name, app in applications.items()
            if app.get("source") != "imperative"
        }
        proxies = (answer.get("proxies") or {}).values()
        return cls(
            started=bool(answer.get("controller_info")) or bool(applications),
            applications={name: _application(app) for name, app in applications.items()},
            proxies={proxy["node_ip"]: _word(proxy.get("status")) for proxy in proxies if proxy.get("node_ip")},
            deployed=DeployedConfig(declared, answer.get("target_capacity")),
        )

    @property
    def healthy_proxy_ips(self) -> frozenset[str]:
        """Addresses of the nodes whose proxy Ray calls healthy."""
        return frozenset(address for address, status in self.proxies.items() if status == "HEALTHY")

    @property
    def starting_proxy_ips(self) -> frozenset[str]:
        """Addresses of the nodes whose proxy is about to serve."""
        return frozenset(address for address, status in self.proxies.items() if status == "STARTING")

    @property
    def places(self) -> frozenset[str]:
        """Addresses of the nodes that have a proxy which serves, or are to have one because a replica runs there."""
        states = (state for app in self.applications.values() for state in app.deployments.values())
        return self.healthy_proxy_ips.union(self.starting_proxy_ips, *(state.nodes for state in states))

    @property
    def all_running(self) -> bool:
        """Whether there are applications and all of them run."""
        return bool(self.applications) and all(app.status == "RUNNING" for app in self.applications.values())


def _application(app: Mapping[str, Any]) -> ApplicationState:
    return ApplicationState(
        status=_word(app.get("status")),
        message=_plain(app.get("message")),
        deployments={name: _deployment(found) for name, found in (app.get("deployments") or {}).items()},
        source=_word(app.get("source")) or "declarative",
        last_deployed_time_s=_time(app.get("last_deployed_time_s")),
    )


def _deployment(found: Mapping[str, Any]) -> DeploymentState:
    running = [replica for replica in found.get("replicas") or () if replica.get("state") == "RUNNING"]
    return DeploymentState(
        status=_word(found.get("status")),
        message=_plain(found.get("message")),
        running=len(running),
        nodes=frozenset(_word(replica.get("node_ip")) for replica in running),
        is_autoscaled=(found.get("deployment_config") or {}).get("autoscaling_config") is not None,
    )


def _word(said: Any) -> str:
    if not isinstance(said, str | None):
        raise TypeError(f"{said!r:.60} is no word")
    return said or ""


def _mapping(said: Any) -> Mapping[str, Any]:
    if not isinstance(said, Mapping | None):
        raise TypeError(f"{said!r:.60} is no mapping")
    return said or {}


def _time(said: Any) -> float | None:
    if said is None or (isinstance(said, int | float) and 0 <= said < _LATEST):
        return said
    raise TypeError(f"{said!r:.60} is no time")


def _plain(message: Any) -> str:
    return _ANSI.sub("", _word(message))[-_MESSAGE_LIMIT:]


def _telling_line(message: str) -> str:
    """The first line, but of a traceback the last one, which names the error."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "" if not lines else lines[-1 if "Traceback" in message else 0][:_LINE_LIMIT]


def differing(wanted: Any, running: Any, path: str, *, verbatim: bool) -> Iterator[str]:
    """The deepest paths, below this one, in which two values of a config mean different things to Ray.

    Args:
        wanted: the one value.
        running: the other value.
        path: where they stand.
        verbatim: whether Ray hands them on as they are.
    """
    if isinstance(wanted, Mapping) and isinstance(running, Mapping):
        for key in sorted(wanted.keys() | running.keys()):
            absent = _ABSENT if verbatim or key in _NULL_TELLS else None
            yield from differing(
                wanted.get(key, absent),
                running.get(key, absent),
                f"{path}.{key}",
                verbatim=verbatim or key in _VERBATIM,
            )
    elif isinstance(wanted, list) and isinstance(running, list) and len(wanted) == len(running):
        for index, (one, other) in enumerate(zip(wanted, running, strict=True)):
            yield from differing(one, other, f"{path}.{index}", verbatim=verbatim)
    elif not (_equal(wanted, running) or (not verbatim and _coerced(wanted, running))):
        yield path


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON: a flag is no number, but 5 is 5.0."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _coerced(one: Any, other: Any) -> bool:
    """Whether a number and a word say the same, as Ray's schema takes one for the other."""
    if isinstance(other, str):
        one, other = other, one
    if not isinstance(one, str) or isinstance(other, bool) or not isinstance(other, int | float):
        return False
    try:
        return float(one) == other
    except ValueError:
        return False


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
