"""Builders for what the planners see, and plans in words: a test names only what it is about."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    Plan,
    Strand,
    SubmitServe,
)
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.drift import stamped
from rayserve_operator.planning.observed import (
    BelongingView,
    ObservedCluster,
    ObservedRayCluster,
    ObservedService,
    PodView,
    RevisionView,
    Routing,
    ServiceView,
)
from rayserve_operator.planning.service.goal import Aim, Goal
from rayserve_operator.render import clusters, labels, services
from rayserve_operator.render.options import RenderOptions

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
NAME = "demo"
APP = "applications: [{name: app, import_path: 'app:x'}]"
OTHER_APP = "applications: [{name: app, import_path: 'app:y'}]"


def ago(seconds: float) -> str:
    """A moment before now, as an annotation says it."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


# What users write. -------------------------------------------------------------------------------------------------


def template(image: str = "ray:1") -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray", "image": image}]}}


def group(name: str = "cpu", image: str = "ray:1", **fields: Any) -> dict[str, Any]:
    return {"groupName": name, "template": template(image), "replicas": 1, "minReplicas": 0, **fields}


def cluster_config(*groups: Mapping[str, Any], image: str = "ray:1", **fields: Any) -> dict[str, Any]:
    head = {"template": template(image)}
    return {"headGroupSpec": head, "workerGroupSpecs": list(groups or [group(image=image)]), **fields}


def service_spec(config: Mapping[str, Any] | None = None, app: str = APP, **fields: Any) -> dict[str, Any]:
    return {"rayClusterConfig": dict(config or cluster_config()), "serveConfigV2": app, **fields}


def service_meta(generation: int = 1, notes: Mapping[str, str] | None = None) -> Meta:
    metadata = {"name": NAME, "namespace": "default", "uid": "service", "generation": generation, "labels": {}}
    return Meta.parse({"metadata": {**metadata, "annotations": dict(notes or {})}})


def aim_at(spec: Mapping[str, Any]) -> Aim:
    return Aim(Goal.parse(service_meta(), spec))


# What there is. ----------------------------------------------------------------------------------------------------


def pod(name: str = "worker", cluster: str = "demo-a", **fields: Any) -> PodView:
    """A pod that runs and is ready, but for what is given: role, group, phase, started, ready, serve, traffic (whether
    it takes a share of it), age, leaving, ended (all its containers have), waiting (a reason), since (seconds that Ray
    runs), restarts and the words of the last crash, node, cut_off, failures, replica, index, host, notes."""
    role, phase = fields.pop("role", labels.WORKER), fields.pop("phase", "Running")
    started, age = fields.pop("started", phase == "Running"), fields.pop("age", 100.0)
    cut_off, waiting = fields.pop("cut_off", False), fields.pop("waiting", None)
    ready = fields.pop("ready", started) and not cut_off
    node = fields.pop("node", "node-1" if phase == "Running" else None)
    placed = {labels.REPLICA_NAME: "replica", labels.REPLICA_INDEX: "index", labels.HOST_INDEX: "host"}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "creationTimestamp": ago(age),
        "labels": {
            labels.CLUSTER: cluster,
            labels.NODE_TYPE: role,
            labels.GROUP: fields.pop("group", labels.HEAD_GROUP if role == labels.HEAD else "cpu"),
            labels.SERVE: fields.pop("serve", "false" if role == labels.HEAD else "true"),
            labels.IDENTIFIER: f"{cluster}-{role}",
            **({labels.TRAFFIC: NAME} if fields.pop("traffic", False) else {}),
            **{label: str(fields.pop(key)) for label, key in placed.items() if key in fields},
        },
        "annotations": {labels.FAILURES: str(fields.pop("failures", 0)), **fields.pop("notes", {})},
    }
    if fields.pop("leaving", False):
        metadata["deletionTimestamp"] = ago(1)
    state: dict[str, Any] = {"running": {"startedAt": ago(fields.pop("since", age - 3))}}
    if waiting:
        state = {"waiting": {"reason": waiting}}
    if fields.pop("ended", False):
        state = {"terminated": {"reason": "Error", "exitCode": 1}}
    container = {"name": "ray", "state": state, "started": started, "ready": ready or cut_off}
    container["restartCount"] = fields.pop("restarts", 0)
    if "crash" in fields:
        crash = {"reason": "Error", "exitCode": 1, "finishedAt": ago(5), "message": fields.pop("crash")}
        container["lastState"] = {"terminated": crash}
    spec = {"containers": [{"name": "ray"}], **({"nodeName": node} if node else {})}
    if "restart_policy" in fields:
        spec["restartPolicy"] = fields.pop("restart_policy")
    if "beside" in fields:
        spec["containers"] = [{"name": "ray"}, {"name": fields.pop("beside")}]
    conditions = [{"type": "Ready", "status": str(ready)}]
    if "unschedulable" in fields:
        words = fields.pop("unschedulable")
        conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words})
    assert not fields, fields
    status = {
        "phase": phase,
        "conditions": conditions,
        "containerStatuses": [container] if phase == "Running" or waiting else [],
        **({"podIP": f"ip-{name}"} if phase == "Running" else {}),
    }
    return PodView.parse({"metadata": metadata, "spec": spec, "status": status})


def head(cluster: str = "demo-a", **fields: Any) -> PodView:
    return pod(f"{cluster}-head", cluster, role=labels.HEAD, **fields)


def pods_of(cluster: str) -> tuple[PodView, ...]:
    """A head and a worker, both well."""
    return head(cluster, serve="true"), pod(f"{cluster}-worker", cluster)


def answer(
    app: str = APP,
    status: str = "RUNNING",
    proxies: Iterable[str] = (),
    message: str = "",
    *,
    sent: float = 60,
    starting: Iterable[str] = (),
    **deployments: Mapping[str, Any],
) -> ServeStatus:
    """What a Ray says that was given these applications so many seconds ago."""
    given = parse_serve_config(app)
    applications = {
        name: {
            "status": status,
            "message": message,
            "source": "declarative",
            "deployed_app_config": dict(config),
            "last_deployed_time_s": (NOW - timedelta(seconds=sent)).timestamp(),
            "deployments": deployments,
        }
        for name, config in given.handed_down.items()
    }
    return ServeStatus.parse(
        {
            "controller_info": {"node": "a"},
            "applications": applications,
            "target_capacity": given.document.get("target_capacity"),
            "proxies": {
                **{ip: {"node_ip": ip, "status": "HEALTHY"} for ip in proxies},
                **{ip: {"node_ip": ip, "status": "STARTING"} for ip in starting},
            },
        }
    )


NOTHING_DEPLOYED = ServeStatus.parse({"controller_info": {}, "applications": {}})


def cluster(name: str = "demo-a", goal: Aim | None = None, **fields: Any) -> ObservedCluster:
    """A RayCluster as the goal's own would be, with healthy pods and applications, but for what is given: config,
    pods, serve, assigned, routed, retired, quiet and ended (seconds ago), notes, leaving, created (seconds ago), proxy,
    answering, ongoing."""
    aim = goal or aim_at(service_spec())
    service = RayService(service_meta(), aim.goal.spec, RayServiceStatus())
    config = fields.pop("config", None)
    spec = RayClusterSpec.model_validate(config) if config else aim.goal.spec.ray_cluster_config
    manifest = clusters.ray_cluster(service, name, spec, aim.goal.revision, aim.goal.serve.cluster_part)
    manifest["metadata"].update(
        uid=f"uid-{name}", resourceVersion="7", creationTimestamp=ago(fields.pop("created", 900))
    )
    notes = manifest["metadata"]["annotations"]
    times = {labels.ROUTED_AT: "routed", labels.RETIRED_AT: "retired", labels.QUIET_AT: "quiet",
             labels.ENDED_AT: "ended"}  # fmt: skip
    if "routed" in fields:
        notes[labels.SERVED] = aim.goal.revision
    for note, key in times.items():
        if key in fields:
            notes[note] = ago(fields.pop(key))
    notes.update(fields.pop("notes", {}))
    if fields.pop("leaving", False):
        manifest["metadata"]["deletionTimestamp"] = ago(1)
    pods = fields.pop("pods", pods_of(name))
    observed = ObservedCluster(
        RayCluster(Meta.parse(manifest), RayClusterSpec.model_validate(manifest["spec"]), RayClusterStatus()),
        pods,
        fields.pop("serve", answer()),
        fields.pop("assigned", aim.goal.serve),
        fields.pop("proxy", None),
        frozenset(fields.pop("answering", [found.meta.name for found in pods if found.ready])),
        fields.pop("ongoing", None),
    )
    assert not fields, fields
    return observed


def side(name: str, goal: Aim, takes: int = 0, **fields: Any) -> ObservedCluster:
    """A fit cluster with four workers, of which so many take a share of the traffic."""
    pods = tuple(pod(f"{name}-{index}", name, traffic=index < takes) for index in range(4))
    serve = answer(proxies=[f"ip-{found.meta.name}" for found in pods])
    return cluster(name, goal, pods=(head(name), *pods), serve=serve, **fields)


def stable_services(goal: Aim, active: ObservedCluster, **changes: Any) -> tuple[ServiceView, ServiceView]:
    """The serve and the head Service as they are once traffic goes to the cluster."""
    service = RayService(service_meta(), goal.goal.spec, RayServiceStatus())
    views = []
    is_shared = changes.get("shared", False)
    for made in (
        services.stable_serve_service(service, active.cluster, is_shared=is_shared),
        services.stable_head_service(service, active.cluster),
    ):
        manifest = stamped(made)
        uid = f"uid-{manifest['metadata']['name']}"
        manifest["metadata"] = {**manifest["metadata"], "uid": uid, "resourceVersion": "5"}
        views.append(ServiceView.parse(manifest))
    serve, stable_head = views
    if "stamp" in changes:
        notes = {labels.ACTIVE_CLUSTER: changes["stamp"]} if changes["stamp"] else {}
        serve = replace(serve, meta=replace(serve.meta, annotations=notes))
    if "selects" in changes:
        serve = replace(serve, spec={**serve.spec, "selector": {labels.CLUSTER: changes["selects"]}})
    if "owner" in changes:
        serve = replace(serve, meta=replace(serve.meta, owner=changes["owner"]))
    return serve, stable_head


def preview_service(goal: Aim, leads_to: ObservedCluster) -> ServiceView:
    """The preview Service as it is while the cluster is to take over."""
    service = RayService(service_meta(), goal.goal.spec, RayServiceStatus())
    manifest = stamped(services.preview_service(service, leads_to.cluster))
    manifest["metadata"] = {**manifest["metadata"], "uid": "uid-demo-preview-svc", "resourceVersion": "5"}
    return ServiceView.parse(manifest)


def revision(
    goal: Aim, number: int = 1, attempt: int = 1, started: float = 60, failed: str | None = None, **others: str
) -> RevisionView:
    """The goal's revision, its attempt begun so many seconds ago, and given up for a reason if one is given; with
    last_good, what its mark says."""
    notes = {labels.ATTEMPT: str(attempt), labels.PART: goal.goal.part_digest, labels.STARTED_AT: ago(started)}
    if failed is not None:
        notes[labels.FAILED] = json.dumps({"reason": failed, "message": "why", "since": ago(1)})
    if "last_good" in others:
        notes[labels.LAST_GOOD] = others.pop("last_good")
    assert not others, others
    name = goal.goal.revision
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "3", "annotations": notes}
    return RevisionView.parse({"metadata": metadata, "revision": number})


def world(
    goal: Aim,
    *found: ObservedCluster,
    active: ObservedCluster | None = None,
    status: RayServiceStatus | None = None,
    revisions: tuple[RevisionView, ...] | None = None,
    ghosts: Iterable[str] = (),
    endpoints: Iterable[str] | None = None,
    notes: Mapping[str, str] | None = None,
    routing: Routing | None = None,
    **service_changes: Any,
) -> ObservedService:
    """A RayService with its clusters; the stable Services lead to the active one, if any, and those of the clusters,
    where there is nothing else said of the Gateway API, to their pods."""
    serve, stable_head = stable_services(goal, active, **service_changes) if active else (None, None)
    return ObservedService(
        service=RayService(service_meta(notes=notes), goal.goal.spec, status or RayServiceStatus()),
        clusters=found,
        revisions=(revision(goal),) if revisions is None else revisions,
        serve_service=serve,
        head_service=stable_head,
        endpoints=frozenset(_endpoints(active) if endpoints is None else endpoints),
        ghosts=frozenset(ghosts),
        routing=routing or Routing(reached=frozenset(one.name for one in found)),
    )


def _endpoints(active: ObservedCluster | None) -> Iterable[str]:
    return () if active is None else [found.meta.name for found in active.pods if found.serving]


def ray_cluster(
    config: Mapping[str, Any], *pods: PodView, status: RayClusterStatus | None = None, **fields: Any
) -> ObservedRayCluster:
    """A RayCluster of its own, as the planner of clusters sees it, with its head Service in order; other fields are
    those of ObservedRayCluster, and `of_service`, `notes`, `finalizers` and `leaving` (for so many seconds)."""
    metadata = {"name": "demo-a", "namespace": "default", "uid": "uid-demo-a", "generation": 1, "resourceVersion": "7"}
    metadata["finalizers"] = fields.pop("finalizers", [])
    if "leaving" in fields:
        metadata["deletionTimestamp"] = ago(fields.pop("leaving"))
    metadata["labels"] = labels.origin("RayService", NAME) if fields.pop("of_service", False) else {}
    metadata["annotations"] = fields.pop("notes", {})
    spec = RayClusterSpec.model_validate(config)
    made = RayCluster(Meta.parse({"metadata": metadata}), spec, status or RayClusterStatus())
    service = ServiceView.parse(stamped(services.cluster_head_service(made)))
    return ObservedRayCluster(made, pods, {service.meta.name: service}, **fields)


def belonging(kind: Kind, name: str, **content: Any) -> BelongingView:
    """What the operator made beside the pods, as it is found; `metadata` is added to the usual one."""
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
    return BelongingView.parse(kind, {"metadata": metadata | content.pop("metadata", {}), **content})


def cluster_plan(config: Mapping[str, Any], *pods: PodView, **fields: Any) -> Plan[RayClusterStatus]:
    """What happens to such a RayCluster."""
    options = fields.pop("options", RenderOptions())
    return plan_cluster(ray_cluster(config, *pods, **fields), options, NOW)


# Plans in words. ---------------------------------------------------------------------------------------------------


def steps_of(plan: Plan[Any]) -> tuple[tuple[Any, ...], ...]:
    """Every step of a plan, in its order. A test knows of which type its actions are."""
    return tuple(step for strand in plan.strands for step in strand)


def actions_of(plan: Plan[Any]) -> list[Any]:
    """Every action of a plan, in its order."""
    return [action for step in steps_of(plan) for action in step]


def in_words(found: Plan[Any] | Strand) -> list[str]:
    """The actions of a plan or a strand, one after the other, each in a few words."""
    actions = actions_of(found) if isinstance(found, Plan) else [action for step in found for action in step]
    return [_words(action) for action in actions]


def announced(plan: Plan[Any]) -> list[Announcement]:
    """What the plan's actions are told as."""
    return [action.announce for action in actions_of(plan) if action.announce is not None]


def _words(action: AnyAction) -> str:
    assert _names_its_object(action), action
    match action:
        case Create(kind=Kind.POD):
            return f"create a pod {action.name_prefix}"
        case Create(kind=Kind.SERVICE) | Apply(kind=Kind.SERVICE):
            metadata, selector = action.manifest["metadata"], action.manifest["spec"]["selector"]
            target = selector.get(labels.CLUSTER) or f"the shares of {metadata['annotations'][labels.ACTIVE_CLUSTER]}"
            return f"point {metadata['name']} at {target}"
        case Create() | Apply():
            return _making(action.kind, action.manifest)
        case Patch():
            paths = [operation["path"] for operation in action.operations if operation["op"] != "test"]
            return f"patch {action.name}: {', '.join(paths)}"
        case Annotate():
            notes = {**(action.annotations or {}), **(action.labels or {})}
            said = [f"{'not ' if value is None else ''}{key.partition('/')[2]}" for key, value in notes.items()]
            return f"note {', '.join(said)} on {action.name}"
        case Delete():
            return f"delete {action.name}"
        case Confirm():
            return f"confirm {action.name}"
        case SubmitServe():
            return f"submit {action.config.applications['app']['import_path']} to {action.cluster}"


def _making(kind: Kind, manifest: Mapping[str, Any]) -> str:
    name = manifest["metadata"]["name"]
    if kind is not Kind.HTTP_ROUTE:
        return f"make {kind} {name}"
    [rule] = manifest["spec"]["rules"]
    shares = [f"{ref['name'].removesuffix('-serve-svc')} {ref['weight']}" for ref in rule["backendRefs"]]
    return f"lead {name} to {', '.join(shares)}"


def _names_its_object(action: AnyAction) -> bool:
    """Whether an action says the kind of its object, and the uid of the one that it names, as all are made here."""
    match action:
        case SubmitServe():
            return action.cluster_uid == f"uid-{action.cluster}"
        case Annotate() | Delete() | Confirm():
            uid = service_meta().uid if action.kind is Kind.RAY_SERVICE else f"uid-{action.name}"
            return isinstance(action.kind, Kind) and action.uid == uid
        case _:
            return isinstance(action.kind, Kind)
