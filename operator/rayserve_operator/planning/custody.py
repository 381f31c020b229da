"""Which objects are looked after here, and which are another controller's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rayserve_operator.model.objects import RAY_JOB, Meta
from rayserve_operator.model.raycluster import KUBERAY_OPERATOR, OUR_OPERATOR
from rayserve_operator.planning.actions import Kind
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


def conflict(kind: Kind, namesake: Meta, wanted: Meta) -> str | None:
    """Why an object under the name of one that is wanted for a RayCluster is left alone; None where it is taken over.

    It is if both have the same controller, as what KubeRay made for the same RayCluster, or if it was made here for a
    RayCluster of that name and has lost its controller, as by `kubectl delete --cascade=orphan`.
    """
    is_left_behind = (
        namesake.owner is None
        and labels.APPLIED in namesake.annotations
        and namesake.labels.get(labels.CLUSTER) == wanted.labels[labels.CLUSTER]
    )
    if namesake.owner == wanted.owner or is_left_behind:
        return None
    words = f"{kind} {namesake.name} is there already and not this RayCluster's, so it is left alone"
    return f"{words}; delete it, or choose another name"
