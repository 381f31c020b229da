"""The goal of a RayService: the newest of its specs that is valid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import ValidationError

from rayserve_operator.model.objects import Meta
from rayserve_operator.model.problems import InvalidSpec, Problem, parse_problems
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve import ServeConfig
from rayserve_operator.model.serve_parsing import serve_config_of
from rayserve_operator.model.validation import validate_service
from rayserve_operator.planning.changes import cluster_part, compare
from rayserve_operator.planning.observed import Failure
from rayserve_operator.render import names

REVISED = ("rayClusterConfig", "serveConfigV2")
"""What of a spec its revision stands for."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A valid spec with all that is derived from it."""

    spec: RayServiceSpec
    serve: ServeConfig
    part_digest: str
    """Stands for the cluster part in names; never compared."""
    revision: str
    """Name of the ControllerRevision of this pair of cluster part and Serve config."""
    means: Mapping[str, Any] | None
    """What helps or hinders its rollout beside that: times and numbers of replicas. None where they are not known."""
    instead_of: Failure | None = None
    """Why it is not the spec's own revision but the last good one, which comes back because nothing else serves."""

    @classmethod
    def of(cls, meta: Meta, spec: RayServiceSpec) -> Self:
        """Derive the goal from a spec.

        Raises:
            InvalidSpec: with every problem found.
        """
        problems = validate_service(meta.name, meta.namespace, spec)
        if problems:
            raise InvalidSpec(problems)
        serve = serve_config_of(spec)
        part_digest = _digest({"pods": cluster_part(spec.ray_cluster_config), "serve": serve.cluster_part})
        return cls(
            spec=spec,
            serve=serve,
            part_digest=part_digest,
            revision=names.revision_name(meta.name, meta.uid, f"{part_digest}-{serve.digest}"),
            means=_means(spec),
        )

    @classmethod
    def parse(cls, meta: Meta, spec: Mapping[str, Any]) -> Self:
        """Derive the goal from a spec as it stands in a manifest.

        Raises:
            InvalidSpec: with every problem found.
        """
        try:
            return cls.of(meta, RayServiceSpec.model_validate(spec))
        except ValidationError as error:
            raise InvalidSpec(parse_problems(error)) from error

    @classmethod
    def last_valid(cls, meta: Meta, stored: Mapping[str, Any], spec: Mapping[str, Any]) -> Self:
        """The goal of a stored revision, beside a spec that is not valid as a whole.

        A revision holds a spec of the day on which it was first the goal. What is no part of what it stands for, such
        as `suspend`, may have changed since, and is taken as it is now wherever that is valid by itself.

        Raises:
            InvalidSpec: if the revision itself is not valid any more.
        """
        revised = {key: value for key, value in stored.items() if key in REVISED}
        beside = {key: value for key, value in stored.items() if key in spec}
        for key in sorted(spec.keys() - set(REVISED)):
            try:
                cls.parse(meta, {**revised, key: spec[key]})
            except InvalidSpec:
                continue
            beside[key] = spec[key]
        return replace(cls.parse(meta, {**revised, **beside}), means=None)

    def beyond(self, base: RayClusterSpec, options: Mapping[str, Any] | None) -> tuple[str, ...]:
        """Paths in the RayService's spec that a cluster cannot take in place.

        Args:
            base: the cluster's spec.
            options: the options of Serve itself that it was made for; None where that is not known.
        """
        paths = tuple(f"rayClusterConfig.{path}" for path in compare(base, self.spec.ray_cluster_config).rebuild)
        if options is None:
            return paths
        wanted = self.serve.cluster_part
        changed = sorted(key for key in options.keys() | wanted.keys() if options.get(key) != wanted.get(key))
        return (*paths, *(f"serveConfigV2:{key}" for key in changed))

    @property
    def data(self) -> dict[str, Any]:
        """What a ControllerRevision holds of it."""
        return {"spec": self.spec.manifest()}


@dataclass(frozen=True, slots=True)
class Aim:
    """What is aimed at, and what is wrong with the spec as it stands now."""

    goal: Goal
    problems: tuple[Problem, ...] = ()
    """Where there are any, the goal is the last valid revision and not the spec."""


def _means(spec: RayServiceSpec) -> dict[str, Any]:
    groups = {
        g.group_name: [g.replicas, g.min_replicas, g.max_replicas] for g in spec.ray_cluster_config.worker_group_specs
    }
    return {
        "groups": groups,
        "progressDeadline": spec.progress_deadline,
        "warmUpTimeout": spec.warm_up_timeout,
        "needsParity": spec.needs_parity,
        **({"recreates": True} if spec.recreates else {}),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
