"""What must hold before a spec can be acted upon, each problem with its path and its mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

if TYPE_CHECKING:
    from rayserve_operator.model.raycluster import RayClusterSpec
    from rayserve_operator.model.rayservice import RayServiceSpec


@dataclass(frozen=True)
class Problem:
    """Something wrong in a manifest."""

    path: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.mend}"


class InvalidSpec(ValueError):
    """A spec that cannot be acted upon."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def validate_service(name: str, spec: RayServiceSpec) -> list[Problem]:
    """The problems of a RayService's spec."""
    from rayserve_operator.model.serve import parse_serve_config

    problems = list(_cluster(spec.ray_cluster_config, "spec.rayClusterConfig"))
    try:
        parse_serve_config(spec.serve_config_v2)
    except InvalidSpec as invalid:
        problems += invalid.problems
    return problems


def validate_cluster(name: str, spec: RayClusterSpec, prefix: str = "spec") -> list[Problem]:
    """The problems of a RayCluster's spec."""
    return list(_cluster(spec, prefix))


def parse_problems(error: ValidationError) -> list[Problem]:
    """pydantic's findings as problems."""
    return [Problem("spec." + ".".join(map(str, e["loc"])), e["msg"], "correct the value") for e in error.errors()]


def _cluster(spec: RayClusterSpec, prefix: str) -> Iterator[Problem]:
    seen = set()
    for index, group in enumerate(spec.worker_group_specs):
        path = f"{prefix}.workerGroupSpecs[{index}]"
        if group.group_name in seen:
            yield Problem(f"{path}.groupName", f"{group.group_name} is used twice", "give each group its own name")
        seen.add(group.group_name)
        if (group.min_replicas or 0) > (group.max_replicas if group.max_replicas is not None else 0):
            yield Problem(f"{path}.maxReplicas", "is below minReplicas", "raise it, or lower minReplicas")
