"""What Ray does with the replicas of a running Serve when its config changes.

The source is Ray's own classes of options (`ray.serve._private.config`, `update_type`) and its version of the code of
an application (`ray.serve._private.deploy_utils.get_app_code_version`).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rayserve_operator.model.serve import DeployedConfig, ServeConfig, differing

_CODE = frozenset({"import_path", "runtime_env", "args", "autoscaling_policy"})
"""Options of an application that make another code of it."""
_CODE_OF_DEPLOYMENTS = frozenset({"request_router_config", "deployment_actors"})
"""Options of a deployment that do so too."""
_REPLACING = frozenset(
    {"ray_actor_options", "placement_group_bundles", "placement_group_strategy",
     "placement_group_bundle_label_selector", "max_replicas_per_node", "gang_scheduling_config"}
)  # fmt: skip
_LIGHT = frozenset(
    {"num_replicas", "max_queued_requests", "rolling_update_percentage", "max_surge_percent", "autoscaling_config"}
)
_NOT_LIGHT = ("autoscaling_config.metrics_interval_s", "autoscaling_config.look_back_period_s")
"""What of autoscaling_config the replicas themselves act by."""


class Effect(StrEnum):
    """What the replicas notice."""

    STARTED = "started"
    """They are new."""
    ENDED = "ended"
    """They finish their requests and go."""
    REPLACED = "replaced"
    """Others take their place, a few at a time."""
    RECONFIGURED = "reconfigured"
    """They are told, and stay."""
    SCALED = "scaled"
    """Nothing; some come or go."""

    @property
    def weight(self) -> int:
        """A number that grows with it."""
        return -list(Effect).index(self)


@dataclass(frozen=True, slots=True)
class Update:
    """What happens to a deployment, or to all of an application."""

    application: str
    deployment: str | None
    """None means all of them."""
    effect: Effect
    paths: tuple[str, ...]
    """The options that change, within the application or the deployment."""


def updates(before: DeployedConfig, after: ServeConfig) -> Iterator[Update]:
    """What Ray does when a config is sent to a cluster that runs another one."""
    changed_capacity = before.target_capacity != after.document.get("target_capacity")
    for name in sorted(before.apps.keys() | after.applications.keys()):
        old, new = before.apps.get(name), after.handed_down.get(name)
        if old is None or new is None:
            yield Update(name, None, Effect.STARTED if old is None else Effect.ENDED, ())
            continue
        code = tuple(_code_changes(old, new))
        if code:
            yield Update(name, None, Effect.REPLACED, code)
            continue
        if changed_capacity:
            yield Update(name, None, Effect.SCALED, ("target_capacity",))
        yield from _of_application(name, old, new)


def _of_application(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Update]:
    beside = (old.keys() | new.keys()) - {"name", "deployments"}
    paths = _differing(_only(beside, new), _only(beside, old))
    if paths:
        yield Update(name, None, Effect.RECONFIGURED, paths)
    before, after = _deployments(old), _deployments(new)
    for deployment in sorted(before.keys() | after.keys()):
        paths = _differing(after.get(deployment, {}), before.get(deployment, {}))
        if paths:
            yield Update(name, deployment, max(map(_effect, paths), key=lambda effect: effect.weight), paths)


def _effect(path: str) -> Effect:
    option = path.partition(".")[0]
    if option in _REPLACING:
        return Effect.REPLACED
    return Effect.SCALED if option in _LIGHT and not path.startswith(_NOT_LIGHT) else Effect.RECONFIGURED


def _code_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The paths by which the code of an application is another one."""
    yield from _differing(_only(_CODE, new), _only(_CODE, old))
    before, after = _deployments(old), _deployments(new)
    if _policies(before) != _policies(after):
        yield "autoscaling_config of deployments, or its policy"
    for name in sorted(before.keys() | after.keys()):
        one, other = (_only(_CODE_OF_DEPLOYMENTS, found.get(name, {})) for found in (after, before))
        yield from (f"deployments.{name}.{path}" for path in _differing(one, other))


def _policies(deployments: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """What Ray takes of autoscaling into the version of the code: whether it is given, and its policy."""
    given = (options.get("autoscaling_config") for options in deployments.values())
    return [scaling.get("policy") for scaling in given if isinstance(scaling, dict)]


def _deployments(app: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The options of each deployment, by its name."""
    found = app.get("deployments") or ()
    return {options["name"]: {key: value for key, value in options.items() if key != "name"} for options in found}


def _only(keys: Container[str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key in keys}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(path.removeprefix(".") for path in differing(one, other, "", verbatim=False))
