"""All that Ray refuses in a Serve config, drops without a word, or takes and then fails with.

None of it stops the reconciler, which asks `serve_parsing` alone: a service that runs stays valid.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.alias_generators import to_snake
from pydantic_core import ErrorDetails

from rayserve_operator.model import serve_schema as schema
from rayserve_operator.model.problems import Problem, dotted, shown, wanted
from rayserve_operator.model.serve_agreements import disagreements

Version = tuple[int, int]
OLDEST: Version = (2, 46)
NEWEST: Version = (2, 60)
"""The versions of Ray, first and last, of which it is known what they take."""

RETIRED = {
    "max_concurrent_queries": "max_ongoing_requests",
    "target_num_ongoing_requests_per_replica": "target_ongoing_requests",
}
"""Today's names of keys that Ray knew once."""

_LATE: Mapping[Version, str] = {
    (2, 54): (
        "request_router_config external_scaler_enabled autoscaling_policy policy aggregation_function"
        " downscale_to_zero_delay_s ssl_keyfile ssl_certfile ssl_keyfile_password ssl_ca_certs"
    ),
    (2, 60): (
        "rolling_update_percentage max_surge_percent gang_scheduling_config deployment_actors backpressure_config"
        " controller_options tracing_config"
    ),
}
_SINCE = {key: version for version, keys in _LATE.items() for key in keys.split()}
"""The first version that was seen to know a key; the one before that was looked at does not."""
_BEFORE: Mapping[Version, Version] = {(2, 54): (2, 46), (2, 60): (2, 54)}

_LEVELS: Mapping[str, Mapping[str, Any]] = {
    "the top": schema.ServeSchema.model_fields,
    "http_options": schema.Http.model_fields,
    "grpc_options": schema.Grpc.model_fields,
    "applications": schema.Application.model_fields,
    "deployments": schema.Deployment.model_fields,
    "autoscaling_config": schema.Autoscaling.model_fields,
    "ray_actor_options": schema.ActorOptions.model_fields,
    "logging_config": schema.Logging.model_fields,
}
"""Where keys stand, from the outside to the inside."""
_CLOSED = frozenset({"logging_config", "tracing_config", "backpressure_config", "controller_options"})
"""Where Ray refuses a key that it does not know; everywhere else it drops it."""

_RANGES = frozenset({"greater_than", "greater_than_equal", "less_than_equal", "literal_error", "string_too_short"})
"""Where a value has the right type."""


class _Place(NamedTuple):
    """The key that a problem is about, and where it stands."""

    path: str
    key: str
    parent: str


def strict_problems(document: Any, path: str, ray: Version | None) -> Iterator[Problem]:
    """What is wrong in a Serve config as it was read, for this version of Ray; None for an unknown one."""
    if isinstance(document, Mapping):
        yield from _schema(document, path)
        yield from disagreements(document, path)
        yield from _too_new(document, path, ray)


def modelled(ray: Version | None) -> bool:
    """Whether it is known what this version takes."""
    return ray is not None and OLDEST <= ray <= NEWEST


def came_later(key: str, ray: Version | None) -> Version | None:
    """The version of Ray that brought a key, where this one is known to be without it."""
    since = _SINCE.get(key)
    return since if since is not None and ray is not None and modelled(ray) and ray <= _BEFORE[since] else None


def parse_version(text: str | None) -> Version | None:
    """The major and minor number of a version of Ray; None where it has none."""
    match = re.match(r"(\d+)\.(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else None


def _schema(document: Mapping[str, Any], path: str) -> Iterator[Problem]:
    try:
        schema.ServeSchema.model_validate(document)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            yield _problem(found, path)


def _problem(found: ErrorDetails, path: str) -> Problem:
    location, kind, context = found["loc"], found["type"], found.get("ctx", {})
    at = f"{path}:{dotted(location).removeprefix('.')}"
    if kind.startswith("RS"):
        return Problem(at, context["problem"], context["mend"], kind)
    if kind == "missing":
        return Problem(at, "is missing", "add it", "RS103")
    if kind == "extra_forbidden":
        names = [part for part in location if isinstance(part, str)]
        return _unknown(_Place(at, names[-1], names[-2] if len(names) > 1 else "the top"))
    code = "RS108" if kind in _RANGES else "RS102"
    return Problem(at, f"is {shown(found['input'])}", f"give {wanted(found)}", code)


def _unknown(place: _Place) -> Problem:
    """A key that Ray does not know, by what was surely meant with it."""
    known, snake = _LEVELS.get(place.parent, {}), to_snake(place.key)
    fate = "refuses" if place.parent in _CLOSED else "drops"
    if place.key in RETIRED:
        today = RETIRED[place.key]
        where = "" if today in known else f" under {_home(today, place.parent)}"
        return Problem(place.path, f"is retired, and Ray {fate} it", f"write {today}{where}", "RS105")
    if snake in known:
        return Problem(place.path, f"is no key of Ray, which {fate} it", f"write {snake}", "RS106")
    if home := _home(snake, place.parent):
        words = f"does not belong under {place.parent}, where Ray {fate} it"
        return Problem(place.path, words, f"write {snake} under {home}", "RS107")
    if near := difflib.get_close_matches(snake, known, n=1, cutoff=0.8):
        return Problem(place.path, f"is no key of Ray, which {fate} it", f"write {near[0]}", "RS106")
    return Problem(place.path, f"is no key of Ray, which {fate} it", "leave it out", "RS104")


def _home(key: str, parent: str) -> str | None:
    """Where a key belongs that stands under `parent`: rather further in than further out."""
    order = list(_LEVELS)
    begin = order.index(parent) if parent in _LEVELS else 0
    return next((level for level in [*order[begin:], *order[:begin]] if key in _LEVELS[level]), None)


def _too_new(value: Any, path: str, ray: Version | None) -> Iterator[Problem]:
    if ray is None:
        return
    opaque = ("args", "user_config", "runtime_env")
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        at = f"{path}[{key}]" if isinstance(key, int) else f"{path}{'.' if ':' in path else ':'}{key}"
        since = came_later(key, ray) if isinstance(key, str) else None
        if since is not None:
            words = f"is unknown to Ray {ray[0]}.{ray[1]}, which drops it"
            yield Problem(at, words, f"leave it out, or use Ray {since[0]}.{since[1]}", "RS116")
        elif key not in opaque:
            yield from _too_new(child, at, ray)
