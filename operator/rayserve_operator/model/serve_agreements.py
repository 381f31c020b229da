"""What must agree within a Serve config: rules over more than one key, which no schema of single keys can say.

Each rule takes one part of the config as it was read, so that it holds for what is right in a part that is also wrong.
The source is Ray's `serve/schema.py` and `serve/config.py`; what Ray takes and then fails with is named too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from rayserve_operator.model.problems import Problem
from rayserve_operator.model.serve_schema import AUTO

Part: TypeAlias = Mapping[str, Any]

_SCHEMES = ("http", "https", "s3", "gs", "azure", "abfss", "file", "gcs", "pip", "conda", "uv", "local")
"""How a URI in a runtime_env begins (Ray's `_private/runtime_env/protocol.py`)."""
_EXCLUSIVE = (
    ("max_replicas_per_node", "placement_group_bundles"),
    ("max_replicas_per_node", "gang_scheduling_config"),
    ("placement_group_strategy", "gang_scheduling_config"),
)
_INT = TypeAdapter(int)
_COUNTS = ("min_replicas", "max_replicas", "initial_replicas")


def disagreements(document: Part, path: str) -> Iterator[Problem]:
    """Where parts of a Serve config contradict each other; `path` is where the config stands."""
    http = _mapping(document.get("http_options"))
    for one, other in (("ssl_certfile", "ssl_keyfile"), ("ssl_keyfile", "ssl_certfile")):
        if http.get(one) and not http.get(other):
            yield Problem(f"{path}:http_options.{one}", f"stands without {other}", f"give {other} too", "RS114")
    controller = _mapping(_mapping(document.get("controller_options")).get("runtime_env"))
    for key in controller.keys() - {"env_vars"}:
        at = f"{path}:controller_options.runtime_env.{key}"
        yield Problem(at, "is nothing that the controller takes", "give env_vars alone", "RS115")
    yield from _variables(controller, f"{path}:controller_options.runtime_env")
    for index, application in enumerate(_list(document.get("applications"))):
        yield from _application(_mapping(application), f"{path}:applications[{index}]")


def _application(application: Part, path: str) -> Iterator[Problem]:
    yield from _runtime_env(application.get("runtime_env"), f"{path}.runtime_env")
    deployments = [_mapping(one) for one in _list(application.get("deployments"))]
    names = [deployment.get("name") for deployment in deployments]
    for index, deployment in enumerate(deployments):
        at = f"{path}.deployments[{index}]"
        if names[index] is not None and names[index] in names[:index]:
            yield Problem(f"{at}.name", f"is {names[index]} again", "say all of a deployment in one place", "RS111")
        yield from _deployment(deployment, at)
    if application.get("external_scaler_enabled") is True and any(map(is_scaled, deployments)):
        words = "is true, and Serve scales a deployment itself"
        yield Problem(f"{path}.external_scaler_enabled", words, "leave out it or autoscaling_config", "RS114")


def _deployment(deployment: Part, path: str) -> Iterator[Problem]:
    fixed, scaling = deployment.get("num_replicas"), deployment.get("autoscaling_config")
    if isinstance(fixed, int) and scaling is not None:
        words = f"is {fixed} beside autoscaling_config"
        yield Problem(f"{path}.num_replicas", words, "leave one of them out, or write auto", "RS112")
    for one, other in _EXCLUSIVE:
        if deployment.get(one) is not None and deployment.get(other) is not None:
            yield Problem(f"{path}.{one}", f"cannot stand beside {other}", "leave one of them out", "RS114")
    yield from _bounds(_mapping(scaling), fixed, f"{path}.autoscaling_config")
    yield from _selectors(deployment, f"{path}.placement_group_bundle_label_selector")
    yield from _gangs(deployment, path)
    options = _mapping(deployment.get("ray_actor_options"))
    yield from _runtime_env(options.get("runtime_env"), f"{path}.ray_actor_options.runtime_env")


def is_scaled(deployment: Part) -> bool:
    """Whether Serve scales the deployment by what the config says."""
    return deployment.get("autoscaling_config") is not None or deployment.get("num_replicas") == AUTO


def _bounds(scaling: Part, fixed: Any, path: str) -> Iterator[Problem]:
    if not scaling:
        return
    unsaid = None if fixed == AUTO else 1
    least, most = _whole(scaling.get("min_replicas", 1)), _whole(scaling.get("max_replicas", unsaid))
    first = _whole(scaling.get("initial_replicas"))
    if least is not None and most is not None and most < least:
        yield Problem(
            f"{path}.max_replicas", f"is {most} and min_replicas is {least}", f"give {least} or more", "RS113"
        )
    elif first is not None and least is not None and first < least:
        words = f"is {first} and min_replicas is {least}"
        yield Problem(f"{path}.initial_replicas", words, f"give {least} or more", "RS113")
    elif first is not None and most is not None and first > most:
        words = f"is {first} and max_replicas is {most}"
        yield Problem(f"{path}.initial_replicas", words, f"give {most} at most", "RS113")


def _selectors(deployment: Part, path: str) -> Iterator[Problem]:
    selectors, bundles = (
        deployment.get(key) for key in ("placement_group_bundle_label_selector", "placement_group_bundles")
    )
    if not isinstance(selectors, list):
        return
    if bundles is None:
        yield Problem(path, "selects for bundles that are not there", "give placement_group_bundles", "RS114")
    elif len(selectors) not in (1, len(_list(bundles))):
        words = f"has {len(selectors)} selectors for {len(_list(bundles))} bundles"
        yield Problem(path, words, "give one for all, or one for each", "RS114")


def _gangs(deployment: Part, path: str) -> Iterator[Problem]:
    size = _whole(_mapping(deployment.get("gang_scheduling_config")).get("gang_size"))
    scaling = _mapping(deployment.get("autoscaling_config"))
    counts = {"num_replicas": deployment.get("num_replicas")}
    counts |= {f"autoscaling_config.{key}": scaling.get(key) for key in _COUNTS}
    for key, value in counts.items():
        count = _whole(value)
        if size and count is not None and count % size:
            words = f"is {count}, which no gangs of {size} make up"
            yield Problem(f"{path}.{key}", words, f"give a multiple of {size}", "RS114")


def _runtime_env(value: Any, path: str) -> Iterator[Problem]:
    environment = _mapping(value)
    modules = environment.get("py_modules", [])
    if not isinstance(modules, list):
        yield Problem(f"{path}.py_modules", "is not a list", "list the URIs", "RS115")
    given = [("working_dir", environment.get("working_dir"))]
    given += [(f"py_modules[{index}]", uri) for index, uri in enumerate(_list(modules))]
    for key, uri in given:
        if uri is not None and not _is_uri(uri):
            words = f"is {uri}, which no other node can read"
            mend = "give a URI, as https://… or s3://…, or local:///… for a folder in the image"
            yield Problem(f"{path}.{key}", words, mend, "RS115")
    yield from _variables(environment, path)


def _variables(environment: Part, path: str) -> Iterator[Problem]:
    variables = environment.get("env_vars")
    if variables is None:
        return
    if not isinstance(variables, dict):
        yield Problem(f"{path}.env_vars", "is not a mapping", "write one `NAME: value` a line", "RS115")
        return
    for name, text in variables.items():
        if not isinstance(text, str):
            yield Problem(f"{path}.env_vars.{name}", f"is {text}, which is no string", "put it in quotes", "RS115")


def _is_uri(value: Any) -> bool:
    return isinstance(value, str) and value.partition("://")[0] in _SCHEMES and "://" in value


def _mapping(value: Any) -> Part:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> int | None:
    """The number that Ray's schema takes a value for; None for what it takes for none."""
    try:
        return _INT.validate_python(value)
    except ValidationError:
        return None
