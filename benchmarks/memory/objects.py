"""The RayServices that are measured, and what Kubernetes makes of what is written.

Much of what an operator is sent is that: defaults, addresses, who manages which fields, and that pods run.
"""

from __future__ import annotations

import copy
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.manifests import SERVICE, ray_service
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import labels
from scenarios.harness import manifests
from scenarios.harness.kube import Manifest

NAME = "measured"
NAMESPACE = "default"
GROUPS = ("cpu", "gpu")
"""Worker groups, with a pod each."""
IMAGE_ID, CONTAINER_ID = f"sha256:{'0a' * 32}", f"containerd://{'0b' * 32}"
_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for trouble in ("not-ready", "unreachable")
]
_POD_DEFAULTS = {
    "dnsPolicy": "ClusterFirst", "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
    "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": {}, "tolerations": _TOLERATIONS,
    "serviceAccount": "default", "serviceAccountName": "default",
}  # fmt: skip
_CONTAINER_DEFAULTS = {
    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent", "resources": {},
}  # fmt: skip
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_TOKEN = "kube-api-access-x7k2p"  # noqa: S105
_TOKEN_MOUNT = {"name": _TOKEN, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
_NAMESPACE_FILE = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
_TOKEN_SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {"downwardAPI": {"items": [_NAMESPACE_FILE]}},
]
_UID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPAQUE = frozenset({"template", "fieldsV1"})


def ray_services(count: int, dashboard_port: int, serve_port: int) -> Iterator[Manifest]:
    """RayServices whose heads are asked at these ports."""
    for number in range(count):
        manifest = ray_service(f"{NAME}-{number:04d}", NAMESPACE)
        cluster = copy.deepcopy(manifest["spec"]["rayClusterConfig"])
        cluster["headGroupSpec"]["rayStartParams"]["dashboard-port"] = str(dashboard_port)
        [group] = cluster["workerGroupSpecs"]
        one = {"replicas": 1, "minReplicas": 1, "maxReplicas": 1}
        cluster["workerGroupSpecs"] = [{**copy.deepcopy(group), **one, "groupName": name} for name in GROUPS]
        config = {**manifests.serve_config(manifest), "http_options": {"port": serve_port}}
        yield manifests.with_serve_config(manifests.with_spec(manifest, rayClusterConfig=cluster), config)


def addresses(number: int) -> list[str]:
    """The addresses of a RayService's pods, on this machine: that of its head, and those of its groups."""
    return [f"127.{1 + number // 250}.{1 + number % 250}.{1 + part}" for part in range(1 + len(GROUPS))]


def copies(belongings: Sequence[Manifest], number: int, shard: int = 0) -> list[Manifest]:
    """The first RayService and all that has come of it, as they are for another one.

    Args:
        belongings: the first RayService, and all that has come of it.
        number: of the other one.
        shard: names the operator that looks after that; 0 is the one that has no name.

    The names of revisions and the fingerprints on Services stand for what is written: the first are made anew here, the
    others an operator mends when it first sees them.
    """
    text = json.dumps(belongings).replace(f"{NAME}-{0:04d}", f"{NAME}-{number:04d}")
    for its, other in zip(addresses(0), addresses(number), strict=True):
        text = text.replace(json.dumps(its), json.dumps(other))
    text = _UID.sub(lambda uid: str(uuid.uuid5(uuid.UUID(uid[0]), str(number))), text)
    found: list[Manifest] = json.loads(text)
    [service] = (one for one in found if one["kind"] == "RayService")
    if shard:
        service["metadata"].setdefault("labels", {})[labels.SHARD] = f"shard-{shard}"
    revisions = [one["metadata"]["name"] for one in found if one["kind"] == "ControllerRevision"]
    if not revisions:
        return found
    revision = Goal.parse(Meta.parse(service), service["spec"]).revision
    renamed: list[Manifest] = json.loads(json.dumps(found).replace(revisions[0], revision))
    return renamed


def created(kind: Kind, manifest: Manifest) -> Manifest:
    """An object as the API server answers with it, and soon after, if it is a pod, the kubelet."""
    whole = copy.deepcopy(manifest)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whole["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now, "generation": 1}
    if kind is Kind.POD:
        _run(whole, now)
    return with_managed_fields(whole)


def with_managed_fields(manifest: Manifest) -> Manifest:
    """The object, with a note of who wrote which of its fields."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    said = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    entries = [_entry("Apply", metadata, said)]
    if "status" in manifest:
        entries.append(_entry("Update", metadata, {"status": manifest["status"]}))
    return {**manifest, "metadata": {**metadata, "managedFields": entries}}


def _entry(operation: str, metadata: Mapping[str, Any], said: Manifest) -> Manifest:
    noted = {key: metadata[key] for key in ("labels", "annotations", "ownerReferences") if key in metadata}
    fields = _fields({"metadata": noted, **said} if operation == "Apply" else said)
    return {"manager": "rayserve-operator", "operation": operation, "apiVersion": "v1",
            "time": metadata["creationTimestamp"], "fieldsType": "FieldsV1", "fieldsV1": fields}  # fmt: skip


def _fields(value: Any) -> dict[str, Any]:
    """The names of all fields, in the form of a managed field set (Kubernetes' server-side apply)."""
    if isinstance(value, Mapping):
        return {f"f:{key}": {} if key in _OPAQUE else _fields(child) for key, child in value.items()}
    if isinstance(value, list):
        items = (item for item in value if isinstance(item, Mapping))
        return {
            f'k:{{"name":"{item.get("name", number)}"}}': {".": {}, **_fields(item)}
            for number, item in enumerate(items)
        }
    return {}


def _run(pod: Manifest, now: str) -> None:
    """Add the defaults of the pod API, and what scheduler and kubelet write of a pod that runs."""
    spec, noted = pod["spec"], pod["metadata"]["labels"]
    number = int(noted[SERVICE].rpartition("-")[2])
    own = addresses(number)
    part = 0 if noted[labels.NODE_TYPE] == labels.HEAD else 1 + GROUPS.index(noted[labels.GROUP])
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        container.update(_CONTAINER_DEFAULTS | container)
        container["volumeMounts"] = [*container.get("volumeMounts", ()), _TOKEN_MOUNT]
    volume = {"name": _TOKEN, "projected": {"sources": _TOKEN_SOURCES, "defaultMode": 420}}
    pod["spec"] = {**_POD_DEFAULTS, **spec, "volumes": [*spec.get("volumes", ()), volume], "nodeName": "node"}
    state = {"running": {"startedAt": now}}
    pod["status"] = {
        "phase": "Running", "podIP": own[part], "podIPs": [{"ip": own[part]}], "hostIP": "10.0.0.1",
        "hostIPs": [{"ip": "10.0.0.1"}], "qosClass": "Burstable", "startTime": now,
        "conditions": [{"type": name, "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
                       for name in _CONDITIONS],
        "containerStatuses": [{"name": one["name"], "image": one["image"], "imageID": IMAGE_ID, "state": state,
                               "containerID": CONTAINER_ID, "ready": True, "started": True, "restartCount": 0,
                               "lastState": {}} for one in spec["containers"]],
    }  # fmt: skip
