"""Objects as KubeRay 1.7 writes them, as they are stored behind its own CRDs.

They are written down from what KubeRay does, so that nothing of the operator's own rendering is in
them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from scenarios.harness.kube import Manifest

VERSION = "v1.7.0"
FINALIZER = "ray.io/rayservice-finalizer"

APP = {"app.kubernetes.io/created-by": "kuberay-operator", "app.kubernetes.io/name": "kuberay"}
NO_RESOURCES = {
    "desiredCPU": "0",
    "desiredGPU": "0",
    "desiredMemory": "0",
    "desiredTPU": "0",
    "head": {},
}
"""The status of a RayCluster that there is not, which KubeRay spells out."""


def stored(config: Mapping[str, Any]) -> Manifest:
    """A rayClusterConfig as it comes back from KubeRay's CRDs, which default down to containers."""
    filled: Manifest = deepcopy(dict(config))
    for group in (filled["headGroupSpec"], *filled["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            for port in container.get("ports", ()):
                port.setdefault("protocol", "TCP")
    for group in filled["workerGroupSpecs"]:
        for key, default in {
            "replicas": 0,
            "minReplicas": 0,
            "maxReplicas": 2147483647,
            "numOfHosts": 1,
        }.items():
            group.setdefault(key, default)
    return filled


def ray_service(
    spec: Mapping[str, Any], name: str = "demo", namespace: str = "default"
) -> Manifest:
    """A RayService that KubeRay has taken up."""
    stored_spec = {**spec, "rayClusterConfig": stored(spec["rayClusterConfig"])}
    applied = json.dumps({"apiVersion": "ray.io/v1", "kind": "RayService", "spec": spec})
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"team": "search"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied},
            "finalizers": [FINALIZER],
        },
        "spec": stored_spec,
    }


def service_status(
    cluster: str | None, pending: str | None = None, generation: int = 1, endpoints: int = 2
) -> Manifest:
    """The status of a RayService that serves."""
    running = {
        "app": {"status": "RUNNING", "serveDeploymentStatuses": {"D": {"status": "HEALTHY"}}}
    }

    def told(name: str | None) -> Manifest:
        if name is None:
            return {"rayClusterStatus": NO_RESOURCES}
        return {
            "rayClusterName": name,
            "rayClusterStatus": cluster_status(name),
            "applicationStatuses": running,
        }

    def condition(type_: str, status: str, reason: str, message: str) -> Manifest:
        noted = {"type": type_, "status": status, "reason": reason, "message": message}
        return noted | {
            "lastTransitionTime": "2030-01-01T00:00:00Z",
            "observedGeneration": generation,
        }

    return {
        "activeServiceStatus": told(cluster),
        "pendingServiceStatus": told(pending),
        "numServeEndpoints": endpoints,
        "observedGeneration": generation,
        "serviceStatus": "Running",
        "lastUpdateTime": "2030-01-01T00:00:00Z",
        "conditions": [
            condition(
                "Ready",
                "True",
                "NonZeroServeEndpoints",
                "Number of serve endpoints is greater than 0",
            ),
            condition(
                "UpgradeInProgress",
                "False",
                "NoPendingCluster",
                "Active Ray cluster exists and no pending Ray",
            ),
        ],
    }


def cluster_status(name: str) -> Manifest:
    """The status of a RayCluster all of whose pods are ready."""
    return {
        "state": "ready",
        "availableWorkerReplicas": 1,
        "desiredWorkerReplicas": 1,
        "readyWorkerReplicas": 1,
        "minWorkerReplicas": 1,
        "maxWorkerReplicas": 3,
        "desiredCPU": "0",
        "desiredGPU": "0",
        "desiredMemory": "0",
        "desiredTPU": "0",
        "endpoints": {"client": "10001", "dashboard": "8265", "serve": "8000"},
        "head": {"podName": f"{name}-head-x2v8k", "serviceName": f"{name}-head-svc"},
        "lastUpdateTime": "2030-01-01T00:00:00Z",
        "stateTransitionTimes": {"ready": "2030-01-01T00:00:00Z"},
        "observedGeneration": 1,
    }


def ray_cluster(service: Mapping[str, Any], name: str) -> Manifest:
    """The RayCluster of a RayService, with all its labels and annotations.

    In its spec is each field that the structs of Go hold.
    """
    metadata = service["metadata"]
    config = stored(service["spec"]["rayClusterConfig"])
    for group in (config["headGroupSpec"], *config["workerGroupSpecs"]):
        group.setdefault("rayStartParams", {})
        group["template"].setdefault("metadata", {})
        for container in group["template"]["spec"]["containers"]:
            container.setdefault("resources", {})
    for group in config["workerGroupSpecs"]:
        group.setdefault("scaleStrategy", {})
    noted = {
        "ray.io/hash-without-replicas-and-workers-to-delete": "3EQF2J0LQ8S5K1D4N7T9VBCH6GMRAOPU",
        "ray.io/num-worker-groups": str(len(config["workerGroupSpecs"])),
        "ray.io/kuberay-version": VERSION,
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {**metadata["labels"], **_origin(metadata)},
            "annotations": {**metadata["annotations"], **noted},
            "ownerReferences": [_owner("RayService", metadata)],
        },
        "spec": config,
        "status": cluster_status(name),
    }


def services(
    service: Mapping[str, Any], cluster: Mapping[str, Any], *, addresses: bool = False
) -> Iterator[Manifest]:
    """The head Service of the cluster and the two stable ones, as the API server completes them.

    Args:
        service: the RayService.
        cluster: the RayCluster that takes traffic.
        addresses: whether KubeRay runs with ENABLE_RAY_HEAD_CLUSTER_IP_SERVICE.
    """
    name, of_cluster = cluster["metadata"]["name"], cluster["metadata"]
    of_service = service["metadata"]
    head = {
        **APP,
        "ray.io/cluster": name,
        "ray.io/identifier": f"{name}-head",
        "ray.io/node-type": "head",
    }
    ports = {"client": 10001, "dashboard": 8265, "gcs-server": 6379, "metrics": 8080, "serve": 8000}
    address = (
        {"clusterIP": "10.96.0.8"}
        if addresses
        else {"clusterIP": "None", "publishNotReadyAddresses": True}
    )
    leading = {
        **address,
        "ports": [{**_port(port, number), "appProtocol": "tcp"} for port, number in ports.items()],
        "selector": head,
    }
    yield _service(f"{name}-head-svc", head, ("RayCluster", of_cluster), leading)
    title, origin = of_service["name"], _origin(of_service)
    stable = {**origin, "ray.io/node-type": "head", "ray.io/identifier": f"{title}-head"}
    yield _service(f"{title}-head-svc", stable, ("RayService", of_service), leading)
    serving = {
        "clusterIP": "10.96.0.7",
        "ports": [_port("serve", 8000)],
        "selector": {"ray.io/cluster": name, "ray.io/serve": "true"},
    }
    serve = {**origin, "ray.io/serve": f"{title}-serve"}
    yield _service(f"{title}-serve-svc", serve, ("RayService", of_service), serving)


def _origin(service: Mapping[str, Any]) -> dict[str, str]:
    return {
        "ray.io/originated-from-cr-name": service["name"],
        "ray.io/originated-from-crd": "RayService",
    }


_WRITTEN = {
    "manager": "manager",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:spec": {"f:ports": {}, "f:selector": {}}},
}
"""What the API server notes of the plain write that made a Service."""


def _service(name: str, labels: Manifest, owner: tuple[str, Manifest], spec: Manifest) -> Manifest:
    defaults = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": owner[1]["namespace"],
            "labels": labels,
            "ownerReferences": [_owner(*owner)],
            "managedFields": [_WRITTEN],
        },
        "spec": {**defaults, **spec},
    }


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": number}


def rights(cluster: Mapping[str, Any]) -> Iterator[Manifest]:
    """ServiceAccount, Role and RoleBinding of the autoscaler."""
    name, api = cluster["metadata"]["name"], "rbac.authorization.k8s.io"
    namespace = cluster["metadata"]["namespace"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": {**APP, "ray.io/cluster": name},
        "ownerReferences": [_owner("RayCluster", cluster["metadata"])],
    }
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": [""], "resources": ["pods/resize"], "verbs": ["patch"]},
        {"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "patch"]},
    ]
    yield {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    yield {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


def head_pod(cluster: Mapping[str, Any], drawn: str = "x2v8k") -> Manifest:
    """The head."""
    metadata, spec = cluster["metadata"], cluster["spec"]
    group = spec["headGroupSpec"]
    start = _start("--head", {"dashboard-host": "0.0.0.0", **group["rayStartParams"]})
    ray = _ray(group, start, _environment("127.0.0.1:6379"))
    containers = [ray | {"readinessProbe": {**_ASKED, "failureThreshold": 10}}]
    if spec.get("enableInTreeAutoscaling"):
        containers.append(
            {
                "name": "autoscaler",
                "image": containers[0]["image"],
                "command": ["/bin/bash", "-c", "--"],
            }
        )
    noted = {
        "ray.io/ft-enabled": "false",
        "ray.io/kuberay-version": VERSION,
        "ray.io/upgrade-strategy-recreate-hash": "9K2L4MJ",
    }
    place = {"group": "headgroup", "node-type": "head", "serve": "false"}
    return _pod(
        metadata, (f"{metadata['name']}-head-", drawn), place, noted, {"containers": containers}
    )


def workers(cluster: Mapping[str, Any]) -> Iterator[Manifest]:
    """All workers of a cluster."""
    for group in cluster["spec"]["workerGroupSpecs"]:
        for index in range(group["replicas"]):
            for host in range(group["numOfHosts"]):
                yield _worker(cluster, group, index, host)


def _worker(
    cluster: Mapping[str, Any], group: Mapping[str, Any], index: int, host: int
) -> Manifest:
    """A worker, ready when Serve's proxy in it answers."""
    metadata = cluster["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    address = f"{name}-head-svc.{namespace}.svc.cluster.local:6379"
    wait = f"until ray health-check --address {address}; do sleep 5; done"
    start = _start("", {"address": address, **group["rayStartParams"]})
    ray = _ray(group, start, _environment(address))
    serves = {"exec": {"command": ["bash", "-c", _SERVES]}, "periodSeconds": 5}
    ray["readinessProbe"] = {**serves, "timeoutSeconds": 2, "failureThreshold": 1}
    image: Manifest = {key: ray[key] for key in ("image", "imagePullPolicy") if key in ray}
    waiting: Manifest = {
        **image,
        "env": ray["env"],
        "name": "wait-gcs-ready",
        "command": ["/bin/bash", "-c", "--"],
        "args": [wait],
    }
    group_name = group["groupName"]
    place = {"worker-group-replica-index": str(index)}
    if group["numOfHosts"] > 1:
        place |= {
            "worker-group-replica-name": f"{group_name}-b2c4{index}",
            "replica-host-index": str(host),
        }
    return _pod(
        metadata,
        (f"{name}-{group_name}-worker-", f"w{index}h{host}"),
        {"group": group_name, "node-type": "worker", "serve": "true", **place},
        {},
        {"containers": [ray], "initContainers": [waiting]},
    )


_SERVES = (
    "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success"
    " && wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
)
_ASKED = {
    "httpGet": {"path": "/api/healthz", "port": 52365},
    "periodSeconds": 5,
    "timeoutSeconds": 2,
}


def _start(role: str, params: Mapping[str, str]) -> str:
    """The command of a Ray container."""
    given = {"dashboard-agent-listen-port": "52365", "metrics-export-port": "8080", **params}
    options = " ".join(f" --{key}={given[key]} " for key in sorted(given))
    return f"ulimit -n 65536; ray start {role} --block {options}"


def _environment(address: str) -> list[Manifest]:
    """What Ray is told about its place."""
    fields = {
        "RAY_CLUSTER_NAME": "metadata.labels['ray.io/cluster']",
        "RAY_CLUSTER_NAMESPACE": "metadata.namespace",
        "RAY_CLOUD_INSTANCE_ID": "metadata.name",
        "RAY_NODE_TYPE_NAME": "metadata.labels['ray.io/group']",
    }
    values = {
        "RAY_PORT": "6379",
        "RAY_ADDRESS": address,
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_timeout_ms_task_wait_for_death_info": "0",
        "RAY_gcs_server_request_timeout_seconds": "5",
        "RAY_SERVE_KV_TIMEOUT_S": "5",
    }
    return [
        *({"name": n, "valueFrom": {"fieldRef": {"fieldPath": p}}} for n, p in fields.items()),
        *({"name": name, "value": value} for name, value in values.items()),
    ]


def _ray(group: Mapping[str, Any], start: str, environment: list[Manifest]) -> Manifest:
    [ray, *_] = group["template"]["spec"]["containers"]
    return {
        **ray,
        "env": [*ray.get("env", ()), *environment],
        "command": ["/bin/bash", "-c", "--"],
        "args": [start],
        "livenessProbe": {**_ASKED, "initialDelaySeconds": 30, "failureThreshold": 120},
        "volumeMounts": [{"name": "shared-mem", "mountPath": "/dev/shm"}],
    }


def _pod(
    owner: Manifest,
    name: tuple[str, str],
    place: Mapping[str, str],
    noted: Manifest,
    spec: Manifest,
) -> Manifest:
    labels = {
        **APP,
        "ray.io/cluster": owner["name"],
        "ray.io/identifier": f"{owner['name']}-{place['node-type']}",
        "ray.io/is-ray-node": "yes",
        **{f"ray.io/{key}": value for key, value in place.items()},
    }
    metadata = {
        "name": "".join(name),
        "generateName": name[0],
        "namespace": owner["namespace"],
        "labels": labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "annotations": noted,
            "ownerReferences": [_owner("RayCluster", owner)],
        },
        "spec": {
            "restartPolicy": "Always",
            "volumes": [{"name": "shared-mem", "emptyDir": {"medium": "Memory"}}],
            **spec,
        },
    }


def lease(renewed: str, holder: str = "kuberay-operator-7d9f_3f1c") -> Manifest:
    """The Lease of the leader."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ray-operator-leader", "namespace": "kuberay-system"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "leaseTransitions": 0,
            "renewTime": renewed,
        },
    }


def _owner(kind: str, metadata: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


_MANAGERS = ["ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue"]
_STRATEGY = ("type", "clusterUpgradeOptions")


def crds(ours: Iterable[Mapping[str, Any]]) -> list[Manifest]:
    """CRDs that keep, refuse and fill in what KubeRay's do, made from those of the operator."""
    made: list[Manifest] = [deepcopy(dict(crd)) for crd in ours]
    for crd in made:
        for version in crd["spec"]["versions"]:
            _as_kuberays(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return made


def _as_kuberays(schema: Manifest) -> None:
    """Change the schema of a spec, and of what stands in it."""
    fields = schema["properties"]
    fields["managedBy"] = {
        "type": "string",
        "enum": _MANAGERS,
        "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}],
    }
    if "rayClusterConfig" in fields:
        _as_kuberays(fields["rayClusterConfig"])
        strategy = fields["upgradeStrategy"]["properties"]
        fields["upgradeStrategy"]["properties"] = {name: strategy[name] for name in _STRATEGY}
        return
    workers = fields["workerGroupSpecs"]
    for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys"):
        del workers[key]
    for group in (fields["headGroupSpec"], workers["items"]):
        pod = group["properties"]["template"]["properties"]["spec"]["properties"]
        for containers in (pod["containers"], pod["initContainers"]):
            port = containers["items"]["properties"]["ports"]["items"]
            port["properties"]["protocol"] = {"type": "string", "default": "TCP"}
