"""The Job that removes what a cluster left in Redis (KubeRay's)."""

from dataclasses import replace
from typing import Any

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import environment, fault_tolerance, labels, names
from rayserve_operator.render.containers import with_overriding, without_empty
from rayserve_operator.render.manifests import of_belonging
from rayserve_operator.render.metadata import pod_annotations, pod_labels
from rayserve_operator.render.node import Node
from rayserve_operator.render.options import RenderOptions

_SCRIPT = """\
import os, sys
from urllib.parse import urlsplit

from ray._private.gcs_utils import cleanup_redis_storage

address = os.environ.get("RAY_REDIS_ADDRESS", "").split(",")[0].strip()
space = os.environ["RAY_external_storage_namespace"]
if not address:
    print("RAY_REDIS_ADDRESS is not set, so nothing was written to Redis.")
    sys.exit()
redis = urlsplit(address if "://" in address else f"redis://{address}")
username = os.environ.get("REDIS_USERNAME") or redis.username
removed = cleanup_redis_storage(
    host=redis.hostname,
    port=redis.port or 6379,
    password=os.environ.get("REDIS_PASSWORD") or redis.password or "",
    use_ssl=redis.scheme == "rediss",
    storage_namespace=space,
    # Older versions of Ray know no user names.
    **({"username": username} if username else {}),
)
if not removed:
    sys.exit(f"What {space} holds in Redis could not be removed.")
print(f"What {space} held in Redis is removed.")
"""

_MEANT_FOR_NODES = frozenset({labels.IS_RAY_NODE, labels.SERVE, labels.GROUP, labels.IDENTIFIER})
"""Labels by which pods of Ray are found; whoever finds this one would take it for a node."""

_KEPT = ("name", "image", "imagePullPolicy", "securityContext", "workingDir", "envFrom", "volumeMounts")
_DROPPED = {"containers", "initContainers", "resources", "resourceClaims", "schedulingGates", "schedulerName"}
"""What of a head's pod is for running Ray, or for being scheduled together with other pods."""

_RESOURCES = {"cpu": "200m", "memory": "256Mi"}
_SECONDS = 300
_PATIENCE = {"RAY_redis_db_connect_retries": "120", "RAY_redis_db_connect_wait_milliseconds": "500"}
"""A minute for Redis to answer."""


def cleanup_job(cluster: RayCluster, options: RenderOptions) -> dict[str, Any] | None:
    """The Job; None where the cluster keeps nothing in Redis.

    Its pod has the head's image, environment and volumes. It needs nothing that belongs to the cluster itself, such as
    its ServiceAccount or its token, which may be gone already.
    """
    if fault_tolerance.storage_namespace(cluster) is None:
        return None
    # It is alone, and would wait for ever to be scheduled together with a head and workers.
    node = Node(cluster, cluster.spec.head_group_spec, replace(options, batch_scheduler=None))
    own = cluster.meta
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": of_belonging(cluster, names.redis_cleanup_name(own.name)),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _SECONDS,
            "template": {
                "metadata": {"labels": _labels(node), **without_empty({"annotations": pod_annotations(node)})},
                "spec": _pod_spec(node),
            },
        },
    }


def _labels(node: Node) -> dict[str, str]:
    kept = {key: value for key, value in pod_labels(node).items() if key not in _MEANT_FOR_NODES}
    return {**kept, labels.NODE_TYPE: labels.REDIS_CLEANUP}


def _pod_spec(node: Node) -> dict[str, Any]:
    given = node.group.template["spec"]
    return {
        **{key: value for key, value in given.items() if key not in _DROPPED},
        "containers": [_container(node)],
        "restartPolicy": "Never",
    }


def _container(node: Node) -> dict[str, Any]:
    ray = node.container
    own = {entry["name"] for entry in environment.authentication(node.cluster)}
    variables = [entry for entry in environment.of_ray_container(node) if entry["name"] not in own]
    patience = [environment.variable(name, value) for name, value in _PATIENCE.items()]
    return {
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **without_empty({key: ray.get(key) for key in _KEPT}),
        "command": ["/bin/bash", "-cl" if node.options.login_shell else "-c", 'exec python3 -c "$0"', _SCRIPT],
        "env": with_overriding(variables, patience),
        "resources": {"requests": _RESOURCES, "limits": _RESOURCES},
    }
