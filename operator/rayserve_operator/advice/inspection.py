"""The one validator behind all doors: everything that is to be said of a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from rayserve_operator.advice.findings import Door, Finding, Level
from rayserve_operator.advice.rules import BY_CODE, RULES
from rayserve_operator.advice.structure import structure
from rayserve_operator.advice.view import View, view_of
from rayserve_operator.model.objects import GROUP, RAY_CLUSTER, RAY_SERVICE
from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve_parsing import PATH, parse_serve_config, read_serve_config
from rayserve_operator.model.serve_strict import modelled, parse_version, strict_problems
from rayserve_operator.model.validation import validate_cluster, validate_service

SILENCE = "rayserve.ray.io/silence"
"""Annotation: codes of rules, divided by commas, of which this manifest is to hear nothing."""
_SILENCE_PATH = f"metadata.annotations.{SILENCE}"

Manifest = Mapping[str, Any]


def is_ours(manifest: Any) -> bool:
    """Whether a document is of a kind that is inspected."""
    return (
        isinstance(manifest, Mapping)
        and str(manifest.get("apiVersion", "")).partition("/")[0] == GROUP
        and manifest.get("kind") in (RAY_CLUSTER, RAY_SERVICE)
    )


def inspect(manifest: Manifest, door: Door = Door.LINT) -> list[Finding]:
    """What a door has to say of a RayService or a RayCluster, what weighs most first."""
    silenced = _silenced(manifest)
    found = [*_found(manifest), *_silence_problems(silenced)]
    told = (_weighed(problem, door, is_certain=is_certain) for problem, is_certain in found)
    kept = [f for f in told if f is not None and not (f.problem.code in silenced and f.level is not Level.ERROR)]
    return sorted(_once(kept), key=lambda finding: -finding.level.weight)


def _found(manifest: Manifest) -> Iterator[tuple[Problem, bool]]:
    """Problems, each with whether it is certain that Ray sees it so."""
    is_service = manifest["kind"] == RAY_SERVICE
    model = RayServiceSpec if is_service else RayClusterSpec
    cluster_path = "spec.rayClusterConfig" if is_service else "spec"
    given = _mapping(manifest.get("spec"))
    structural = list(structure(manifest, model, cluster_path))
    yield from _certain(structural)
    yield from _of_serve(given)
    try:
        spec = model.model_validate(given)
    except ValidationError:
        return
    metadata = _mapping(manifest.get("metadata"))
    name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "default")
    if isinstance(spec, RayServiceSpec):
        problems = validate_service(name, namespace, spec)
        cluster = spec.ray_cluster_config
    else:
        problems = validate_cluster(name, namespace, spec)
        cluster = spec
    yield from _certain(problems)
    if not problems and not any(problem.code == "RS010" for problem in structural):
        config = parse_serve_config(spec.serve_config_v2) if isinstance(spec, RayServiceSpec) else None
        yield from _certain(_advice(view_of(cluster, cluster_path, config)))


def _of_serve(spec: Manifest) -> Iterator[tuple[Problem, bool]]:
    text, version = spec.get("serveConfigV2"), _mapping(spec.get("rayClusterConfig")).get("rayVersion")
    ray = parse_version(str(version))
    try:
        document = read_serve_config(text if isinstance(text, str) else None)
    except InvalidSpec:
        return
    for problem in strict_problems(document, PATH, ray):
        yield problem, modelled(ray)


def _advice(view: View) -> Iterator[Problem]:
    for rule in RULES:
        if rule.find is not None:
            yield from (replace(problem, code=rule.code) for problem in rule.find(view))


def _weighed(problem: Problem, door: Door, *, is_certain: bool) -> Finding | None:
    level = BY_CODE[problem.code].levels.get(door)
    return None if level is None else Finding(problem, level if is_certain else min(level, Level.WARNING, key=_weight))


def _silenced(manifest: Manifest) -> list[str]:
    annotations = _mapping(_mapping(manifest.get("metadata")).get("annotations"))
    return re.findall(r"[^\s,]+", str(annotations.get(SILENCE) or ""))


def _silence_problems(codes: Iterable[str]) -> Iterator[tuple[Problem, bool]]:
    for code in codes:
        rule = BY_CODE.get(code)
        if rule is None:
            yield Problem(_SILENCE_PATH, f"names {code}, which is no rule", "see docs/rules.md", "RS012"), True
        elif not rule.can_be_silenced:
            yield Problem(_SILENCE_PATH, f"names {code}, which is an error", "mend the manifest", "RS012"), True


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """One finding of a rule at a place: what the reconciler says too is said in its words."""
    seen = set()
    for finding in findings:
        key = finding.problem.path, finding.problem.code
        if key not in seen:
            seen.add(key)
            yield finding


def _certain(problems: Iterable[Problem]) -> Iterator[tuple[Problem, bool]]:
    return ((problem, True) for problem in problems)


def _mapping(value: Any) -> Manifest:
    return value if isinstance(value, Mapping) else {}


def _weight(level: Level) -> int:
    return level.weight
