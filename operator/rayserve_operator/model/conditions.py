"""Conditions of the two kinds: a closed set of types and of reasons."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from rayserve_operator.model.base import Model


class ServiceCondition(StrEnum):
    """Condition types of a RayService. The first five are KubeRay's."""

    READY = "Ready"
    """Whether any pod takes traffic."""
    UPGRADE_IN_PROGRESS = "UpgradeInProgress"
    """Whether a new cluster is to take over from the one that serves; Unknown while none serves."""
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    """KubeRay's, of its own incremental upgrades. Never written here, and taken away from what was KubeRay's."""
    SUSPENDING = "Suspending"
    """Whether its clusters and Services are being deleted, because of `suspend`."""
    SUSPENDED = "Suspended"
    """Whether it is held without clusters and Services."""
    SPEC_VALID = "SpecValid"
    """Whether the spec can be followed. While it is False, the last valid one is kept up."""
    RECONCILING = "Reconciling"
    """Whether something is still on its way to what the spec says, and what is waited for (kstatus)."""
    APPLICATIONS_HEALTHY = "ApplicationsHealthy"
    """Whether all applications of the serving cluster are RUNNING; Unknown while its Ray does not answer."""
    SERVICE_CONFLICT = "ServiceConflict"
    """That a Service under the name of the serve Service is somebody else's. There is none while that is not so."""
    STALLED = "Stalled"
    """That it does not go on without a person (kstatus). There is none while that is not so."""
    ROUTE_READY = "RouteReady"
    """Whether the HTTPRoute that is to share the traffic leads where it is to. There is none where none is wanted."""


class ClusterCondition(StrEnum):
    """Condition types of a RayCluster. The first five are KubeRay's; the last three are those that kstatus reads."""

    PROVISIONED = "RayClusterProvisioned"
    """Whether the head and every worker have been up, all at once. Once True it stays."""
    HEAD_POD_READY = "HeadPodReady"
    """Whether the head takes requests."""
    REPLICA_FAILURE = "ReplicaFailure"
    """What keeps pods from running. There is none while that is not so."""
    SUSPENDING = "RayClusterSuspending"
    """Whether its pods are being deleted, because of `suspend`."""
    SUSPENDED = "RayClusterSuspended"
    """Whether it is held without pods."""
    SPEC_VALID = "SpecValid"
    """Whether the spec can be followed. While it is False, nothing of the cluster is touched."""
    READY = "Ready"
    """Whether the head and all workers are up (kstatus)."""
    RECONCILING = "Reconciling"
    """Whether pods are still on their way to what the spec says, and what is waited for (kstatus)."""
    STALLED = "Stalled"
    """That it does not go on without a person, as its spec cannot be followed (kstatus). There is none while it can."""


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
