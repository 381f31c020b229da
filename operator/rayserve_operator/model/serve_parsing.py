"""`serveConfigV2`: from the text in a manifest to a Serve config.

Only what Ray cannot be sent, or what names, routes and ports are taken from, is checked here; the rest is Ray's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from typing_extensions import override

from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.serve import ServeConfig

PATH = "spec.serveConfigV2"
LARGEST = 1_000_000
LARGEST_PORT = 65_535
PROXY_LOCATIONS = ("EveryNode", "HeadOnly", "Disabled")


def parse_serve_config(text: str | None) -> ServeConfig:
    """Read a Serve config; an empty one has no applications.

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
    yield from _options(document)
    applications = document.get("applications")
    if isinstance(applications, list):
        yield from _applications(applications)
    else:
        yield Problem(f"{PATH}:applications", "is not a list", "list the applications, each with an import_path")


def _options(document: dict[str, Any]) -> Iterator[Problem]:
    http_options = document.get("http_options") or {}
    if not isinstance(http_options, dict):
        yield Problem(f"{PATH}:http_options", "is not a mapping", "write `port:` and the like under it")
    elif not isinstance(port := http_options.get("port", 8000), int) or not 0 < port <= LARGEST_PORT:
        yield Problem(f"{PATH}:http_options.port", f"is {port}", "give a port number, as 8000")
    location = document.get("proxy_location", "EveryNode")
    if location not in PROXY_LOCATIONS:
        yield Problem(f"{PATH}:proxy_location", f"is {location}", f"use {', '.join(PROXY_LOCATIONS)}")


def _applications(applications: list[Any]) -> Iterator[Problem]:
    seen: set[tuple[str, str]] = set()
    for index, application in enumerate(applications):
        path = f"{PATH}:applications[{index}]"
        if not isinstance(application, dict):
            yield Problem(path, "is not a mapping", "give it an import_path, as `module:app`")
            continue
        if not isinstance(application.get("import_path"), str):
            yield Problem(f"{path}.import_path", "is missing", "say where the application is, as `module:app`")
        for key, default in (("name", "default"), ("route_prefix", "/")):
            value = application.get(key, default)
            if value is None and key == "route_prefix":
                continue  # Ray's spelling of an application that is not reachable from outside.
            if not isinstance(value, str):
                yield Problem(f"{path}.{key}", f"is {value}", "give a string")
            elif (key, value) in seen:
                yield Problem(f"{path}.{key}", f"is {value} again", "give each application one of its own")
            else:
                seen.add((key, value))
