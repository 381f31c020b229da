"""What the operator makes and does, seen from every side, with a field and without it.

A RayCluster is looked at before it has pods, when it is complete, after an edit and on its way out, alone and in a
RayService; a RayService from its first cluster to the retirement of an old one. At all of these moments the plans are
compared: every manifest, every other action and the status. What merely repeats the spec is left out, so that a field
that is only copied from one object to another has no effect: the data of a ControllerRevision, the spec of a
RayCluster that a RayService makes, and the names and annotations that are drawn from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.validation import validate_cluster, validate_service
from rayserve_operator.planning.actions import (
    Annotate,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    Plan,
    SubmitServe,
)
from rayserve_operator.planning.changes import compare
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.condition_list import UNSUPPORTED
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.observed import (
    BelongingView,
    ObservedRayCluster,
    ObservedService,
    PodView,
    ServiceView,
    Traffic,
)
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOTHING_DEPLOYED,
    NOW,
    actions_of,
    ago,
    aim_at,
    answer,
    cluster,
    head,
    pod,
    ray_cluster,
    revision,
    service_spec,
    world,
)
from .fields import Field
from .values import Manifest, Trial, put, trials

Done = Mapping[str, Mapping[str, Any]]
"""Everything that is done: by moment, then by what it is done to."""

EVERYTHING = "everything"
"""The effect of a field by which another controller looks after the object."""

_ALONE = "alone"
_SPEC_VALID = str(ClusterCondition.SPEC_VALID)
_SHOWN_FIRST = ("head Pod", "worker Pods", "head Service", "serve Service", "RayCluster")


@dataclass(frozen=True)
class Verdict:
    """What is known of a field once all its values have been tried."""

    effects: tuple[str, ...]
    """What differs with it: objects, actions (in brackets), status fields."""
    only_alone: bool
    """Whether nothing of this holds for the clusters of a RayService."""
    refused: tuple[str, ...]
    """The words in which it is refused, where it is."""
    unsupported: tuple[str, ...]
    """What the condition SpecValid says to have no effect: the field itself, or what it needs to mean anything."""
    edits: tuple[str, ...]
    """What an edit of it in a RayService comes to: `in place`, `new cluster` or nothing."""
    at_once: frozenset[str]
    """What follows an edit of it in a RayCluster that is complete and on its own."""


@cache
def of_cluster_field(field: Field) -> Verdict:
    """What a field of a RayCluster does, alone and as a part of rayClusterConfig."""
    return _verdict(field, of_service=False)


@cache
def of_service_field(field: Field) -> Verdict:
    """What a field of a RayService does, apart from those of rayClusterConfig."""
    return _verdict(field, of_service=True)


def _verdict(field: Field, *, of_service: bool) -> Verdict:
    differing: list[tuple[str, str]] = []
    refused, unsupported, edits, at_once = [], [], [], set()
    for trial in trials(field, of_service=of_service):
        problems = _problems(trial.with_it, of_service=of_service)
        if problems:
            elsewhere = [problem for problem in problems if not _plain(problem.path).startswith(field.path)]
            assert not elsewhere, f"{field.path}: {trial.value!r} is refused for something else: {elsewhere}"
            refused += [f"{problem.problem}; {problem.mend}" for problem in problems]
            continue
        seen = _seen_from_service if of_service else _seen
        differing += _differences(seen(trial.without), seen(trial.with_it))
        meant = {field.path, *trial.given}
        unsupported += [words for path, words in _unsupported(trial.with_it, of_service=of_service) if path in meant]
        edits += [_edit_of_service(trial) if of_service else _edit_of_config(trial)]
        at_once |= set() if of_service else _follows_edit(trial)
    return Verdict(
        effects=_in_order({what for _, what in differing}),
        only_alone=bool(differing) and all(moment.startswith(_ALONE) for moment, _ in differing),
        refused=_once(refused),
        unsupported=_once(unsupported),
        edits=_once(edit for edit in edits if edit is not None),
        at_once=frozenset(at_once),
    )


def _problems(spec: Manifest, *, of_service: bool) -> list[Problem]:
    if of_service:
        return validate_service("demo", "default", RayServiceSpec.model_validate(spec))
    return validate_cluster("demo", "default", RayClusterSpec.model_validate(spec))


def _unsupported(spec: Manifest, *, of_service: bool) -> list[tuple[str, str]]:
    """Path and words of everything that has no effect, as the condition SpecValid says."""
    status: RayServiceStatus | RayClusterStatus
    if of_service:
        aim = aim_at(spec)
        status = plan_service(world(aim, revisions=()), aim, NOW).status
    else:
        status = plan_cluster(ray_cluster(spec), RenderOptions(), NOW).status
    said = [c.message for c in status.conditions if c.type == _SPEC_VALID and c.reason == UNSUPPORTED]
    gaps = [gap for message in said for gap in message.partition(": ")[2].split(", ")]
    return [(_plain(gap.partition(" ")[0]), gap) for gap in gaps]


def _plain(path: str) -> str:
    """A path in a manifest as that of a field."""
    return path.removeprefix("spec.").replace("[0]", "[]")


# What an edit comes to. --------------------------------------------------------------------------------------------


def _edit_of_config(trial: Trial) -> str | None:
    """What becomes of an edit of rayClusterConfig; None where the living cluster keeps what it has."""
    diff = compare(RayClusterSpec.model_validate(trial.without), RayClusterSpec.model_validate(trial.with_it))
    if diff.rebuild:
        return "new cluster"
    return "in place" if diff.operations else None


def _edit_of_service(trial: Trial) -> str | None:
    """Whether the serving cluster can take an edit of the RayService."""
    before, after = aim_at(trial.without), aim_at(trial.with_it)
    serving = cluster("demo-a", before, routed=600)
    plan = plan_service(world(after, serving, active=serving, revisions=(revision(before),)), after, NOW)
    is_new = any(isinstance(action, Create) and action.kind is Kind.RAY_CLUSTER for action in actions_of(plan))
    return "new cluster" if is_new else "in place"


def _follows_edit(trial: Trial) -> set[str]:
    """What is done when the field is set in a RayCluster of its own in which everything is as it was wanted without."""
    before = _complete(trial.without)
    edited = replace(before, cluster=ray_cluster(trial.with_it).cluster)
    if not Custody().covers(edited.cluster.spec.managed_by):
        return {EVERYTHING}
    first = plan_cluster(edited, RenderOptions(), NOW)
    told = replace(edited, cluster=replace(edited.cluster, status=first.status))
    done = [_done(plan, before.pods) for plan in (first, plan_cluster(told, RenderOptions(), NOW))]
    return {what.partition(" (")[0] for one in done for what in one if not what.startswith("status.")}


def _complete(config: Manifest) -> ObservedRayCluster:
    """A RayCluster of its own for which everything has been made."""
    new = replace(ray_cluster(config), services={})
    made = [a for a in actions_of(plan_cluster(new, RenderOptions(), NOW)) if isinstance(a, Apply | Create)]
    services = [ServiceView.parse(one.manifest) for one in made if one.kind is Kind.SERVICE]
    wanted = [one.manifest["metadata"]["labels"][labels.GROUP] for one in made if one.kind is Kind.POD]
    workers = [pod(f"worker{number or ''}", group=group) for number, group in enumerate(wanted[1:])]
    return replace(
        new,
        pods=(head(), *workers),
        services={view.meta.name: view for view in services},
        belongings=tuple(
            BelongingView.parse(one.kind, one.manifest)
            for one in made
            if isinstance(one, Apply) and one.kind is not Kind.SERVICE
        ),
    )


# What is seen. -----------------------------------------------------------------------------------------------------


def _differences(without: Done, with_it: Done) -> list[tuple[str, str]]:
    """What is done otherwise, and when."""
    ended = [(moment, EVERYTHING) for moment in without.keys() ^ with_it.keys()]
    return ended + [
        (moment, what)
        for moment in without.keys() & with_it.keys()
        for what in without[moment].keys() | with_it[moment].keys()
        if without[moment].get(what) != with_it[moment].get(what)
    ]


def _seen(config: Manifest) -> Done:
    """A RayCluster of its own, and a RayService with the RayCluster that it makes."""
    service = service_spec(config)
    return {
        **_seen_from_cluster(_ALONE, config, of_service=False),
        **_seen_from_cluster("in a service", made_config(service), of_service=True),
        **_seen_from_service(service),
    }


def made_config(spec: Manifest) -> Manifest:
    """The spec of the RayCluster that a RayService makes."""
    aim = aim_at(spec)
    plan = plan_service(world(aim, revisions=()), aim, NOW)
    made = (action for action in actions_of(plan) if isinstance(action, Create) and action.kind is Kind.RAY_CLUSTER)
    return dict(next(made).manifest["spec"])


def _seen_from_cluster(whose: str, config: Manifest, *, of_service: bool) -> Done:
    if not Custody().covers(RayClusterSpec.model_validate(config).managed_by):
        return {}
    return {
        f"{whose}, {moment}": _done(plan_cluster(observed, RenderOptions(), NOW), observed.pods)
        for moment, observed in cluster_moments(config, of_service=of_service)
    }


def cluster_moments(config: Manifest, *, of_service: bool) -> Iterator[tuple[str, ObservedRayCluster]]:
    """A RayCluster through its life."""
    new = replace(ray_cluster(config, of_service=of_service), services={})
    yield "new", new
    complete = ray_cluster(config, head(), pod(), of_service=of_service)
    yield "complete", complete
    status = plan_cluster(complete, RenderOptions(), NOW).status
    yield "told", replace(complete, cluster=replace(complete.cluster, status=status))
    made_from = RayClusterSpec.model_validate(_before_an_edit(config)).model_dump_json(by_alias=True)
    edited = head(notes={labels.MADE_FROM: made_from})
    yield "edited", ray_cluster(config, edited, pod(), of_service=of_service)
    meta = replace(new.cluster.meta, deleted_at=NOW, finalizers=(labels.REDIS_FINALIZER,))
    yield "leaving", replace(new, cluster=replace(new.cluster, meta=meta))


def _seen_from_service(spec: Manifest) -> Done:
    aim = aim_at(spec)
    if not Custody().covers(aim.goal.spec.managed_by):
        return {}
    seen = {}
    for moment, observed in service_moments(spec):
        pods = tuple(pod for one in observed.clusters for pod in one.pods)
        seen[f"service, {moment}"] = _done(plan_service(observed, aim, NOW), pods, spec["rayClusterConfig"])
    return seen


def service_moments(spec: Manifest) -> Iterator[tuple[str, ObservedService]]:
    """A RayService from its first cluster to the retirement of an old one."""
    aim = aim_at(spec)
    earlier = aim_at({**spec, "rayClusterConfig": _before_an_edit(spec["rayClusterConfig"])})
    both = (revision(earlier), revision(aim, 2))
    yield "new", world(aim, revisions=())
    yield "first", world(aim, cluster("demo-a", aim))
    forgetful = cluster("demo-a", aim, routed=600, serve=NOTHING_DEPLOYED)
    yield "forgetful", world(aim, forgetful, active=forgetful)
    serving = cluster("demo-a", aim, routed=600)
    settled = world(aim, serving, active=serving)
    yield "settled", settled
    yield "told", world(aim, serving, active=serving, status=plan_service(settled, aim, NOW).status)
    yield "with a past", world(aim, serving, active=serving, revisions=both)
    old, following = cluster("demo-a", earlier, routed=600), cluster("demo-b", aim)
    yield "edited", world(aim, old, active=old, revisions=both[:1])
    yield "taking over", world(aim, old, following, active=old, revisions=both)
    for since in (30, 600):
        yield f"sharing for {since} s", _sharing(earlier, aim, since)
    late = (revision(earlier), revision(aim, 2, started=1000))
    behind = (head("demo-b", serve="true"), pod("behind", "demo-b", ready=False))
    placed = answer(D={"status": "HEALTHY", "replicas": [{"state": "RUNNING", "node_ip": "ip-behind"}]})
    short = cluster("demo-b", aim, pods=behind, serve=placed, notes={labels.WARM_SINCE: ago(400)})
    yield "short of capacity", world(aim, old, short, active=old, revisions=both)
    yield "late", world(aim, old, cluster("demo-b", aim, serve=NOTHING_DEPLOYED), active=old, revisions=late)
    failing = cluster("demo-a", aim, routed=600, notes={labels.SERVED: earlier.goal.revision})
    yield "given up", world(aim, failing, active=failing, revisions=(revision(aim, 2, failed="DeployFailed"),))
    active = cluster("demo-b", aim, routed=400)
    for moment, requests in (("quiet", 0), ("busy", 1)):
        retired = cluster("demo-a", earlier, routed=900, retired=300, quiet=50, ongoing=requests)
        yield moment, world(aim, retired, active, active=active, revisions=both)


def _sharing(earlier: Aim, aim: Aim, since: float) -> ObservedService:
    """Two clusters share the traffic, and the new one answers with errors."""
    share = {labels.SHARE: json.dumps({"percent": 10, "since": ago(since)})}
    nothing = {"requests": 0, "errors": 0, "milliseconds": 0.0}
    notes = {**share, labels.MEASURED: json.dumps({"old": nothing, "new": nothing}), labels.SMOKE_SINCE: ago(20)}
    old, new = (
        replace(
            cluster(name, goal, routed=600, pods=(head(name), pod(f"{name}-worker", name, traffic=True)), notes=noted),
            traffic=counted,
            smoke={"/x": 500, "/y": 200},
        )
        for name, goal, noted, counted in (
            ("demo-a", earlier, {}, Traffic(100, 0, 1000)),
            ("demo-b", aim, notes, Traffic(100, 100, 9000)),
        )
    )
    return world(aim, old, new, active=old, revisions=(revision(earlier), revision(aim, 2)), shared=True)


def _before_an_edit(config: Manifest) -> Manifest:
    return put(config, "headGroupSpec.template.metadata", {"annotations": {"edited": "not yet"}})


# What is done. -----------------------------------------------------------------------------------------------------


def _done(
    plan: Plan[RayServiceStatus] | Plan[RayClusterStatus], pods: Iterable[PodView], config: Manifest | None = None
) -> Mapping[str, Any]:
    """What a plan does, by what it does it to. Copies of `config` in it are left out."""
    done: dict[str, Any] = {}
    roles = {pod.meta.name: _role(is_head=pod.is_head) for pod in pods}
    for action in actions_of(plan):
        for what, content in _told(action, roles, config or {}):
            done.setdefault(what, []).append(content)
    status = plan.status.manifest()
    told = [condition for condition in status.pop("conditions", ()) if condition["type"] != _SPEC_VALID]
    return {**done, **{f"status.{key}": value for key, value in status.items()}, "status.conditions": told}


def _told(action: AnyAction, roles: Mapping[str, str], config: Manifest) -> Iterator[tuple[str, Any]]:
    match action:
        case Create(kind=Kind.REVISION) | Patch(kind=Kind.REVISION) | Confirm():
            return
        case Create(kind=Kind.RAY_CLUSTER):
            yield str(action.kind), _without_copies(action.manifest, config)
        case Create() | Apply():
            yield _named(action.kind, action.manifest), action.manifest
        case Annotate():
            notes = {**(action.annotations or {}), **(action.labels or {})}
            notes |= {key: "" for key in (labels.REVISION, labels.SERVED) if key in notes}
            yield f"{roles.get(action.name, action.kind)} ({'labels' if action.labels else 'annotations'})", notes
        case Delete():
            yield f"{roles.get(action.name, action.kind)} (deletion)", action.name
        case Patch():
            yield f"{action.kind} (patch)", action.operations
        case SubmitServe():
            yield "requests to Ray", (action.address, action.secret, action.config.document)


def _without_copies(manifest: Mapping[str, Any], config: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    notes = {key: value for key, value in metadata["annotations"].items() if key != labels.REVISION}
    added = {key: value for key, value in manifest["spec"].items() if key not in config}
    return {"metadata": {**metadata, "name": "", "annotations": notes}, "spec": added}


def _named(kind: Kind, manifest: Mapping[str, Any]) -> str:
    carried = manifest["metadata"].get("labels", {})
    is_head = carried.get(labels.NODE_TYPE) == labels.HEAD
    if kind is Kind.POD:
        return _role(is_head=is_head)
    if kind is not Kind.SERVICE:
        return str(kind)
    if is_head:
        return "head Service"
    if carried.get(labels.SERVE, "").endswith("-preview"):
        return "preview Service"
    return "headless Service" if labels.HEADLESS_SERVICE in carried else "serve Service"


def _role(*, is_head: bool) -> str:
    return "head Pod" if is_head else "worker Pods"


def _in_order(found: Iterable[str]) -> tuple[str, ...]:
    """Pods first, what is done to objects after the objects, the status last."""
    return tuple(sorted(found, key=lambda what: ("." in what, "(" in what, what not in _SHOWN_FIRST, _place(what))))


def _place(what: str) -> tuple[int, str]:
    return (_SHOWN_FIRST.index(what) if what in _SHOWN_FIRST else 0, what)


def _once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
