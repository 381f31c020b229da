"""How a new cluster comes to the capacity of the old one before traffic goes to it.

Serve starts a deployment that it scales itself with few replicas, however many the old cluster needs at that moment.
So the config goes to the new cluster with floors: no fewer replicas than run on the old one, as far as the config's
own bounds allow. A floor raises min_replicas beside initial_replicas, because Serve would otherwise scale down again
while no traffic comes, and also while clients still cling to connections of the old cluster. Both are mere numbers,
for which Serve restarts no replica. Once the old cluster has gone, the config is sent as the user wrote it, but for
initial_replicas: to Serve, that number in a changed config is an order to have that many replicas now.

Where both clusters together may not have twice the capacity, each is asked for a part of its own: Serve's
target_capacity, in percent of what the config says, of which it makes replicas, minima, maxima and floors alike. The
minReplicas of the worker groups go down with it, so that Ray's autoscaler lets go of pods that nothing runs on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from rayserve_operator.model.raycluster import RayClusterSpec, WorkerGroupSpec
from rayserve_operator.model.scale import hosts, within_bounds
from rayserve_operator.model.serve import ApplicationState, ServeConfig, ServeStatus, most_replicas
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.render import labels

Floors: TypeAlias = Mapping[str, Mapping[str, int]]
"""Replicas by application and deployment. 0 only leaves initial_replicas out."""


@dataclass(frozen=True, slots=True)
class Portion:
    """The part of its capacity that a cluster is asked for."""

    percent: int
    """Of what its Serve config says."""
    since: datetime
    minima: Mapping[str, int] = field(default_factory=dict)
    """minReplicas of its worker groups at all of it, where they are held down and no spec says them any more."""

    @property
    def written(self) -> str:
        """As an annotation holds it."""
        minima = {"minima": dict(self.minima)} if self.minima else {}
        return notes.written({"percent": self.percent, "since": self.since.isoformat(), **minima})


def portion_of(observed: ObservedCluster) -> Portion | None:
    """The part that the cluster is asked for; None where that is all of it, or the note was spoilt."""
    noted = notes.record_of(observed.cluster.meta, labels.CAPACITY)
    try:
        minima = {str(group): int(least) for group, least in noted.get("minima", {}).items()}
        portion = Portion(int(noted["percent"]), datetime.fromisoformat(noted["since"]), minima)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return portion if 0 < portion.percent <= WHOLE and portion.since.tzinfo else None


def percent_of(observed: ObservedCluster) -> int:
    """The same, in percent."""
    portion = portion_of(observed)
    return WHOLE if portion is None else portion.percent


def in_part(config: ServeConfig, percent: int) -> ServeConfig:
    """The config that asks for a part of what it says.

    All of it is the config itself: a target_capacity of 100 that stays behind would keep Serve from scaling to zero
    (ray#62682).
    """
    if percent >= WHOLE:
        return config
    whole = _percent(config.document.get("target_capacity"))
    return ServeConfig({**config.document, "target_capacity": whole * percent / WHOLE})


def growing(report: ServeStatus) -> list[str]:
    """Deployments that do not have their replicas yet, in words."""
    return [
        f"deployment {name} of {app} gets more replicas"
        for app, state in report.applications.items()
        for name, found in state.deployments.items()
        if found.status == "UPSCALING"
    ]


def floors_of(observed: ObservedCluster) -> Floors:
    """The floors that the cluster was given."""
    noted = notes.record_of(observed.cluster.meta, labels.FLOORS)
    return {
        app: {deployment: floor for deployment, floor in floors.items() if isinstance(floor, int)}
        for app, floors in noted.items()
        if isinstance(floors, dict)
    }


def on_floors(config: ServeConfig, floors: Floors) -> ServeConfig:
    """The config that is sent while these floors hold."""
    applications = [
        {**app, "deployments": [_on_floor(d, floors[name].get(d["name"])) for d in app["deployments"]]}
        if (name := app.get("name", "default")) in floors and app.get("deployments")
        else app
        for app in config.document["applications"]
    ]
    return ServeConfig({**config.document, "applications": applications})


def floors_needed(config: ServeConfig, serving: ServeStatus, noted: Floors) -> Floors:
    """The floors at which a new cluster starts with what the serving one has; those noted already are never lowered."""
    needed: dict[str, dict[str, int]] = {}
    for app, deployment, bounds in _scaled_by_config(config):
        live = _in_full(_running(serving.applications.get(app), deployment), config.document.get("target_capacity"))
        floor = min(max(live, noted.get(app, {}).get(deployment, 0)), bounds[1])
        if floor > bounds[0]:
            needed.setdefault(app, {})[deployment] = floor
    return needed


def floors_reached(config: ServeConfig, report: ServeStatus, floors: Floors) -> Floors:
    """The floors lowered to what runs: where the rest never came, traffic goes to what there is.

    Even one that is as low as the config's own bound is kept, because only an order brings Serve down again.
    """
    reached: dict[str, dict[str, int]] = {}
    for app, deployment in _autoscaled(config):
        name = deployment["name"]
        if name in floors.get(app, {}):
            running = _in_full(_running(report.applications.get(app), name), report.deployed.target_capacity)
            lowest = _least(deployment["autoscaling_config"])
            reached.setdefault(app, {})[name] = max(min(floors[app][name], running), lowest)
    return reached


def floors_lifted(config: ServeConfig, floors: Floors) -> Floors:
    """What is left of the floors once the old cluster has gone."""
    lifted: dict[str, dict[str, int]] = {}
    for app, deployment in _autoscaled(config):
        name = deployment["name"]
        if name in floors.get(app, {}) and deployment["autoscaling_config"].get("initial_replicas") is not None:
            lifted.setdefault(app, {})[name] = 0
    return lifted


def shortfall(report: ServeStatus, floors: Floors) -> list[str]:
    """What is missing to the floors, in words."""
    return [
        f"deployment {deployment} has {running} of the {wanted} replicas that the serving cluster has"
        for app, deployments in floors.items()
        for deployment, floor in deployments.items()
        if (running := _running(report.applications.get(app), deployment))
        < (wanted := _in_part(floor, report.deployed.target_capacity))
    ]


def only_short(state: ApplicationState, floors: Mapping[str, int]) -> bool:
    """Whether an application that is being deployed would run but for its floors."""
    return (
        state.status == "DEPLOYING"
        and any(floors.values())
        and bool(state.deployments)
        and all(
            deployment.status == "HEALTHY" or (floors.get(name, 0) > deployment.running > 0)
            for name, deployment in state.deployments.items()
        )
    )


def beyond_reach(config: ServeConfig, serving: ServeStatus) -> tuple[str, ...]:
    """Deployments that have more than one replica and are scaled by their code, so that no floor can be given."""
    by_config = {(app, name) for app, name, _ in _scaled_by_config(config)}
    return tuple(
        name
        for app, state in serving.applications.items()
        for name, deployment in state.deployments.items()
        if deployment.is_autoscaled and deployment.running > 1 and (app, name) not in by_config
    )


def minima_of(spec: RayClusterSpec) -> dict[str, int]:
    """The minReplicas of the worker groups that have any."""
    return {group.group_name: group.min_replicas for group in spec.worker_group_specs if group.min_replicas}


def held_down(spec: RayClusterSpec, minima: Mapping[str, int], percent: int) -> RayClusterSpec:
    """The spec whose worker groups have this part of their minReplicas, rounded up."""
    held = {name: _part_of(least, percent) for name, least in minima.items()}
    groups = [_with_minimum(group, held.get(group.group_name)) for group in spec.worker_group_specs]
    # All that is derived from a spec is kept with it, so that one which stays as it is stays the same object.
    return spec if groups == spec.worker_group_specs else spec.model_copy(update={"worker_group_specs": groups})


def _with_minimum(group: WorkerGroupSpec, least: int | None) -> WorkerGroupSpec:
    return group if least in (None, group.min_replicas) else group.model_copy(update={"min_replicas": least})


def sized(spec: RayClusterSpec, serving: ObservedCluster | None, percent: int = WHOLE) -> RayClusterSpec:
    """The spec whose autoscaled worker groups start as large as this part of the serving cluster's is now."""
    if serving is None or not spec.autoscaling:
        return spec
    spec = held_down(spec, minima_of(spec), percent)
    live = {group.group_name: group for group in serving.cluster.spec.worker_group_specs}
    groups = [_sized(g, serving, percent) if g.group_name in live else g for g in spec.worker_group_specs]
    return spec.model_copy(update={"worker_group_specs": groups})


def _sized(group: WorkerGroupSpec, serving: ObservedCluster, percent: int) -> WorkerGroupSpec:
    pods = sum(pod.alive and not pod.is_head and pod.group == group.group_name for pod in serving.pods)
    return group.model_copy(update={"replicas": within_bounds(_part_of(pods // hosts(group), percent), group)})


def _part_of(count: int, percent: int) -> int:
    return -(-count * percent // WHOLE)


def _autoscaled(config: ServeConfig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each deployment whose autoscaling stands in the config, with the name of its application."""
    for name, app in config.applications.items():
        for deployment in app.get("deployments") or ():
            if isinstance(deployment.get("autoscaling_config"), dict):
                yield name, deployment


def _scaled_by_config(config: ServeConfig) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for app, deployment in _autoscaled(config):
        yield app, deployment["name"], _bounds(deployment)


def _bounds(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """Replicas that Serve starts with, and has at most, by Ray's own defaults."""
    scaling = deployment["autoscaling_config"]
    return max(_least(scaling), _number(scaling.get("initial_replicas"), 0)), _number(
        *most_replicas(deployment, scaling)
    )


def _least(scaling: Mapping[str, Any]) -> int:
    return _number(scaling.get("min_replicas"), 1)


def _on_floor(deployment: Mapping[str, Any], floor: int | None) -> Mapping[str, Any]:
    scaling = deployment.get("autoscaling_config")
    if floor is None or not isinstance(scaling, dict):
        return deployment
    floor = min(floor, _bounds(deployment)[1])
    if 0 < floor < _least(scaling):
        return deployment
    kept = {key: value for key, value in scaling.items() if key != "initial_replicas"}
    raised = {"min_replicas": floor, "initial_replicas": floor} if floor else {}
    return {**deployment, "autoscaling_config": {**kept, **raised}}


def _running(state: ApplicationState | None, deployment: str) -> int:
    found = None if state is None else state.deployments.get(deployment)
    return 0 if found is None else found.running


def _in_full(replicas: int, target_capacity: Any) -> int:
    """The number in a config of which Serve makes so many replicas, at this percentage of them."""
    percent = _percent(target_capacity)
    return replicas if percent <= 0 else math.ceil(replicas * 100 / percent)


def _in_part(replicas: int, target_capacity: Any) -> int:
    """The replicas that Serve makes of a number in a config, at this percentage of them: one at least of any."""
    percent = _percent(target_capacity)
    return max(math.floor(replicas * percent / 100 + 0.5), 1 if replicas and percent else 0)


def _percent(target_capacity: Any) -> float:
    try:
        return float(target_capacity)
    except (TypeError, ValueError):
        return 100


def _number(value: Any, default: int) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return default
