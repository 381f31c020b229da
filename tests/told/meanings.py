"""What the reasons of conditions and events mean, but for those that their own enumerations explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rayserve_operator.model.conditions import ClusterCondition, ServiceCondition
from rayserve_operator.planning.service import gate, giving_up, routes, shifting

from .found import OF_PODS, documented


class Reason(NamedTuple):
    """A reason of a condition."""

    status: str
    reason: str
    meaning: str


def _all(status: str, told: Mapping[str, str]) -> tuple[Reason, ...]:
    return tuple(Reason(status, reason, words) for reason, words in told.items())


_STAGES = {stage: words for stage, words in documented(gate.Stage).items() if stage != gate.Stage.FIT}
_OF_ROUTES: Mapping[str, str] = {
    routes.Reason.ACCEPTED: "True",
    routes.Reason.UNKNOWN: "Unknown",
    routes.Reason.PENDING: "Unknown",
}
_ACCEPTED = Reason("True", "Accepted", "All of it has its effect.")
_RECREATED = "The old cluster has lost the traffic, and no other one takes it yet (`upgradeStrategy.type: Recreate`)."
_REFUSED = "The API server or Ray refuses what is to happen next; the message has its words."

OF_SERVICES: Mapping[ServiceCondition, tuple[Reason, ...]] = {
    ServiceCondition.READY: (
        Reason("True", "NonZeroServeEndpoints", "Pods take traffic; the message says how many."),
        Reason("False", "ZeroServeEndpoints", "No pod of the serving cluster takes traffic."),
        Reason("False", "Initializing", "No cluster takes traffic yet."),
        Reason("False", "Recreating", _RECREATED),
        Reason("False", "ValidationFailed", "There has been no valid spec yet."),
        Reason("False", "SuspendInProgress", "It is being suspended."),
        Reason("False", "SuspendComplete", "It is suspended."),
    ),
    ServiceCondition.RECONCILING: (
        Reason("False", "Current", "It is as the spec says; what is still drained stands in the message."),
        *_all("True", _STAGES),
        *_all("True", documented(shifting.Reason)),
        Reason("True", "ActionRefused", _REFUSED),
        Reason("False", "Stalled", "It waits for a person; see Stalled."),
        Reason("False", "ValidationFailed", "It waits for a valid spec."),
        Reason("True", "SuspendInProgress", "It is being suspended."),
        Reason("True", "Initializing", "It is resumed."),
        Reason("False", "SuspendComplete", "It is suspended."),
    ),
    ServiceCondition.STALLED: (
        *_all("True", documented(giving_up.Reason)),
        Reason("True", "InvalidRayServiceSpec", "It waits for a valid spec; see SpecValid."),
    ),
    ServiceCondition.SPEC_VALID: (
        _ACCEPTED,
        Reason("True", "UnsupportedFields", "It is followed, but for the fields that the message names."),
        Reason("False", "InvalidRayServiceSpec", "The message names each path and its mend."),
    ),
    ServiceCondition.APPLICATIONS_HEALTHY: (
        Reason("True", "AllApplicationsRunning", "All are RUNNING."),
        Reason("False", "ApplicationsNotRunning", "The message has Ray's words for each that is not."),
        Reason("Unknown", "RayDoesNotAnswer", "The head cannot be asked, or has not answered for 15 s."),
    ),
    ServiceCondition.SERVICE_CONFLICT: (
        Reason("True", "ServiceExists", "It is left as it is, and no traffic is moved to a new cluster."),
    ),
    ServiceCondition.UPGRADE_IN_PROGRESS: (
        Reason("True", "BothActivePendingClustersExist", "The message names both clusters."),
        Reason("True", "Recreating", _RECREATED),
        Reason("False", "NoPendingCluster", "The serving cluster is current."),
        Reason("Unknown", "NoActiveCluster", "No cluster takes traffic yet, or it is suspended."),
    ),
    ServiceCondition.SUSPENDING: (
        Reason("True", "UserRequestedSuspend", "It has begun, and will be carried to its end."),
        Reason("False", "NotSuspended", "It is not."),
    ),
    ServiceCondition.SUSPENDED: (
        Reason("True", "UserRequestedSuspend", "All is gone that cost anything."),
        Reason("False", "NotSuspended", "It is not."),
    ),
    ServiceCondition.ROLLBACK_IN_PROGRESS: (),
    ServiceCondition.ROUTE_READY: (
        *(
            Reason(_OF_ROUTES.get(reason, "False"), reason, words)
            for reason, words in documented(routes.Reason).items()
        ),
    ),
}

OF_CLUSTERS: Mapping[ClusterCondition, tuple[Reason, ...]] = {
    ClusterCondition.HEAD_POD_READY: (
        Reason("True", "HeadPodRunningAndReady", "It does."),
        Reason("False", "HeadPodStarting", "It is starting."),
        Reason("False", "HeadPodNotReady", "It runs, and its readiness probe fails."),
        Reason("False", "HeadPodWaiting", "None is made yet; the message says what is waited for."),
        Reason("False", "HeadPodNotFound", "There is none."),
        Reason("False", "Suspended", "The cluster is suspended."),
        Reason("False", OF_PODS, "What keeps it from running, in one word of the scheduler or the kubelet."),
    ),
    ClusterCondition.REPLICA_FAILURE: (
        Reason("True", OF_PODS, "`Unschedulable`, `ImagePullBackOff`, `CrashLoopBackOff`, `OOMKilled` and the like, "
               "Kubernetes' own words; `CrashLoop` for a container that ended twice lately; `NodeLost` for a pod on a "
               "node that is silent or gone. The message has the first three troubles."),
        Reason("True", "QuotaExceeded", "A quota of the namespace does not allow a pod."),
        Reason("True", "ActionRefused", _REFUSED),
    ),
    ClusterCondition.PROVISIONED: (
        Reason("True", "AllPodRunningAndReadyFirstTime", "They have been."),
        Reason("False", "RayClusterPodsProvisioning", "Not yet."),
    ),
    ClusterCondition.SPEC_VALID: (
        _ACCEPTED,
        Reason("False", "InvalidRayClusterSpec", "The message names each path and its mend."),
    ),
    ClusterCondition.READY: (
        Reason("True", "AllPodsReady", "They are."),
        Reason("False", "PodsNotReady", "The message says which are not."),
        Reason("False", "Suspended", "The cluster is suspended."),
    ),
    ClusterCondition.RECONCILING: (
        Reason("False", "AllPodsReady", "The cluster is as the spec says."),
        Reason("True", "PodsNotReady", "The message says which are not."),
        Reason("False", "Suspended", "The cluster is suspended."),
        Reason("False", "InvalidRayClusterSpec", "It waits for a valid spec; see SpecValid."),
    ),
    ClusterCondition.STALLED: (
        Reason("True", "InvalidRayClusterSpec", "It waits for a valid spec; see SpecValid."),
    ),
    ClusterCondition.SUSPENDING: (
        Reason("True", "UserRequestedSuspend", "It has begun, and will be carried to its end."),
        Reason("False", "NotSuspending", "They are not."),
    ),
    ClusterCondition.SUSPENDED: (
        Reason("True", "UserRequestedSuspend", "All its pods are gone."),
        Reason("False", "NotSuspended", "It is not."),
    ),
}  # fmt: skip

EVENTS_OF_SERVICES: Mapping[str, str] = {
    "CreatedRayCluster": "A cluster was made: the first one, or a new one, with what asked for it.",
    "UpdatedRayCluster": "The serving or the new cluster was changed in place, with the paths.",
    "UpdatedServeApplications": "A Serve config was sent to a cluster, with what changes.",
    "StoppedTraffic": "No cluster takes traffic until another one is made (`Recreate`). A warning.",
    "RestoringRevision": "The revision that served last comes back, as the new one has failed (`Recreate`). A warning.",
    "DeletedHTTPRoute": "The HTTPRoute that was made is no longer wanted.",
    "DeletedGateway": "The Gateway that was made is no longer wanted.",
    "ShiftingTraffic": "The new cluster is to take a share of the traffic.",
    "SwitchedTraffic": "All traffic goes to this cluster from now on.",
    "RetiredRayCluster": "The old cluster takes no new traffic and is drained.",
    "EndedRayCluster": "The pods of the old cluster end: no request is under way, or the timeout has passed.",
    "DeletedRayCluster": "A cluster was deleted.",
    "DeletedService": "A preview Service, or one under an earlier name, or one of a suspended RayService, was deleted.",
    "RecreatingService": "A Service was deleted to be made anew, because it cannot be given an address in place.",
    "FoundActiveCluster": "No Service said which cluster takes traffic, and this one was found to. A warning, unless "
    "it was taken over from KubeRay.",
    "AdoptedRayCluster": "A cluster was KubeRay's, and is looked after as it is.",
    "ActionRefused": f"{_REFUSED} A warning.",
}
EVENTS_OF_CLUSTERS: Mapping[str, str] = {
    "CreatedHeadPod": "The head was made, with what was set for it that the spec leaves open.",
    "CreatedWorkerPod": "A worker was made, with its group.",
    "DeletedHeadPod": "A head was deleted, and why.",
    "DeletedWorkerPod": "A worker was deleted, and why: Ray's autoscaler named it, its node is silent, and so on.",
    "DeletedService": "A Service of the cluster is no longer wanted.",
    "DeletedIngress": "The Ingress is no longer wanted.",
    "DeletedNetworkPolicy": "A policy is no longer wanted.",
    "DeletedPodDisruptionBudget": "Fewer than two workers serve, or the budget is no longer wanted.",
    "DeletedPodGroup": "The gang is no longer wanted.",
    "CreatedRedisCleanupJob": "What the cluster left in Redis is being removed.",
    "ForceDeletedStuckCluster": "The cluster went, and left its state in Redis; the message says why. A warning.",
    "InvalidRayClusterSpec": "The spec cannot be followed; the message names each path and its mend. A warning.",
    "ActionRefused": f"{_REFUSED} A warning.",
}
