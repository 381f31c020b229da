"""What each field of the two kinds changes, found by setting it and looking at what the operator would then do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from rayserve_operator.engine.passes import is_foreign
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.unsupported import unsupported_in_service
from rayserve_operator.model.validation import validate_cluster, validate_service
from rayserve_operator.planning.actions import Apply, Create, Kind, Plan
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOW,
    aim_at,
    cluster,
    cluster_config,
    group,
    head,
    in_words,
    pod,
    ray_cluster,
    service_spec,
    template,
    world,
)

Spec = dict[str, Any]

READ_BY_RAY = {
    "autoscalerOptions.idleTimeoutSeconds": "Ray's autoscaler",
    "autoscalerOptions.upscalingMode": "Ray's autoscaler",
    "workerGroupSpecs[].idleTimeoutSeconds": "Ray's autoscaler",
    "workerGroupSpecs[].priority": "Ray's autoscaler",
}
"""Fields that only somebody else reads, from the RayCluster; the operator sees to it that they stand there."""

FOR_TOOLS = {"rayVersion": "dashboards and tools; the image decides which Ray runs"}
"""Fields that say something and ask for nothing."""

DEAD = ("serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold")
"""Fields that KubeRay accepts too, and does nothing with."""

NOT_YET = "upgradeStrategy.clusterUpgradeOptions."
"""Beginning of the fields of incremental upgrades, which are told of in condition SpecValid."""

VALUES: dict[str, Any] = {
    "authOptions.mode": "token",
    "autoscalerOptions.env": [{"name": "A", "value": "b"}],
    "autoscalerOptions.envFrom": [{"configMapRef": {"name": "a"}}],
    "autoscalerOptions.resources": {"limits": {"cpu": "2"}},
    "autoscalerOptions.securityContext": {"runAsUser": 7},
    "autoscalerOptions.volumeMounts": [{"name": "a", "mountPath": "/a"}],
    "gcsFaultToleranceOptions.backend": "rocksdb",
    "gcsFaultToleranceOptions.redisPassword.valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
    "gcsFaultToleranceOptions.redisUsername.valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}},
    "gcsFaultToleranceOptions.storage": {"size": "7Gi"},
    "headGroupSpec.headService": {"metadata": {"labels": {"a": "b"}}},
    "headGroupSpec.resources": {"CPU": "7"},
    "headGroupSpec.serviceType": "NodePort",
    "headGroupSpec.template": template("another"),
    "managedBy": "kueue.x-k8s.io/multikueue",
    "networkPolicy.mode": "DenyAllIngress",
    "networkPolicy.workerGroups[].groupName": "cpu",
    "workerGroupSpecs[].maxReplicas": 0,
    "workerGroupSpecs[].minReplicas": 2,
    "workerGroupSpecs[].numOfHosts": 2,
    "workerGroupSpecs[].resources": {"CPU": "7"},
    "workerGroupSpecs[].scaleStrategy.workersToDelete": ["worker"],
    "workerGroupSpecs[].template": template("another"),
}
"""Values that tell; for all other fields, any value of their type does."""

OF_SERVICE: dict[str, Any] = {
    "managedBy": "kueue.x-k8s.io/multikueue",
    "serveConfigV2": "applications: [{name: app, import_path: 'app:other'}]",
    "serveService": {"metadata": {"labels": {"a": "b"}}},
    "upgradeStrategy.type": "None",
}
"""The same for the fields of a RayService."""

BESIDE: dict[str, Spec] = {
    "autoscalerOptions": {"enableInTreeAutoscaling": True},
    "gcsFaultToleranceOptions.redisAddress": {"gcsFaultToleranceOptions": {}},
    "gcsFaultToleranceOptions.storage": {"gcsFaultToleranceOptions": {"backend": "rocksdb"}},
    "authOptions.secretName": {"authOptions": {"mode": "token"}},
    "headGroupSpec.ingressOptions": {"headGroupSpec": {"enableIngress": True}},
    "workerGroupSpecs[].minReplicas": {"workerGroupSpecs": [{"replicas": 0}]},
    "networkPolicy.workerGroups[]": {"networkPolicy": {"workerGroups": [{"groupName": "cpu"}]}},
    "networkPolicy.workerGroups[].groupName": {
        "networkPolicy": {"workerGroups": [{"groupName": "none", "ingressRules": [{"from": []}]}]}
    },
}
"""What else has to stand in a spec, so that fields that begin so have an effect."""


@dataclass(frozen=True)
class Field:
    """A field of one of the two kinds."""

    path: str
    type: Any
    default: Any
    doc: str


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[Field]:
    """All fields of a model that hold no others."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        if path == "rayClusterConfig":
            continue
        kind = _bare(info.annotation)
        inner = _bare(get_args(kind)[0]) if get_origin(kind) is list else kind
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{path}{'[]' if get_origin(kind) is list else ''}.")
        else:
            default = None if info.is_required() else info.get_default(call_default_factory=True)
            yield Field(path, kind, default, _doc(model, name))


def _bare(annotation: Any) -> Any:
    """A type without None, and without what is noted beside it."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType):
            [annotation] = [one for one in get_args(annotation) if one is not type(None)]
        else:
            return annotation


def _doc(model: type[BaseModel], name: str) -> str:
    described = model.model_json_schema()["properties"]
    info = model.model_fields[name]
    return str(described[info.alias or name].get("description", ""))


def value_of(field: Field, known: Mapping[str, Any]) -> Any:
    """A value that the field does not have by default."""
    if field.path in known:
        return known[field.path]
    origin = get_origin(field.type)
    if origin is Literal:
        return next(choice for choice in get_args(field.type) if choice and choice != field.default)
    if field.type is bool:
        return not field.default
    if field.type is int:
        return 7
    if origin is dict:
        return {"a": "b"}
    if origin is list:
        return [{"a": "b"}] if get_args(field.type)[0] is not str else ["a"]
    return "a"


def with_value(spec: Spec, path: str, value: Any) -> Spec:
    """The spec with one field set; what is missing on the way to it is made."""
    changed = deepcopy(spec)
    place = changed
    *way, last = path.split(".")
    for step in way:
        name = step.removesuffix("[]")
        if step.endswith("[]"):
            entries = place.setdefault(name, [])
            if not entries:
                entries.append({"groupName": "cpu"} if name == "workerGroups" else {})
            place = entries[0]
        else:
            place = place.setdefault(name, {})
    place[last] = value
    return changed


def merged(spec: Any, more: Any) -> Any:
    """One spec laid over another; lists entry by entry."""
    if isinstance(spec, Mapping) and isinstance(more, Mapping):
        return {key: merged(spec.get(key), more[key]) if key in more else spec[key] for key in {**spec, **more}}
    if isinstance(spec, list) and isinstance(more, list) and spec:
        return [merged(spec[0], more[0]), *spec[1:]]
    return deepcopy(more)


def beside(path: str) -> Spec:
    """The most that has to stand beside a field."""
    fitting = [begin for begin in BESIDE if path.startswith(begin)]
    found: Spec = {}
    for begin in sorted(fitting, key=len):
        found = merged(found, BESIDE[begin])
    return found


# RayCluster. ---------------------------------------------------------------------------------------------------------

CLUSTER = cluster_config(group(minReplicas=0, maxReplicas=3))


def cluster_specs(field: Field) -> tuple[Spec, Spec]:
    """A RayCluster's spec without and with the field; whatever holds the field is there in both."""
    base = merged(CLUSTER, beside(field.path))
    parent = field.path.rpartition(".")[0]
    if parent.startswith(("autoscalerOptions", "networkPolicy", "gcsFaultToleranceOptions")):
        top = parent.split(".")[0]
        base = {**base, top: base.get(top, {})}
    return base, with_value(base, field.path, value_of(field, VALUES))


def cluster_effects(field: Field) -> tuple[str, ...]:
    """What differs in everything that is made of a RayCluster and done to it."""
    without, given = cluster_specs(field)
    problems = validate_cluster("demo-a", "default", RayClusterSpec.model_validate(given))
    if problems:
        return (f"refused: {problems[0]}",)
    before, after = _cluster_world(without), _cluster_world(given)
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def _cluster_world(spec: Spec) -> dict[str, Any]:
    new = plan_cluster(replace(ray_cluster(spec, of_service=True), services={}), RenderOptions(), NOW)
    living = (head(), pod())
    running = plan_cluster(ray_cluster(spec, *living, of_service=True), RenderOptions(), NOW)
    status = running.status.manifest()
    return {
        **_made(new),
        "pods that run": [words for words in in_words(running) if " Pod" in words or words.startswith("delete ")],
        "pods after an edit of their template": _after_an_edit(spec),
        "status": {key: value for key, value in status.items() if key not in ("conditions", "reason")},
        **({"whether the operator touches it": True} if is_foreign(spec.get("managedBy")) else {}),
    }


def _after_an_edit(spec: Spec) -> list[str]:
    """What happens to the pods of a RayCluster of its own, if its strategy is one of doing something."""
    if "upgradeStrategy" not in spec:
        return []
    made_before = (head(notes={labels.MADE_FROM: _OTHER}), pod())
    return in_words(plan_cluster(ray_cluster(spec, *made_before), RenderOptions(), NOW))


_OTHER = json.dumps(RayClusterSpec.model_validate(cluster_config(image="other")).manifest())


def _made(plan: Plan[Any]) -> dict[str, Any]:
    """The manifests of a plan, by what they are."""
    made: dict[str, Any] = {}
    for action in (action for step in plan.steps for action in step):
        if isinstance(action, Create | Apply):
            made.setdefault(_title(action), []).append(_content(action.manifest))
    return made


def _title(action: Create | Apply) -> str:
    manifest = action.manifest
    if action.kind is Kind.POD:
        return f"{manifest['metadata']['labels'][labels.NODE_TYPE]} pod"
    if action.kind is Kind.SERVICE:
        kinds = {"head-svc": "head Service", "serve-svc": "serve Service", "headless": "headless Service"}
        return next((word for end, word in kinds.items() if manifest["metadata"]["name"].endswith(end)), "Service")
    return str(manifest["kind"])


def _content(manifest: Any) -> Any:
    """A manifest without the fingerprint that follows from the rest."""
    text = json.loads(json.dumps(manifest))
    text["metadata"].get("annotations", {}).pop(labels.APPLIED, None)
    return text


def how_it_changes(field: Field) -> str:
    """What an edit of the field in a RayService's rayClusterConfig leads to."""
    without, given = (RayClusterSpec.model_validate(spec) for spec in cluster_specs(field))
    diff = compare(without, given)
    if diff.rebuild:
        return "new cluster"
    return "in place" if diff.edited else "when the cluster is made"


# RayService. ---------------------------------------------------------------------------------------------------------


def service_effects(field: Field) -> tuple[str, ...]:
    """What differs in everything that is made of a RayService and done to it."""
    without = merged(service_spec(), beside(field.path))
    given = with_value(without, field.path, value_of(field, OF_SERVICE))
    problems = validate_service("demo", "default", RayServiceSpec.model_validate(given))
    if problems:
        return (f"refused: {problems[0]}",)
    before, after = _service_world(without), _service_world(given)
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def _service_world(spec: Spec) -> dict[str, Any]:
    aim = aim_at(spec)
    serving = cluster(routed=600, config=service_spec()["rayClusterConfig"])
    other = aim_at({**spec, "rayClusterConfig": cluster_config(image="another")})
    leaving = cluster("demo-b", routed=600, retired=30, config=cluster_config(image="old"))
    running = plan_service(world(aim, serving, active=serving), aim, NOW)
    moved = plan_service(world(aim, serving, active=serving, stamp="x"), aim, NOW)
    upgraded = plan_service(world(other, serving, active=serving), other, NOW)
    later = plan_service(world(aim, serving, leaving, active=serving), aim, NOW)
    unsupported = unsupported_in_service(RayServiceSpec.model_validate(spec))
    return {
        "Services": list(_made(moved).items()),
        "what happens to what runs": in_words(running),
        "what an edit of the image does": [word.split(" ")[:2] for word in in_words(upgraded)],
        "when the old cluster goes": [words for words in in_words(later) if words.startswith("delete ")],
        **({"said in condition SpecValid: no effect yet": True} if unsupported else {}),
        **({"whether the operator touches it": True} if is_foreign(spec.get("managedBy")) else {}),
    }
