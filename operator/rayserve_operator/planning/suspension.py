"""Objects that are held without what costs resources, as Kueue and KubeRay do it.

Once it has begun, a suspension is carried to its end even if it is called off meanwhile: whoever counts resources must
be able to rely on the condition. So the condition is written before the first pod goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from rayserve_operator.model.conditions import ClusterCondition, Condition, ServiceCondition
from rayserve_operator.planning.observed import ObservedRayCluster, ObservedService


class Phase(Enum):
    """Where an object stands between running and suspended."""

    RUNNING = auto()
    """It is to have all that it needs."""
    BEGINNING = auto()
    """It is to lose that, which has to be written down first."""
    SUSPENDING = auto()
    """All of it goes."""
    SUSPENDED = auto()
    """Nothing of it is left."""
    RESUMING = auto()
    """It was called off meanwhile and is over, which has to be written down before anything is made anew."""


def phase_of_cluster(observed: ObservedRayCluster) -> Phase:
    """Where a RayCluster stands."""
    cluster = observed.cluster
    begun = _holds(ClusterCondition.SUSPENDING, cluster.status.conditions)
    return _phase(bool(cluster.spec.suspend), begun=begun, anything_left=bool(observed.pods))


def phase_of_service(observed: ObservedService) -> Phase:
    """Where a RayService stands, which loses its clusters and with them its Services."""
    service = observed.service
    begun = _holds(ServiceCondition.SUSPENDING, service.status.conditions)
    owned = [view for view in (observed.serve_service, observed.head_service)
             if view is not None and view.meta.owner == service.meta.uid]  # fmt: skip
    return _phase(bool(service.spec.suspend), begun=begun, anything_left=bool(observed.clusters or owned))


def _phase(wanted: bool, *, begun: bool, anything_left: bool) -> Phase:
    if anything_left and begun:
        return Phase.SUSPENDING
    if not wanted:
        return Phase.RESUMING if begun else Phase.RUNNING
    return Phase.BEGINNING if anything_left else Phase.SUSPENDED


def _holds(type_: ClusterCondition | ServiceCondition, conditions: Iterable[Condition]) -> bool:
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)
