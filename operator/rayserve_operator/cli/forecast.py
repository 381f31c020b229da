"""What the operator will do with a manifest once it is applied, by the functions by which it decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rayserve_operator.advice.structure import below
from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.scene import Manifest, Scene, course_of
from rayserve_operator.model.objects import API_VERSION, RAY_SERVICE, Meta
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve import DeployedConfig
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.model.serve_updates import Update, updates
from rayserve_operator.model.unsupported import WITHOUT_EFFECT, unsupported_in_service
from rayserve_operator.planning import admission, edits
from rayserve_operator.planning.actions import Kind, Patch
from rayserve_operator.planning.changes import paths
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.edits import Edit
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service import adoption, giving_up, keeping
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import REVISED, Goal
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.planning.words import few
from rayserve_operator.render import labels, ports
from rayserve_operator.render.options import RenderOptions


class Consequence(StrEnum):
    """What follows from a change."""

    NONE = "none"
    """Nothing that runs changes."""
    IN_PLACE = "in-place"
    """What runs is changed where it is."""
    FIRST = "first-cluster"
    """A cluster is made where none serves."""
    BLUE_GREEN = "blue-green"
    """Another cluster takes over."""
    RECREATE = "recreate"
    """Another cluster is made once the one that serves has left; nothing serves meanwhile."""
    REFUSED = "refused"
    """It is not followed; what ran last goes on."""

    @property
    def weight(self) -> int:
        """A number that grows with it."""
        return list(Consequence).index(self)

    @property
    def makes_pods(self) -> bool:
        """Whether pods may be made for it."""
        return self not in {Consequence.NONE, Consequence.REFUSED}


@dataclass(frozen=True, slots=True)
class Change:
    """A path in the manifest, and what follows from it."""

    path: str
    consequence: Consequence
    why: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will be done."""

    consequence: Consequence
    message: str
    """The same in sentences."""
    changes: tuple[Change, ...]
    ray: tuple[Update, ...]
    """What Ray does on the cluster that serves; nothing where another one takes over."""


def edited(scene: Scene, manifest: Manifest) -> Scene:
    """The world in the moment in which the manifest has been applied."""
    old, new = scene.service["metadata"], manifest["metadata"]
    both = {key: {**(old.get(key) or {}), **(new.get(key) or {})} for key in ("labels", "annotations")}
    metadata = {**old, **both, "generation": old.get("generation", 0) + 1}
    return replace(scene, service={**scene.service, "metadata": metadata, "spec": manifest.get("spec") or {}})


def forecast(scene: Scene, manifest: Manifest, now: datetime) -> Forecast:
    """What the operator will do once the manifest takes the place of the scene's RayService.

    Raises:
        CannotDo: what there is cannot be read, so that nothing can be said.
    """
    after = edited(scene, manifest)
    refused = tuple(_refused(scene, after))
    if refused:
        kept = "what runs goes on as it is" if scene.clusters else "nothing is made"
        return Forecast(Consequence.REFUSED, f"It is refused; {kept}.", refused, ())
    course = course_of(after, now)
    if course is None:
        raise CannotDo(f"the RayClusters of {scene.service['metadata']['name']} cannot be read by this version")
    return _Outlook(scene, after, course).forecast()


def _refused(scene: Scene, after: Scene) -> Iterator[Change]:
    """What the operator cannot follow, or else what its webhook refuses."""
    try:
        Goal.parse(Meta.parse(after.service), after.service["spec"])
    except InvalidSpec as invalid:
        yield from (Change(one.path, Consequence.REFUSED, f"{one.words} ({one.code})") for one in invalid.problems)
        return
    old = {"oldObject": _whole(scene.service)} if scene.service.get("spec") else {}
    request = {"uid": "plan", "object": _whole(after.service), **old}
    asked = {"apiVersion": admission.API_VERSION, "kind": admission.KIND, "request": request}
    # Whether the API server lets the pods in is left to it.
    review = replace(admission.review(asked, Custody(), RenderOptions()), drafts=(), drafts_before=())
    answer = review.answer(())["response"]
    for cause in below(answer, "status", "details").get("causes") or ():
        yield Change(cause["field"], Consequence.REFUSED, f"the admission webhook refuses it: {cause['message']}")


def _whole(service: Manifest) -> Manifest:
    return {**service, "apiVersion": API_VERSION, "kind": RAY_SERVICE}


@dataclass(frozen=True, slots=True)
class _Outlook:
    """A valid manifest in its world."""

    before: Scene
    after: Scene
    course: Course

    def forecast(self) -> Forecast:
        """What will be done."""
        edit, way = self._edit(), self._way()
        changes = (*self._decided(edit, way), *self._beside(way), *self._handed_on(), *self._idle(edit))
        least = Consequence.NONE if way is Consequence.IN_PLACE else way
        consequence = max((least, *(one.consequence for one in changes)), key=lambda one: one.weight)
        ray = tuple(updates(self._deployed(), self._goal.serve)) if way is Consequence.IN_PLACE else ()
        return Forecast(consequence, " ".join(self._sentences(consequence)), changes, ray)

    @property
    def _goal(self) -> Goal:
        return self.course.goal

    @property
    def _active(self) -> ObservedCluster | None:
        return self.course.roles.active

    def _way(self) -> Consequence:
        """How the goal is reached."""
        if self._goal.spec.suspend:
            return Consequence.NONE
        if self._active is None:
            return Consequence.FIRST
        if self.course.failure is not None or self._obstacle() is not None:
            return Consequence.NONE
        if self.course.roles.candidate is self._active:
            return Consequence.IN_PLACE
        return Consequence.RECREATE if self._goal.spec.recreates else Consequence.BLUE_GREEN

    def _obstacle(self) -> str | None:
        """Why a rollout would be given up as soon as it began."""
        is_new = self._active is not None and self.course.roles.candidate is None
        found = giving_up.failure(self.course) if is_new else None
        return None if found is None else f"{found.reason}: {found.message}"

    def _edit(self) -> Edit:
        """What lies between the cluster that serves and the goal."""
        active = self._active
        if active is None:
            return Edit((), (), ())
        options = ports.serve_options(active.cluster)
        return edits.reaching(self._goal, active.cluster.spec, options, self._deployed())

    def _deployed(self) -> DeployedConfig:
        """The applications of the revision that the serving cluster was given."""
        active = self._active
        name = None if active is None else active.cluster.meta.annotations.get(labels.REVISION)
        for revision in self.before.revisions:
            if revision["metadata"]["name"] == name:
                try:
                    return parse_serve_config(revision["data"]["spec"].get("serveConfigV2")).as_deployed
                except InvalidSpec:
                    break
        return DeployedConfig()

    # Paths. ---------------------------------------------------------------------------------------------------------

    def _decided(self, edit: Edit, way: Consequence) -> Iterator[Change]:
        """The paths by which the serving cluster is not as the goal wants it."""
        if way in {Consequence.BLUE_GREEN, Consequence.RECREATE}:
            yield from (Change(path, way, _why_rebuilt(path)) for path in edit.rebuilding)
            yield from (Change(p, way, "goes to the new cluster alone") for p in (*edit.patched, *edit.submitted))
            return
        idle = Consequence.NONE, self._why_not()
        patched = Consequence.IN_PLACE, "patched into the RayCluster"
        submitted = Consequence.IN_PLACE, "sent to Ray, which changes it in place"
        yield from (Change(path, *idle) for path in edit.rebuilding)
        yield from (Change(path, *(patched if self._is_patched() else idle)) for path in edit.patched)
        yield from (Change(path, *(submitted if way is Consequence.IN_PLACE else idle)) for path in edit.submitted)

    def _is_patched(self) -> bool:
        """Whether the RayCluster that serves is changed."""
        active = self._active
        if active is None or active is not self.course.roles.candidate or self._goal.spec.suspend:
            return False
        return any(keeping.change_in_place(self.course, active))

    def _why_not(self) -> str:
        """Why nothing is done for a path."""
        if self._goal.spec.suspend:
            return "holds once it is resumed"
        if self._goal.spec.holds_cluster:
            return "upgradeStrategy.type None holds it back: only a new cluster could have it"
        return self._obstacle() or "it was given up before"

    def _beside(self, way: Consequence) -> Iterator[Change]:
        """The paths outside of what a revision stands for."""
        unsupported = dict(one.split(" ", 1) for one in unsupported_in_service(self._goal.spec))
        for path in paths(_beside(self.before.service), _beside(self.after.service), ""):
            if path in WITHOUT_EFFECT:
                yield Change(path, Consequence.NONE, "accepted, as in KubeRay, and without effect")
            elif f"spec.{path}" in unsupported:
                yield Change(path, Consequence.NONE, f"has no effect yet {unsupported[f'spec.{path}']}")
            elif path not in _MARKS and way is not Consequence.FIRST:
                yield Change(path, Consequence.IN_PLACE, _WHY_BESIDE.get(path.partition(".")[0], _FROM_NOW_ON))
        for part in ("labels", "annotations"):
            yield from self._noted(part)

    def _handed_on(self) -> Iterator[Change]:
        """The marks that say who looks after the clusters."""
        steps = adoption.take_over(self.course)
        is_patched = any(isinstance(step, Patch) and step.kind is Kind.RAY_CLUSTER for step in steps)
        follows = (
            (Consequence.IN_PLACE, "patched into the RayClusters, which follow their RayService")
            if is_patched
            else (Consequence.NONE, "the same operator looks after it")
        )
        for path, place in _MARKS.items():
            old, new = (below(scene.service, *place).get("managedBy") for scene in (self.before, self.after))
            if old != new and self._active is not None:
                yield Change(path, *follows)

    def _noted(self, part: str) -> Iterator[Change]:
        old, new = (below(scene.service, "metadata", part) for scene in (self.before, self.after))
        for key in sorted(key for key in new if old.get(key) != new[key] and labels.copied({key: ""})):
            is_followed = key in labels.OF_USERS
            why = "its clusters take it over" if is_followed else "clusters that are made from now on bear it"
            yield Change(f"metadata.{part}.{key}", Consequence.IN_PLACE if is_followed else Consequence.NONE, why)

    def _idle(self, edit: Edit) -> Iterator[Change]:
        """The paths of what is written otherwise and means the same to the cluster that serves."""
        if self._active is None:
            return
        decided = [_TOLD_BY.get(path, path) for path in edit.paths]
        old, new = (_revised(scene.service) for scene in (self.before, self.after))
        for path in paths(_as_far_as(old, new), new, ""):
            is_decided = path in _MARKS or any(_are_related(_TOLD_BY.get(path, path), one) for one in decided)
            if not is_decided:
                yield Change(path, Consequence.NONE, _why_idle(path, self._goal.spec))
        texts = [scene.service["spec"].get("serveConfigV2") for scene in (self.before, self.after)]
        if texts[0] != texts[1] and not any(path.startswith("serveConfigV2:") for path in decided):
            yield Change("serveConfigV2", Consequence.NONE, "it is only written otherwise, and says the same")

    # Words. ---------------------------------------------------------------------------------------------------------

    def _sentences(self, consequence: Consequence) -> Iterator[str]:
        active, candidate, obstacle = self._active, self.course.roles.candidate, self._obstacle()
        if self._goal.spec.suspend:
            yield "It is suspended: it keeps no cluster and no Service, and nothing serves."
        elif active is None:
            yield (
                "Its first cluster is made." if candidate is None else f"{candidate.name}, its first cluster, goes on."
            )
        elif self.course.failure is not None:
            name = self.before.service["metadata"]["name"]
            yield (
                f"This was given up before ({self.course.failure.reason}): nothing is done until it is changed, or"
                f" `rayserve rollout retry {name}`."
            )
        elif obstacle is not None:
            yield f"It is given up at once, and {active.name} goes on: {obstacle}."
        elif candidate is not active and self._goal.spec.recreates:
            new = "a new cluster is made" if candidate is None else f"{candidate.name} takes its place"
            yield f"{active.name} takes no more requests, finishes those under way and is deleted; then {new}."
            yield "Nothing serves meanwhile."
        elif candidate is not active:
            new = "A new cluster is made, and" if candidate is None else f"{candidate.name}, which is there already,"
            yield f"{new} {_takes_over(self._goal.spec)}; then {active.name} finishes its requests and is deleted."
        elif consequence is Consequence.NONE:
            yield "Nothing that runs changes."
        else:
            yield f"{active.name} serves on, and is changed in place."
        yield from self._overtaken()

    def _overtaken(self) -> Iterator[str]:
        """What becomes of a cluster that was to take over."""
        others = [c.name for c in self.course.roles.leaving if labels.ROUTED_AT not in c.cluster.meta.annotations]
        if others and not self._goal.spec.suspend:
            yield f"{few(others)}, which was to take over, is deleted."


_FROM_NOW_ON = "the operator acts by it from now on"
_WHY_BESIDE: Mapping[str, str] = {
    "serveService": "the Service is changed",
    "excludeHeadPodFromServeSvc": "the head joins the Service, or leaves it",
}
_MARKS = {"managedBy": ("spec",), "rayClusterConfig.managedBy": ("spec", "rayClusterConfig")}
"""Where it is said who looks after the clusters."""
_TOLD_BY = {"rayClusterConfig.enableInTreeAutoscaling": "rayClusterConfig.autoscalerOptions"}
"""Paths under which the operator tells of a change that stands somewhere else."""


def _why_rebuilt(path: str) -> str:
    if path.startswith("serveConfigV2:"):
        return "a Serve that runs takes it and ignores it"
    return "pods that run cannot take it"


def _why_idle(path: str, spec: RayServiceSpec) -> str:
    if spec.ray_cluster_config.autoscaling and path.endswith((".replicas", ".scaleStrategy.workersToDelete")):
        return "Ray's autoscaler decides it"
    return "it means the same to the cluster that serves"


def _takes_over(spec: RayServiceSpec) -> str:
    if spec.shares == (WHOLE,):
        words = "takes over the traffic once it is fit"
    else:
        steps = ", ".join(f"{share}%" for share in spec.shares)
        words = f"takes {steps} of the traffic once it is fit, {spec.share_interval} s between"
    at = spec.pauses_at
    return words if at is None else f"{words}; at {at}% it waits for `rayserve rollout promote`"


def _beside(service: Manifest) -> dict[str, Any]:
    """The spec without what a revision stands for, and without what is written out only to say the default."""
    spec = {key: value for key, value in (service.get("spec") or {}).items() if key not in REVISED}
    try:
        whole = RayServiceSpec.model_validate({**spec, "rayClusterConfig": _ANY_CLUSTER}).manifest()
    except ValueError:
        return spec
    return {key: value for key, value in whole.items() if key not in REVISED}


_ANY_CLUSTER: Mapping[str, Any] = {"headGroupSpec": {"template": {"spec": {"containers": [{}]}}}}


def _revised(service: Manifest) -> dict[str, Any]:
    """The rayClusterConfig as it is written, its groups by name as the operator's paths have them."""
    config = dict(below(service, "spec", "rayClusterConfig"))
    groups: Iterable[Mapping[str, Any]] = config.pop("workerGroupSpecs", None) or ()
    named = {f"workerGroupSpecs[{group.get('groupName')}]": group for group in groups}
    return {"rayClusterConfig": {**config, **named}}


def _as_far_as(old: Any, new: Any) -> Any:
    """What was there of all that is written now: the rest may be defaults that the API server has filled in."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {key: _as_far_as(old[key], new[key]) for key in old.keys() & new.keys()}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [_as_far_as(one, other) for one, other in zip(old, new, strict=True)]
    return old


def _are_related(one: str, other: str) -> bool:
    """Whether one path leads to the other's place, or beyond."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) : len(short) + 1] in ("", ".", "[")
