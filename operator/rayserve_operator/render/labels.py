"""Keys of labels and annotations, and the rules for their values.

Keys under `ray.io` and `app.kubernetes.io` and their values are KubeRay's, because Ray's autoscaler, dashboards and
scripts select by them. Keys under `rayserve.ray.io` are our own.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

# On every Ray pod, and on what selects or belongs to pods.
CLUSTER: Final = "ray.io/cluster"
NODE_TYPE: Final = "ray.io/node-type"
GROUP: Final = "ray.io/group"
IDENTIFIER: Final = "ray.io/identifier"
IS_RAY_NODE: Final = "ray.io/is-ray-node"
SERVE: Final = "ray.io/serve"
REPLICA_INDEX: Final = "ray.io/worker-group-replica-index"
REPLICA_NAME: Final = "ray.io/worker-group-replica-name"
HOST_INDEX: Final = "ray.io/replica-host-index"
HEADLESS_SERVICE: Final = "ray.io/headless-worker-svc"
APP_NAME: Final = "app.kubernetes.io/name"
CREATED_BY: Final = "app.kubernetes.io/created-by"

HEAD: Final = "head"
WORKER: Final = "worker"
HEAD_GROUP: Final = "headgroup"
REDIS_CLEANUP: Final = "redis-cleanup"

# On what a RayService makes.
FROM_CR_NAME: Final = "ray.io/originated-from-cr-name"
FROM_CRD: Final = "ray.io/originated-from-crd"

# Annotations that users set on a RayCluster.
FT_ENABLED: Final = "ray.io/ft-enabled"
EXTERNAL_STORAGE_NAMESPACE: Final = "ray.io/external-storage-namespace"
OVERWRITE_COMMAND: Final = "ray.io/overwrite-container-cmd"
ENABLE_SERVE_SERVICE: Final = "ray.io/enable-serve-service"
REDIS_CLEANUP_TIMEOUT: Final = "ray.io/gcs-ft-deletion-timeout"
IN_PLACE_RESIZE: Final = "ray.io/ippr"

# Labels that users set on a RayCluster, or on a RayService for its clusters, for a batch scheduler.
GANG_SCHEDULING: Final = "ray.io/gang-scheduling-enabled"
PRIORITY_CLASS: Final = "ray.io/priority-class-name"

REDIS_FINALIZER: Final = "ray.io/gcs-ft-redis-cleanup-finalizer"
"""Holds a RayCluster until what it left in Redis is removed (KubeRay's)."""

SERVICE_FINALIZER: Final = "ray.io/rayservice-finalizer"
"""Holds a RayService until KubeRay has deleted its clusters; here that is left to Kubernetes."""
KUBERAY_VERSION: Final = "ray.io/kuberay-version"
"""On a RayCluster: the KubeRay that last wrote its spec and the hash of it."""
TAKEN_OVER: Final = "rayserve-operator"
"""What stands there once a cluster was taken over from KubeRay."""

PREFIX: Final = "rayserve.ray.io/"

# Ours, that users set on a RayService, or on a RayCluster of their own.
SHARD: Final = f"{PREFIX}shard"
"""Name of the operator's shard that looks after it; without one, the operator that has no name does."""

# Ours, on the operator's own pods; the chart sets it.
OPERATOR: Final = f"{PREFIX}operator"
"""`true` on the pods that network policies of Ray clusters let through."""

# Ours, on a Service.
ACTIVE_CLUSTER: Final = f"{PREFIX}active-cluster"
"""On the stable serve Service: name of the RayCluster that takes traffic."""
NO_CLUSTER: Final = "no_cluster"
"""Stands there, and in the selector, while the old cluster makes room for the next; no cluster can have this name."""
APPLIED: Final = f"{PREFIX}applied"
"""Fingerprint of the manifest that was applied last."""

# Ours, on a RayCluster.
REVISION: Final = f"{PREFIX}revision"
"""Name of the ControllerRevision that the cluster serves."""
SERVE_OPTIONS: Final = f"{PREFIX}serve-options"
"""The options of Serve itself that the cluster was made for, as JSON in Ray's own spelling."""
SERVE_SPELLING: Final = f"{PREFIX}serve-spelling"
"""Digests, `sent:answered`, of a Serve config and of Ray's own spelling of it."""
ROUTED_AT: Final = f"{PREFIX}routed-at"
"""When the cluster was first given traffic, in RFC 3339."""
SERVED: Final = f"{PREFIX}served-revision"
"""Name of the last ControllerRevision with which all applications ran on the cluster: what a rollback goes back to."""
SERVE_TRIES: Final = f"{PREFIX}serve-tries"
"""How often Ray failed to deploy the present Serve config, as JSON: digest of the config, number, Ray's words."""
SHARE: Final = f"{PREFIX}share"
"""The share of the traffic that the cluster is to take beside the serving one, as JSON: percent, since."""
ROUTE: Final = f"{PREFIX}route"
"""Name of the HTTPRoute that may lead to the cluster's own serve Service, which there is as long as this is noted."""
FLOORS: Final = f"{PREFIX}replica-floors"
"""Replicas below which Serve may not go until the old cluster has gone, as JSON by application and deployment; 0
where only the initial number of replicas is left out."""
CAPACITY: Final = f"{PREFIX}capacity"
"""The part of its capacity that Serve on the cluster is asked for while two clusters share a surge, as JSON: percent,
since."""
WARM_SINCE: Final = f"{PREFIX}warm-since"
"""When the cluster worked and only the capacity of the old one was missing, in RFC 3339."""
MEASURED: Final = f"{PREFIX}measured"
"""What was counted of the traffic of both clusters when the present share began, as JSON: old, new."""
SMOKE_SINCE: Final = f"{PREFIX}smoke-since"
"""Since when the new cluster has not answered a smoke request well, in RFC 3339."""
NO_IMAGE_SINCE: Final = f"{PREFIX}no-image-since"
"""Since when an image of the cluster's pods cannot be had, in RFC 3339."""
RETIRED_AT: Final = f"{PREFIX}retired-at"
"""When traffic was taken from the cluster, in RFC 3339; the drain and the deletion delay count from here. On a worker:
when it was taken from the Services because its head is gone."""
QUIET_AT: Final = f"{PREFIX}quiet-at"
"""When a look first found no request under way on the retired cluster, in RFC 3339."""
ENDED_AT: Final = f"{PREFIX}ended-at"
"""When its pods were given up, in RFC 3339: none is ever made for the cluster again."""

# Ours, on a RayCluster that is to take over; `rayserve rollout` sets them.
PROMOTE: Final = f"{PREFIX}promote"
"""`true` lets it go on where it waits to be promoted, `full` gives it all the traffic at once."""
PAUSE: Final = f"{PREFIX}pause"
"""`true` leaves it the share of the traffic that it has."""

# Ours, on a pod.
TRAFFIC: Final = f"{PREFIX}traffic"
"""Name of the RayService whose traffic the pod takes, while two clusters share it."""
FAILURES: Final = f"{PREFIX}failures"
"""How many pods in a row failed in its place before it; makes the next replacement wait."""
MADE_FROM: Final = f"{PREFIX}made-from"
"""On the head of a cluster that is recreated when its pod templates change: the spec it was made from, as JSON."""

INITIALIZING_TIMEOUT: Final = "ray.io/initializing-timeout"
"""KubeRay's: how long the first start of a RayService may take, as a duration of Go or in seconds."""

# Ours, set by users on a RayService or RayCluster.
DISRUPTION_BUDGET: Final = f"{PREFIX}disruption-budget"
"""`false` leaves the serving workers without a PodDisruptionBudget."""
OF_USERS: Final = frozenset({DISRUPTION_BUDGET})
"""Those of our keys that the clusters of a RayService take over from it, also later."""

# Ours, on a ControllerRevision.
PART: Final = f"{PREFIX}cluster-part"
"""Stands for all of the revision that cannot change in place."""
ATTEMPT: Final = f"{PREFIX}attempt"
"""How many clusters have been made for it, so that no name is used twice."""
STARTED_AT: Final = f"{PREFIX}started-at"
"""When the present attempt began, in RFC 3339."""
FAILED: Final = f"{PREFIX}failed"
"""That its rollout was given up, as JSON: reason, message, since. It is not tried again while it stays the goal."""
LAST_GOOD: Final = f"{PREFIX}last-good"
"""On the one that comes back if the goal fails while no cluster takes traffic: when traffic ended, and once it comes
back when that goal was given up, in RFC 3339."""

OF_ONE_OBJECT: Final = (
    PREFIX,
    "kubectl.kubernetes.io/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "config.k8s.io/",
    "configsync.gke.io/",
    "configmanagement.gke.io/",
    "objectset.rio.cattle.io/",
    "kapp.k14s.io/",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
)
"""Beginnings of the keys by which a tool, or this operator, knows an object as one of its own. On a copy they are
untrue. At worst, a tool that finds such an object and does not find it in Git deletes it: the owner reference holds
Argo CD back, but not every tool, and it goes when a RayService is deleted with `--cascade=orphan`."""

APP: Final[Mapping[str, str]] = {APP_NAME: "kuberay", CREATED_BY: "kuberay-operator"}
"""What KubeRay's dashboards and pod monitors select by."""

_LABEL_LENGTH = 63
_NAME_LENGTH = 50


def origin(kind: str, name: str) -> dict[str, str]:
    """Labels of what is made for a RayService or a RayCluster."""
    return {FROM_CRD: kind, FROM_CR_NAME: name}


def copied(noted: Mapping[str, str]) -> dict[str, str]:
    """Those labels or annotations of an object that are as true of what is made for it."""
    kept = OF_USERS | {SHARD}
    return {key: value for key, value in noted.items() if key in kept or not key.startswith(OF_ONE_OBJECT)}


def check_label(value: str) -> str:
    """KubeRay's rule for long label values: the last 63 characters."""
    return _starting_alphanumeric(value[-_LABEL_LENGTH:])


def check_name(name: str) -> str:
    """KubeRay's rule for long names: the last 50 characters, beginning with a letter."""
    kept = name[-_NAME_LENGTH:]
    return f"r{kept[1:]}" if kept[0].isdigit() or unicodedata.category(kept[0]).startswith("P") else kept


def _starting_alphanumeric(value: str) -> str:
    """A cut can leave a dash in front, which the API server refuses in a label."""
    return value if value[:1].isalnum() else f"r{value[1:]}"
