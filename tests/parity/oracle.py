"""What Ray itself says to Serve configs, to be run by a Python that has Ray: a config a line in, a verdict a line out.

A verdict has three parts: why a PUT of the config is refused, or null; where what was taken fails when it is deployed;
and the keys that are dropped without a word.
"""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from ray.serve import config as serve_config
from ray.serve.config import AutoscalingConfig, DeploymentActorConfig, GangSchedulingConfig, RequestRouterConfig
from ray.serve.schema import ServeDeploySchema

_LATE: Mapping[str, type[BaseModel]] = {
    "autoscaling_config": AutoscalingConfig,
    "request_router_config": RequestRouterConfig,
    "gang_scheduling_config": GangSchedulingConfig,
    "deployment_actors": DeploymentActorConfig,
}
"""Parts of a deployment that the schema takes as any mapping, and what becomes of them later."""


def verdict(config: Any) -> dict[str, Any]:
    """What Ray says to a config."""
    try:
        taken = ServeDeploySchema.model_validate(copy.deepcopy(config))  # Its validators write into what they read.
    except Exception as error:  # noqa: BLE001 (Whatever a validator raises, nothing is deployed.)
        return {"refused": f"{type(error).__name__}: {error}"[:500], "late": [], "dropped": []}
    dropped, late = list(_dropped(config, taken.model_dump(exclude_unset=True), "")), []
    for path, part, model in _late_parts(config):
        try:
            dump = _made(model, part).model_dump(exclude_unset=True)
        except (NotImplementedError, ValidationError):
            late.append(path)
            dump = {key: value for key, value in part.items() if key in model.model_fields}
        dropped += _dropped(part, dump, path)
    return {"refused": None, "late": late, "dropped": dropped}


def _late_parts(config: Any) -> Iterator[tuple[str, dict[str, Any], type[BaseModel]]]:
    for index, application in enumerate(config["applications"]):
        for number, deployment in enumerate(application.get("deployments") or ()):
            for key, model in _LATE.items():
                at, found = f"applications[{index}].deployments[{number}].{key}", deployment.get(key)
                if isinstance(found, dict):
                    yield at, found, model
                for place, item in enumerate(found if isinstance(found, list) else ()):
                    yield f"{at}[{place}]", item, model


def _made(model: type[BaseModel], part: dict[str, Any]) -> BaseModel:
    # Serve puts its own number in the place of this word before it reads the rest.
    many = {"max_replicas": 100} if part.get("max_replicas") == "auto" else {}
    return model.model_validate({**part, **many})


def _dropped(given: Any, taken: Any, path: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(taken, dict):
        for key, value in given.items():
            at = f"{path}.{key}".removeprefix(".")
            if key in taken:
                yield from _dropped(value, taken[key], at)
            else:
                yield at
    elif isinstance(given, list) and isinstance(taken, list):
        for index, (one, other) in enumerate(zip(given, taken, strict=False)):
            yield from _dropped(one, other, f"{path}[{index}]")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    # Ray imports what some keys name; that there is no such module here says nothing of the config.
    serve_config.import_module_and_attr = lambda _: (json, object)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(verdict(json.loads(line))) + "\n")
        sys.stdout.flush()
