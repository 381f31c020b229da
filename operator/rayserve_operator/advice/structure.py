"""What the API server refuses, or would drop: rules on a manifest as it was written."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import ValidationError

from rayserve_operator.model.base import Model
from rayserve_operator.model.problems import Problem, parse_problems

Manifest = Mapping[str, Any]

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


def structure(manifest: Manifest, model: type[Model]) -> Iterator[Problem]:
    """What is wrong with the fields of a manifest, by the model of its spec."""
    spec = manifest.get("spec")
    if not isinstance(spec, Mapping):
        yield Problem("spec", "is missing" if spec is None else "is not a mapping", "write it", "RS001")
        return
    for key in manifest.keys() - set(_TOP):
        yield _unknown(str(key), str(key), _TOP)
    yield from _unknown_fields(model, spec, "spec")
    try:
        model.model_validate(dict(spec), strict=True)  # As the API server, which takes no "2" for a 2.
    except ValidationError as error:
        yield from parse_problems(error)
    yield from _steps(spec)


def _unknown_fields(model: type[Model], value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, child in value.items():
        at = f"{path}.{key}"
        if key not in known:
            yield _unknown(at, str(key), known)
        elif (nested := _model_in(known[key].annotation)) is not None:
            items = enumerate(child) if isinstance(child, list) else [(None, child)]
            for index, item in items:
                if isinstance(item, Mapping):
                    yield from _unknown_fields(nested, item, at if index is None else f"{at}[{index}]")


def _model_in(annotation: Any) -> type[Model] | None:
    """The model that a field holds, itself, in a list or not at all."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _unknown(path: str, key: str, known: Any) -> Problem:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    return Problem(path, "is no field", f"write {near[0]}" if near else "leave it out", "RS002")


def _steps(spec: Manifest) -> Iterator[Problem]:
    """The rules of the CRD on incremental upgrades."""
    strategy = below(spec, "upgradeStrategy")
    options = below(strategy, "clusterUpgradeOptions")
    path = "spec.upgradeStrategy.clusterUpgradeOptions"
    if strategy.get("type") == "NewClusterWithIncrementalUpgrade":
        for key, others in (("stepSizePercent", ("steps",)), ("intervalSeconds", ())):
            if all(options.get(one) is None for one in (key, *others)):
                words = "is missing, and type is NewClusterWithIncrementalUpgrade"
                yield Problem(f"{path}.{key}", words, " or ".join(("give it", *others)), "RS011")
    step, surge = options.get("stepSizePercent"), options.get("maxSurgePercent", 100)
    if isinstance(step, int) and isinstance(surge, int) and step > surge:
        words = f"is {step} and maxSurgePercent is {surge}"
        yield Problem(f"{path}.stepSizePercent", words, f"write {surge} at most", "RS011")
    given = [key for key in ("gatewayClassName", "gateway", "httpRoute") if options.get(key) is not None]
    for key in given[1:]:
        yield Problem(f"{path}.{key}", f"is given beside {given[0]}", "leave one of them", "RS011")


def below(value: Manifest, *keys: str) -> Manifest:
    """The mapping that these keys lead to; an empty one where there is none."""
    for key in keys:
        child = value.get(key)
        value = child if isinstance(child, Mapping) else {}
    return value
