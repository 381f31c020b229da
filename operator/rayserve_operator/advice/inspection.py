"""The one validator behind all doors: everything that is to be said of a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from rayserve_operator.advice.findings import Door, Finding, Level
from rayserve_operator.advice.rules import BY_CODE, RULES
from rayserve_operator.advice.structure import Manifest, below, structure
from rayserve_operator.advice.subject import Subject, model_of
from rayserve_operator.advice.view import View, view_of
from rayserve_operator.model.objects import GROUP, RAY_CLUSTER, RAY_SERVICE
from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve_parsing import PATH, read_serve_config, serve_config_of, serve_document_of
from rayserve_operator.model.serve_strict import Version, modelled, parse_version, strict_problems
from rayserve_operator.model.validation import validate_cluster, validate_service

SILENCE = "rayserve.ray.io/silence"
"""Annotation: codes of rules, divided by commas, of which this manifest is to hear nothing."""
MOST_SOUGHT = 100
"""Problems that are sought of a sort: to find what was meant by a key takes time, and nobody reads more."""
MOST_PAIRS = 200
"""Deployments times groups for which advice is given at admission, where somebody waits: so many take half a second,
and the time grows with their square. Lint always gives it."""
_SILENCE_PATH = f"metadata.annotations.{SILENCE}"


def is_ours(manifest: Any) -> bool:
    """Whether a document is of a kind that is inspected."""
    return (
        isinstance(manifest, Mapping)
        and str(manifest.get("apiVersion", "")).partition("/")[0] == GROUP
        and manifest.get("kind") in (RAY_CLUSTER, RAY_SERVICE)
    )


def inspect(manifest: Manifest, door: Door = Door.LINT) -> list[Finding]:
    """What a door has to say of a RayService or a RayCluster, what weighs most first."""
    return findings_of(Subject.of(manifest), door)


def findings_of(subject: Subject, door: Door) -> list[Finding]:
    """The same of one that has been read."""
    codes, ray = _silenced(subject.manifest), _ray(subject.manifest)
    certain = [*islice(_certain(subject, door), MOST_SOUGHT), *islice(_silence_problems(codes), MOST_SOUGHT)]
    refused = {problem.path for problem in certain if not BY_CODE[problem.code].can_be_silenced}
    of_serve = [problem for problem in islice(_of_serve(subject, ray), MOST_SOUGHT) if problem.path not in refused]
    most = Level.ERROR if modelled(ray) else Level.WARNING
    return _heard([*_weighed(certain, door), *_weighed(of_serve, door, most)], codes)


def weigh(manifest: Manifest, problems: Iterable[Problem], door: Door) -> list[Finding]:
    """What a door has to say of problems that were found elsewhere, what weighs most first."""
    return _heard(_weighed(problems, door), _silenced(manifest))


def _heard(findings: Iterable[Finding], silenced: Sequence[str]) -> list[Finding]:
    heard = [one for one in findings if one.level is Level.ERROR or one.problem.code not in silenced]
    return sorted(heard, key=lambda finding: -finding.level.weight)


def _certain(subject: Subject, door: Door) -> Iterator[Problem]:
    """What the API server and the operator refuse, and if they take it, what is unwise."""
    manifest, spec = subject.manifest, subject.spec
    is_service = manifest["kind"] == RAY_SERVICE
    cluster_path = "spec.rayClusterConfig" if is_service else "spec"
    yield from structure(manifest, model_of(manifest))
    if spec is None:
        return
    metadata = below(manifest, "metadata")
    name, namespace = str(metadata.get("name") or ""), str(metadata.get("namespace") or "default")
    if isinstance(spec, RayServiceSpec):
        problems, cluster = validate_service(name, namespace, spec), spec.ray_cluster_config
    else:
        problems, cluster = validate_cluster(name, namespace, spec), spec
    yield from problems
    if not problems:
        config = serve_config_of(spec) if isinstance(spec, RayServiceSpec) else None
        recreates = isinstance(spec, RayServiceSpec) and spec.recreates
        view = view_of(cluster, cluster_path, config, recreates=recreates)
        if door is Door.LINT or len(view.deployments) * len(view.groups) <= MOST_PAIRS:
            yield from _advice(view)


def _advice(view: View) -> Iterator[Problem]:
    for rule in RULES:
        if rule.find is not None:
            yield from (replace(problem, code=rule.code) for problem in rule.find(view))


def _of_serve(subject: Subject, ray: Version | None) -> Iterable[Problem]:
    """What Ray refuses or drops, as far as the version of Ray is known."""
    try:
        document = _serve_document(subject)
    except InvalidSpec as invalid:
        return invalid.problems
    return strict_problems(document, PATH, ray)


def _serve_document(subject: Subject) -> Any:
    if isinstance(subject.spec, RayServiceSpec):
        return serve_document_of(subject.spec)
    text = below(subject.manifest, "spec").get("serveConfigV2")
    return read_serve_config(text if isinstance(text, str) else None)


def _ray(manifest: Manifest) -> Version | None:
    return parse_version(str(below(manifest, "spec", "rayClusterConfig").get("rayVersion")))


def _weighed(problems: Iterable[Problem], door: Door, most: Level = Level.ERROR) -> Iterator[Finding]:
    for problem in problems:
        level = BY_CODE[problem.code].levels.get(door)
        if level is not None:
            yield Finding(problem, min(level, most, key=lambda one: one.weight))


def _silenced(manifest: Manifest) -> Sequence[str]:
    value = below(manifest, "metadata", "annotations").get(SILENCE)
    return re.findall(r"[^\s,]+", str(value or ""))


def _silence_problems(codes: Iterable[str]) -> Iterator[Problem]:
    for code in codes:
        rule = BY_CODE.get(code)
        if rule is None:
            yield Problem(_SILENCE_PATH, f"names {code}, which is no rule", "see docs/rules.md", "RS012")
        elif not rule.can_be_silenced:
            yield Problem(_SILENCE_PATH, f"names {code}, which is an error", "mend the manifest", "RS012")
