"""The Serve config (`serveConfigV2`) and what Ray says of it, modelled without importing Ray.

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

import yaml
from typing_extensions import override

from rayserve_operator.model.problems import InvalidSpec, Problem

PATH = "spec.serveConfigV2"
LARGEST = 1_000_000
LARGEST_PORT = 65_535
PROXY_LOCATIONS = ("EveryNode", "HeadOnly", "Disabled")
_CLUSTER_KEYS = ("proxy_location", "http_options", "grpc_options", "controller_options")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGE_LIMIT = 2000


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
        return {key: self.document[key] for key in _CLUSTER_KEYS if self.document.get(key) is not None}

    def differences(self, deployed: DeployedConfig) -> tuple[str, ...]:
        """Paths in which what Ray runs is not what this config says."""
        return tuple(self._differences(deployed))

    def _differences(self, deployed: DeployedConfig) -> Iterator[str]:
        if not _same(self.document.get("target_capacity"), deployed.target_capacity):
            yield "target_capacity"
        logging = self.document.get("logging_config")
        for name in self.applications.keys() | deployed.apps.keys():
            wanted, running = self.applications.get(name), deployed.apps.get(name)
            if wanted is None or running is None:
                yield f"applications.{name}"
                continue
            wanted = {"logging_config": logging, **wanted, "name": name}
            yield from _paths(wanted, {**running, "name": name}, f"applications.{name}")


@dataclass(frozen=True)
class DeploymentState:
    """A deployment, as Ray reports it."""

    status: str
    message: str


@dataclass(frozen=True)
class ApplicationState:
    """An application, as Ray reports it."""

    status: str
    message: str
    deployments: Mapping[str, DeploymentState]


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
        """Read the answer; every key but the outermost may be absent."""
        applications = answer.get("applications") or {}
        declared = {
            name: app.get("deployed_app_config") or {}
            for name, app in applications.items()
            if app.get("source") != "imperative"
        }
        proxies = (answer.get("proxies") or {}).values()
        return cls(
            started=bool(answer.get("controller_info")) or bool(applications),
            applications={name: _application(app) for name, app in applications.items()},
            proxies={proxy["node_ip"]: proxy.get("status", "") for proxy in proxies if proxy.get("node_ip")},
            deployed=DeployedConfig(declared, answer.get("target_capacity")),
        )

    @property
    def healthy_proxy_ips(self) -> frozenset[str]:
        """Addresses of the nodes whose proxy Ray calls healthy."""
        return frozenset(address for address, status in self.proxies.items() if status == "HEALTHY")

    @property
    def all_running(self) -> bool:
        """Whether there are applications and all of them run."""
        return bool(self.applications) and all(app.status == "RUNNING" for app in self.applications.values())


def parse_serve_config(text: str | None) -> ServeConfig:
    """Read a Serve config; an empty one has no applications.

    Only what Ray cannot be sent, or what names and ports are taken from, is checked here.

    Raises:
        InvalidSpec: with the place in the YAML and the mend.
    """
    if len(text or "") > LARGEST:
        raise InvalidSpec([Problem(PATH, f"has {len(text or '')} characters", f"keep it under {LARGEST}")])
    try:
        document = yaml.load(text or "", Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidSpec([Problem(PATH, f"is not YAML: {error.problem}{place}", "mend it there")]) from error
    except yaml.YAMLError as error:
        raise InvalidSpec([Problem(PATH, f"is not YAML: {error}", "mend it")]) from error
    if document is None:
        return ServeConfig({"applications": []})
    if _written_out(document, {}) >= LARGEST:
        raise InvalidSpec([Problem(PATH, "grows without bound through its aliases (*)", "write the values out")])
    problems = list(_problems(document))
    if problems:
        raise InvalidSpec(problems)
    return ServeConfig(document)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML that refuses a key given twice, of which Ray would see only the last."""

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _written_out(value: Any, sizes: dict[int, int]) -> int:
    """How many values there are once every alias is written out; aliases of aliases grow without bound."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in sizes:
        sizes[id(value)] = LARGEST  # What an alias inside itself finds.
        children = value.values() if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_written_out(child, sizes) for child in children)
    return sizes[id(value)]


def _problems(document: Any) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(PATH, "is not a mapping", "write `applications:` and a list of applications under it")
        return
    port = (document.get("http_options") or {}).get("port", 8000)
    if not isinstance(port, int) or not 0 < port <= LARGEST_PORT:
        yield Problem(f"{PATH}:http_options.port", f"is {port}", "give a port number, as 8000")
    location = document.get("proxy_location", "EveryNode")
    if location not in PROXY_LOCATIONS:
        yield Problem(f"{PATH}:proxy_location", f"is {location}", f"use {', '.join(PROXY_LOCATIONS)}")
    applications = document.get("applications")
    if not isinstance(applications, list):
        yield Problem(f"{PATH}:applications", "is not a list", "list the applications, each with an import_path")
        return
    names: set[str] = set()
    routes: set[str] = set()
    for index, application in enumerate(applications):
        path = f"{PATH}:applications[{index}]"
        if not isinstance(application, dict):
            yield Problem(path, "is not a mapping", "give it an import_path, as `module:app`")
            continue
        if not isinstance(application.get("import_path"), str):
            yield Problem(f"{path}.import_path", "is missing", "say where the application is, as `module:app`")
        name, route = application.get("name", "default"), application.get("route_prefix", "/")
        if name in names:
            yield Problem(f"{path}.name", f"is {name} again", "give each application a name of its own")
        if route is not None and route in routes:
            yield Problem(f"{path}.route_prefix", f"is {route} again", "give each application a route of its own")
        names.add(name)
        routes.add(route)


def _application(app: Mapping[str, Any]) -> ApplicationState:
    return ApplicationState(
        status=app.get("status", ""),
        message=_plain(app.get("message")),
        deployments={
            name: DeploymentState(deployment.get("status", ""), _plain(deployment.get("message")))
            for name, deployment in (app.get("deployments") or {}).items()
        },
    )


def _plain(message: str | None) -> str:
    return _ANSI.sub("", message or "")[-_MESSAGE_LIMIT:]


def _paths(wanted: Any, running: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(running, Mapping):
        for key in sorted(wanted.keys() | running.keys()):
            yield from _paths(wanted.get(key), running.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(running, list) and len(wanted) == len(running):
        for index, (one, other) in enumerate(zip(wanted, running, strict=True)):
            yield from _paths(one, other, f"{path}.{index}")
    elif not _same(wanted, running):
        yield path


def _same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, str | int | float) and isinstance(other, str | int | float):
        try:
            return float(one) == float(other)
        except ValueError:
            return False
    return not one and not other and not isinstance(one, bool | int | float)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
