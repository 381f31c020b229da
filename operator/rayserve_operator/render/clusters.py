"""The RayClusters that a RayService makes."""

import json
from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.objects import API_VERSION, RAY_CLUSTER, RAY_SERVICE, RayService, owner_reference
from rayserve_operator.model.raycluster import RayClusterSpec, WorkerGroupSpec
from rayserve_operator.render import labels
from rayserve_operator.render.containers import without_empty


def ray_cluster(
    service: RayService, name: str, spec: RayClusterSpec, revision: str, serve_options: Mapping[str, Any]
) -> dict[str, Any]:
    """A new RayCluster for a RayService.

    Args:
        service: whose labels and annotations it inherits, as in KubeRay, but for those that tools know objects by.
        name: its name.
        spec: its spec, of the goal and not necessarily the one that the RayService has now.
        revision: name of the ControllerRevision that it is made for.
        serve_options: the options of Serve itself, in Ray's spelling, which it can never change.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": RAY_CLUSTER,
        "metadata": {
            "name": name,
            "namespace": service.meta.namespace,
            "labels": {**labels.copied(service.meta.labels), **labels.origin(RAY_SERVICE, service.meta.name)},
            "annotations": {
                **labels.copied(service.meta.annotations),
                labels.REVISION: revision,
                labels.SERVE_OPTIONS: json.dumps(serve_options, sort_keys=True),
            },
            "ownerReferences": [owner_reference(RAY_SERVICE, service.meta)],
        },
        "spec": _spec(service, spec),
    }


def manager(of_service: str | None, of_config: str | None) -> str | None:
    """The `managedBy` of a RayService's clusters: that of its rayClusterConfig where there is one."""
    return of_config or of_service


def group_manifest(group: WorkerGroupSpec) -> dict[str, Any]:
    """A worker group as a RayCluster holds it, with the fields that Ray's autoscaler insists on."""
    return {
        **group.manifest(),
        "rayStartParams": dict(group.ray_start_params),
        "replicas": group.replicas or 0,
        "minReplicas": group.min_replicas or 0,
        "maxReplicas": INT32_MAX if group.max_replicas is None else group.max_replicas,
    }


def _spec(service: RayService, spec: RayClusterSpec) -> dict[str, Any]:
    """What the user wrote, with what Ray's autoscaler, older CRDs and KubeRay beside us do not infer said openly."""
    manifest = spec.manifest()
    head = {**manifest["headGroupSpec"], "rayStartParams": dict(spec.head_group_spec.ray_start_params)}
    told = {
        "managedBy": manager(service.spec.managed_by, spec.managed_by),
        "enableInTreeAutoscaling": spec.autoscaling or spec.enable_in_tree_autoscaling,
    }
    return {
        **manifest,
        **without_empty(told),
        "headGroupSpec": head,
        "workerGroupSpecs": [group_manifest(group) for group in spec.worker_group_specs],
    }
