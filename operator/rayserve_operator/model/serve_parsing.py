"""`serveConfigV2`: from the text in a manifest to a Serve config.

Only what Ray cannot be sent, or what names, routes and ports are taken from, is checked here; the rest is Ray's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from rayserve_operator.model.documents import TooLarge, read
from rayserve_operator.model.problems import InvalidSpec, Problem, first_of
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve import ServeConfig

PATH = "spec.serveConfigV2"
LARGEST = 1_000_000
"""Characters of a config; an object in etcd has little more."""
LARGEST_PORT = 65_535
PROXY_LOCATIONS = ("EveryNode", "HeadOnly", "Disabled")


def serve_config_of(spec: RayServiceSpec) -> ServeConfig:
    """The Serve config of a spec, read once and kept with it.

    Raises:
        InvalidSpec: with the place in the YAML and the mend.
    """
    return spec.derived(_config_of)


def serve_document_of(spec: RayServiceSpec) -> Any:
    """The same as plain JSON values, whatever they are, read once with it; None for an empty one.

    Raises:
        InvalidSpec: if it is no YAML, or too large, with the place and the mend.
    """
    document, problems = spec.derived(_read_from)
    if problems:
        raise InvalidSpec(problems)
    return document


def parse_serve_config(text: str | None) -> ServeConfig:
    """Read a Serve config; an empty one has no applications.

    Raises:
        InvalidSpec: with the place in the YAML and the mend.
    """
    return _config(read_serve_config(text))


def _config_of(spec: RayServiceSpec) -> ServeConfig:
    return _config(serve_document_of(spec))


def _read_from(spec: RayServiceSpec) -> tuple[Any, Sequence[Problem]]:
    """The document, or else why it cannot be read, which is as much work to find."""
    try:
        return read_serve_config(spec.serve_config_v2), ()
    except InvalidSpec as invalid:
        return None, invalid.problems


def _config(document: Any) -> ServeConfig:
    if document is None:
        return ServeConfig({"applications": []})
    problems = first_of(_problems(document), PATH)
    if problems:
        raise InvalidSpec(problems)
    return ServeConfig(document)


def read_serve_config(text: str | None) -> Any:
    """The text of a Serve config as plain JSON values, whatever they are; None for an empty one.

    Raises:
        InvalidSpec: if it is no YAML, or too large, with the place and the mend.
    """
    if len(text or "") > LARGEST:
        raise InvalidSpec([Problem(PATH, f"has {len(text or '')} characters", f"keep it under {LARGEST}", "RS101")])
    try:
        return read(text or "")
    except TooLarge as error:
        mend = "make it smaller, or write the values of its aliases out"
        raise InvalidSpec([Problem(PATH, str(error), mend, "RS101")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        words = " ".join(filter(None, (error.context, error.problem)))
        raise InvalidSpec([Problem(PATH, f"is not YAML: {words}{place}", "mend it there", "RS101")]) from error
    except yaml.YAMLError as error:
        words = f"is not YAML: {' '.join(str(error).split())}"
        raise InvalidSpec([Problem(PATH, words, "mend it", "RS101")]) from error


def _problems(document: Any) -> Iterator[Problem]:
    if not isinstance(document, dict):
        yield Problem(PATH, "is not a mapping", "write `applications:` and a list of applications under it", "RS102")
        return
    yield from _options(document)
    applications = document.get("applications")
    if isinstance(applications, list):
        yield from _applications(applications)
    else:
        yield Problem(
            f"{PATH}:applications", "is not a list", "list the applications, each with an import_path", "RS102"
        )


def _options(document: dict[str, Any]) -> Iterator[Problem]:
    http_options = document.get("http_options") or {}
    if not isinstance(http_options, dict):
        yield Problem(f"{PATH}:http_options", "is not a mapping", "write `port:` and the like under it", "RS102")
    elif not _is_port(port := http_options.get("port", 8000)):
        yield Problem(f"{PATH}:http_options.port", f"is {port}", "give a port number, as 8000", "RS108")
    location = document.get("proxy_location", "EveryNode")
    if location not in PROXY_LOCATIONS:
        yield Problem(f"{PATH}:proxy_location", f"is {location}", f"use {', '.join(PROXY_LOCATIONS)}", "RS108")


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_PORT


def _applications(applications: list[Any]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for index, application in enumerate(applications):
        path = f"{PATH}:applications[{index}]"
        if not isinstance(application, dict):
            yield Problem(path, "is not a mapping", "give it an import_path, as `module:app`", "RS102")
            continue
        if not isinstance(application.get("import_path"), str):
            yield Problem(f"{path}.import_path", "is missing", "say where the application is, as `module:app`", "RS103")
        for key, default in (("name", "default"), ("route_prefix", "/")):
            value = application.get(key, default)
            if value is None and key == "route_prefix":
                continue  # Ray's spelling of an application that is not reachable from outside.
            if not isinstance(value, str):
                yield Problem(f"{path}.{key}", f"is {value}", "give a string", "RS102")
            elif (key, value) in seen:
                yield Problem(f"{path}.{key}", f"is {value} again", "give each application one of its own", "RS111")
            else:
                seen.add((key, value))
        yield from _deployments(application.get("deployments"), f"{path}.deployments")


def _deployments(deployments: Any, path: str) -> Iterator[Problem]:
    if deployments is None:
        return
    if not isinstance(deployments, list):
        yield Problem(path, "is not a list", "list the deployments, each with its name", "RS102")
        return
    for index, deployment in enumerate(deployments):
        if not isinstance(deployment, dict):
            yield Problem(f"{path}[{index}]", "is not a mapping", "give it the name of a deployment", "RS102")
        elif not isinstance(deployment.get("name"), str):
            yield Problem(f"{path}[{index}].name", f"is {deployment.get('name')}", "give a string", "RS102")
