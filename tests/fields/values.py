"""What each field is set to, and in which manifest, so that its effect shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..builders import OTHER_APP, cluster_config, service_spec, template
from .fields import Field

Manifest = dict[str, Any]

TELLING: Mapping[str, tuple[Any, ...]] = {
    "headGroupSpec.template": (template("ray:2"),),
    "headGroupSpec.rayStartParams": ({"port": "6380", "dashboard-port": "8266"},),
    "headGroupSpec.headService": ({"metadata": {"annotations": {"team": "blue"}}, "spec": {"type": "NodePort"}},),
    "headGroupSpec.ingressOptions.host": ("ray.example.com",),
    "headGroupSpec.ingressOptions.path": ("/ray",),
    "headGroupSpec.ingressOptions.pathType": ("Prefix",),
    "headGroupSpec.ingressOptions.tls[].hosts": (["ray.example.com"],),
    "headGroupSpec.ingressOptions.tls[].secretName": ("mine",),
    "headGroupSpec.labels": ({"zone": "a"},),
    "headGroupSpec.resources": ({"cpu": "3"},),
    "workerGroupSpecs[].groupName": ("gpu",),
    "workerGroupSpecs[].template": (template("ray:2"),),
    "workerGroupSpecs[].replicas": (3,),
    "workerGroupSpecs[].minReplicas": (3,),
    "workerGroupSpecs[].maxReplicas": (0,),
    "workerGroupSpecs[].idleTimeoutSeconds": (300,),
    "workerGroupSpecs[].numOfHosts": (2,),
    "workerGroupSpecs[].priority": (5,),
    "workerGroupSpecs[].rayStartParams": ({"num-cpus": "3"},),
    "workerGroupSpecs[].scaleStrategy.workersToDelete": (["worker"],),
    "workerGroupSpecs[].labels": ({"zone": "a"},),
    "workerGroupSpecs[].resources": ({"cpu": "3"},),
    "rayVersion": ("2.40.0", "2.60.0"),
    "autoscalerOptions.image": ("ray:2",),
    "autoscalerOptions.imagePullPolicy": ("Always",),
    "autoscalerOptions.resources": ({"limits": {"cpu": "2"}},),
    "autoscalerOptions.securityContext": ({"runAsUser": 7},),
    "autoscalerOptions.command": (["/bin/mine"],),
    "autoscalerOptions.args": (["mine"],),
    "autoscalerOptions.env": ([{"name": "MINE", "value": "1"}],),
    "autoscalerOptions.envFrom": ([{"configMapRef": {"name": "mine"}}],),
    "autoscalerOptions.volumeMounts": ([{"name": "mine", "mountPath": "/mine"}],),
    "autoscalerOptions.idleTimeoutSeconds": (300,),
    "gcsFaultToleranceOptions.redisAddress": ("redis:6379",),
    "gcsFaultToleranceOptions.redisUsername.value": ("me",),
    "gcsFaultToleranceOptions.redisUsername.valueFrom": ({"secretKeyRef": {"name": "mine", "key": "user"}},),
    "gcsFaultToleranceOptions.redisPassword.value": ("secret",),
    "gcsFaultToleranceOptions.redisPassword.valueFrom": ({"secretKeyRef": {"name": "mine", "key": "password"}},),
    "gcsFaultToleranceOptions.externalStorageNamespace": ("mine",),
    "gcsFaultToleranceOptions.storage": ({"size": "5Gi"}, {"claimName": "mine"}),
    "headServiceAnnotations": ({"team": "blue"},),
    "authOptions.secretName": ("mine",),
    "networkPolicy.head.ingressRules": ([{"ports": [{"port": 8000}]}],),
    "networkPolicy.head.egressRules": ([{"ports": [{"port": 443}]}],),
    "networkPolicy.worker.ingressRules": ([{"ports": [{"port": 8000}]}],),
    "networkPolicy.worker.egressRules": ([{"ports": [{"port": 443}]}],),
    "networkPolicy.workerGroups[].ingressRules": ([{"ports": [{"port": 8000}]}],),
    "networkPolicy.workerGroups[].egressRules": ([{"ports": [{"port": 443}]}],),
    "networkPolicy.workerGroups[].groupName": ("cpu",),
    "historyServerOptions": ({"collectorOptions": {"image": "mine"}},),
    "serveConfigV2": (OTHER_APP, f"{OTHER_APP}\nhttp_options: {{port: 8001}}"),
    "serveService": ({"metadata": {"name": "mine"}, "spec": {"type": "NodePort"}},),
    "rayClusterDeletionDelaySeconds": (600,),
    "upgradeStrategy.progressDeadlineSeconds": (600,),
    "upgradeStrategy.warmUpTimeoutSeconds": (600,),
    "upgradeStrategy.drainTimeoutSeconds": (200,),
    "upgradeStrategy.revisionHistoryLimit": (0,),
    "upgradeStrategy.clusterUpgradeOptions.maxSurgePercent": (50,),
    "upgradeStrategy.clusterUpgradeOptions.stepSizePercent": (50,),
    "upgradeStrategy.clusterUpgradeOptions.intervalSeconds": (5,),
    "upgradeStrategy.clusterUpgradeOptions.gatewayClassName": ("istio",),
    "upgradeStrategy.clusterUpgradeOptions.gateway.name": ("front",),
    "upgradeStrategy.clusterUpgradeOptions.gateway.namespace": ("infra",),
    "upgradeStrategy.clusterUpgradeOptions.gateway.sectionName": ("https",),
    "upgradeStrategy.clusterUpgradeOptions.httpRoute": ("mine",),
    "upgradeStrategy.clusterUpgradeOptions.steps": ([30, 60],),
    "upgradeStrategy.pauseAtPercent": (10,),
    "upgradeStrategy.analysis.smokeRequests[].path": ("/y",),
    "upgradeStrategy.analysis.smokeRequests[].status": (500,),
    "upgradeStrategy.analysis.maxErrorPercent": (5,),
    "upgradeStrategy.analysis.maxLatencyPercent": (200,),
    "upgradeStrategy.analysis.minRequests": (500,),
    "serviceUnhealthySecondThreshold": (5,),
    "deploymentUnhealthySecondThreshold": (5,),
}
"""The values of each field that has more of them than can all be tried."""

_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "headGroupSpec.ingressOptions": {"headGroupSpec.enableIngress": True},
    "gcsFaultToleranceOptions.storage": {"gcsFaultToleranceOptions.backend": "rocksdb"},
    "gcsFaultToleranceOptions.redisUsername": {"gcsFaultToleranceOptions.redisAddress": "redis:6379"},
    "gcsFaultToleranceOptions.redisPassword": {"gcsFaultToleranceOptions.redisAddress": "redis:6379"},
    "gcsFaultToleranceOptions.externalStorageNamespace": {"gcsFaultToleranceOptions.redisAddress": "redis:6379"},
    "authOptions.secretName": {"authOptions.mode": "token"},
    "networkPolicy.workerGroups[].groupName": {
        "networkPolicy.workerGroups": [{"groupName": "other", "ingressRules": [{"ports": [{"port": 8000}]}]}]
    },
    "upgradeStrategy.clusterUpgradeOptions": {
        "upgradeStrategy.type": "NewClusterWithIncrementalUpgrade",
        "upgradeStrategy.clusterUpgradeOptions": {"stepSizePercent": 10, "intervalSeconds": 60},
    },
    "upgradeStrategy.clusterUpgradeOptions.maxSurgePercent": {"rayClusterConfig.enableInTreeAutoscaling": True},
    "upgradeStrategy.pauseAtPercent": {"upgradeStrategy.autoPromotion": False},
    "upgradeStrategy.analysis.minRequests": {"upgradeStrategy.analysis": {"maxErrorPercent": 5}},
}
"""What must stand in the manifest for a field, and for those below it, to mean anything."""

_FEWEST: Mapping[str, Any] = {
    "networkPolicy.workerGroups": [{"groupName": "cpu"}],
    "upgradeStrategy.analysis.smokeRequests": [{"path": "/x"}],
    "upgradeStrategy.clusterUpgradeOptions.gateway": {"name": "mine"},
    "workerGroupSpecs": cluster_config()["workerGroupSpecs"],
}
"""What stands there for a field with fields of its own where these are all left out, if that is not just nothing."""


@dataclass(frozen=True)
class Trial:
    """Two specs that differ in one field."""

    value: Any
    without: Manifest
    with_it: Manifest
    given: frozenset[str]
    """Paths of what else had to be set, for the field to mean anything."""


def base(*, of_service: bool) -> Manifest:
    """The spec in which each field is tried: of a RayService, or of a RayCluster."""
    return service_spec() if of_service else cluster_config()


def trials(field: Field, *, of_service: bool) -> list[Trial]:
    """The field set to each of its telling values; none for what must be there and has fields of its own.

    Raises:
        LookupError: if nobody has said what is telling.
    """
    if field.is_branch and field.required:
        return []
    plain = base(of_service=of_service)
    given = _given(field.path)
    for path, value in given.items():
        plain = put(plain, path, value)
    for above in _above(field.path):
        if find(plain, above) is None:
            plain = put(plain, above, _FEWEST.get(above, [{}] if f"{above}[]" in field.path else {}))
    if field.is_branch:
        plain = _emptied(plain, field)
    filled = ((value, put(plain, field.path, value)) for value in _values(field))
    return [Trial(value, plain, with_it, frozenset(given)) for value, with_it in filled if with_it != plain]


def _given(path: str) -> Manifest:
    fitting = (more for above, more in _GIVEN.items() if path == above or path.startswith((f"{above}.", f"{above}[]")))
    return {at: value for more in fitting for at, value in more.items()}


def _values(field: Field) -> tuple[Any, ...]:
    if field.path in TELLING:
        return TELLING[field.path]
    if field.choices is not None:
        return tuple(choice for choice in field.choices if choice != "")
    if field.is_branch:
        return (_FEWEST.get(field.path, [{}] if field.schema["type"] == "array" else {}),)
    raise LookupError(f"{field.path} has no telling value; give it one in {__name__}")


def find(manifest: Any, path: str) -> Any:
    """The value at the path, of lists the first item's; None where there is none."""
    for step in _steps(path):
        try:
            manifest = manifest[step]
        except (LookupError, TypeError):
            return None
    return manifest


def put(manifest: Manifest, path: str, value: Any) -> Manifest:
    """The manifest with another value at the path, of lists in the first item."""
    changed = deepcopy(manifest)
    *above, last = _steps(path)
    place: Any = changed
    for step in above:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    place[last] = deepcopy(value)
    return changed


def _emptied(manifest: Manifest, field: Field) -> Manifest:
    changed = put(manifest, field.path, [])
    if field.schema["type"] != "array":
        *above, last = _steps(field.path)
        place: Any = changed
        for step in above:
            place = place[step]
        del place[last]
    return changed


def _above(path: str) -> Iterator[str]:
    for dot in re.finditer(r"\.", path):
        yield path[: dot.start()].removesuffix("[]")


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    for part in path.split("."):
        steps.append(part.removesuffix("[]"))
        if part.endswith("[]"):
            steps.append(0)
    return steps
