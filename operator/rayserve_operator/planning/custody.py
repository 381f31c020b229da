"""Which objects are looked after here, and which are another controller's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rayserve_operator.model.objects import RAY_JOB
from rayserve_operator.model.raycluster import KUBERAY_OPERATOR, OUR_OPERATOR
from rayserve_operator.render import labels

Manage: TypeAlias = Literal["all", "marked"]
"""What the operator is to look after: also what is KubeRay's by default, or only what is marked as its own."""


@dataclass(frozen=True, slots=True)
class Custody:
    """What the operator looks after now."""

    manage: Manage = "all"
    stands_by: bool = False
    """Whether KubeRay is at work. It leaves alone what is marked as ours, and the rest is left to it."""

    def covers(self, managed_by: str | None) -> bool:
        """Whether an object with this `spec.managedBy` is looked after; KubeRay takes an unset one for its own."""
        if managed_by in (None, KUBERAY_OPERATOR):
            return self.manage == "all" and not self.stands_by
        return managed_by == OUR_OPERATOR

    def covers_cluster(self, managed_by: str | None, noted: Mapping[str, str]) -> bool:
        """Whether a RayCluster with these labels is looked after; never one that is a RayJob's."""
        return noted.get(labels.FROM_CRD) != RAY_JOB and self.covers(managed_by)
