"""`serveConfigV2`: from the text in a manifest to a Serve config.

Only what Ray cannot be sent, or what names, routes and ports are taken from, is checked here; the rest is Ray's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from typing_extensions import override

from rayserve_operator.model.problems import InvalidSpec, Problem, first_of
from rayserve_operator.model.serve import ServeConfig

PATH = "spec.serveConfigV2"
LARGEST = 1_000_000
"""Characters of a config; an object in etcd has little more."""
MOST_VALUES = 200_000
"""Values of a config, once its aliases are written out."""
DEEPEST = 100
"""Levels of a config, once its aliases are written out."""
LARGEST_PORT = 65_535
PROXY_LOCATIONS = ("EveryNode", "HeadOnly", "Disabled")

_YAML = "tag:yaml.org,2002:"
_INT = re.compile("[-+]?(0b[01][01_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"([-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
)
_TAGS = {
    yaml.ScalarNode: {_YAML + name for name in ("str", "int", "float", "bool", "null", "merge")},
    yaml.SequenceNode: {f"{_YAML}seq"},
    yaml.MappingNode: {f"{_YAML}map"},
}


def parse_serve_config(text: str | None) -> ServeConfig:
    """Read a Serve config; an empty one has no applications.

    Raises:
        InvalidSpec: with the place in the YAML and the mend.
    """
    if len(text or "") > LARGEST:
        raise InvalidSpec([Problem(PATH, f"has {len(text or '')} characters", f"keep it under {LARGEST}")])
    try:
        document = _read(text or "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        words = " ".join(filter(None, (error.context, error.problem)))
        raise InvalidSpec([Problem(PATH, f"is not YAML: {words}{place}", "mend it there")]) from error
    except yaml.YAMLError as error:
        raise InvalidSpec([Problem(PATH, f"is not YAML: {' '.join(str(error).split())}", "mend it")]) from error
    if document is None:
        return ServeConfig({"applications": []})
    problems = first_of(_problems(document), PATH)
    if problems:
        raise InvalidSpec(problems)
    return ServeConfig(document)


def _read(text: str) -> Any:
    """The document as plain JSON values; nothing is built before its size and depth are known."""
    _refuse_depth(text)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        extent = _extent(root, {})
        if extent.values >= MOST_VALUES or extent.depth > DEEPEST:
            problem = f"has more than {MOST_VALUES} values or {DEEPEST} levels, its aliases (*) written out"
            raise InvalidSpec([Problem(PATH, problem, "make it smaller, or write the values of its aliases out")])
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    """Refuse what is nested too deep, event by event: libyaml builds nodes on the C stack, which ends the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _refusal(f"more than {DEEPEST} levels", event)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as KubeRay reads it, and only what JSON can say.

    PyYAML's own reading takes 1e-4 for a word, and 1:30 and 2026-01-31 for a number and a date.
    """

    yaml_implicit_resolvers = {
        character: [known for known in resolvers if known[0] in (f"{_YAML}bool", f"{_YAML}null", f"{_YAML}merge")]
        for character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    @override
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            is_json = not isinstance(value, int | float) or math.isfinite(value)
        except (ArithmeticError, LookupError, ValueError):
            is_json = False
        if not is_json:
            raise _refusal(f"{node.value!s:.60} is no value of JSON", node)
        return value

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep)
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in found.items()}


_Loader.add_implicit_resolver(f"{_YAML}int", _INT, [*"-+0123456789"])
_Loader.add_implicit_resolver(f"{_YAML}float", _FLOAT, [*"-+.0123456789"])


class _Extent(NamedTuple):
    """How large a value is once every alias is written out; aliases of aliases grow without bound."""

    values: int
    depth: int


def _extent(node: yaml.Node, known: dict[int, _Extent]) -> _Extent:
    if node.tag not in _TAGS[type(node)]:
        raise _refusal(f"{node.tag.removeprefix(_YAML):.60} is nothing that JSON has", node)
    if isinstance(node, yaml.ScalarNode):
        return _Extent(1, 1)
    if id(node) not in known:
        known[id(node)] = _Extent(MOST_VALUES, DEEPEST)  # What an alias inside itself finds.
        children = node.value
        if isinstance(node, yaml.MappingNode):
            _refuse_twins(node)
            children = [child for pair in node.value for child in pair]
        extents = [_extent(child, known) for child in children]
        known[id(node)] = _Extent(
            min(MOST_VALUES, 1 + sum(extent.values for extent in extents)),
            1 + max((extent.depth for extent in extents), default=0),
        )
    return known[id(node)]


def _refuse_twins(node: yaml.MappingNode) -> None:
    """Refuse a key given twice, of which Ray would see only the last."""
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal("a key is not a word", key)
        if key.value in seen:
            raise _refusal(f"{key.value:.60} is given twice", key)
        seen.add(key.value)


def _refusal(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


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
    elif not _is_port(port := http_options.get("port", 8000)):
        yield Problem(f"{PATH}:http_options.port", f"is {port}", "give a port number, as 8000")
    location = document.get("proxy_location", "EveryNode")
    if location not in PROXY_LOCATIONS:
        yield Problem(f"{PATH}:proxy_location", f"is {location}", f"use {', '.join(PROXY_LOCATIONS)}")


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_PORT


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
        yield from _deployments(application.get("deployments"), f"{path}.deployments")


def _deployments(deployments: Any, path: str) -> Iterator[Problem]:
    if deployments is None:
        return
    if not isinstance(deployments, list):
        yield Problem(path, "is not a list", "list the deployments, each with its name")
        return
    for index, deployment in enumerate(deployments):
        if not isinstance(deployment, dict):
            yield Problem(f"{path}[{index}]", "is not a mapping", "give it the name of a deployment")
        elif not isinstance(deployment.get("name"), str):
            yield Problem(f"{path}[{index}].name", f"is {deployment.get('name')}", "give a string")
