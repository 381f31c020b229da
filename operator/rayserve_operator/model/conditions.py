"""Conditions of the two kinds: a closed set of types and of reasons."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from rayserve_operator.model.base import Model


class ServiceCondition(StrEnum):
    """Condition types of a RayService. The first five are KubeRay's."""

    READY = "Ready"
    UPGRADE_IN_PROGRESS = "UpgradeInProgress"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    SPEC_VALID = "SpecValid"
    RECONCILING = "Reconciling"
    APPLICATIONS_HEALTHY = "ApplicationsHealthy"
    SERVICE_CONFLICT = "ServiceConflict"
    STALLED = "Stalled"
    ROUTE_READY = "RouteReady"


class ClusterCondition(StrEnum):
    """Condition types of a RayCluster. The first five are KubeRay's; the last three are those that kstatus reads."""

    PROVISIONED = "RayClusterProvisioned"
    HEAD_POD_READY = "HeadPodReady"
    REPLICA_FAILURE = "ReplicaFailure"
    SUSPENDING = "RayClusterSuspending"
    SUSPENDED = "RayClusterSuspended"
    SPEC_VALID = "SpecValid"
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Condition(Model):
    """One fact about an object, with its reason and since when it holds."""

    type: Annotated[str, Field(max_length=316)]
    """What the fact is about."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, as one word of a closed set."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in words, and what to do next."""
    last_transition_time: str
    """When the status last changed."""
    observed_generation: Annotated[int | None, Field(json_schema_extra={"format": "int64"})] = None
    """The generation of the spec that the fact speaks of."""
