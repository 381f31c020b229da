"""A manifest as the rules of advice see it: groups with what their pods have, deployments with what they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from rayserve_operator.advice.amounts import Amounts, Demand, Pod, Pods
from rayserve_operator.model.raycluster import HeadGroupSpec, RayClusterSpec, WorkerGroupSpec
from rayserve_operator.model.resources import (
    LogicalResources,
    parse_custom,
    parse_quantity,
    ray_container,
    with_mirrored_limits,
)
from rayserve_operator.model.scale import fewest_pods, hosts, most_pods, within_bounds
from rayserve_operator.model.serve import ServeConfig, most_replicas
from rayserve_operator.model.serve_agreements import is_scaled
from rayserve_operator.model.serve_parsing import PATH
from rayserve_operator.model.serve_strict import RETIRED

DEFAULT_ONGOING = 5
DEFAULT_TARGET = 2
HEAD = "the head"

_LARGEST = Decimal(10) ** 18
_SMALLEST = Decimal("0.0001")
"""The parts in which Ray counts."""
_MOST_GPUS = 1024
"""GPUs of one pod that are told apart."""

AnyGroup: TypeAlias = HeadGroupSpec | WorkerGroupSpec


@dataclass(frozen=True, slots=True)
class Group:
    """The head, or a group of workers."""

    name: str
    path: str
    spec: AnyGroup
    pod: Pod
    """What Ray is told that a pod has."""
    least: int
    """Pods that are always there."""
    most: int
    """Pods that there may be."""

    @property
    def is_head(self) -> bool:
        """Whether this is the head."""
        return isinstance(self.spec, HeadGroupSpec)

    @property
    def container(self) -> Mapping[str, Any]:
        """The container that runs Ray."""
        return ray_container(self.spec.template)

    def size_for(self, needs: Amounts, replicas: int, pods: int = 0) -> int:
        """Replicas of the group in which so many replicas of a deployment have room beside so many pods that are full.

        0 where none has room.
        """
        each = self.pod.room(needs, replicas)
        if not each or not isinstance(self.spec, WorkerGroupSpec):
            return 0
        return _ratio(pods + _ratio(replicas, each), hosts(self.spec))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment that the Serve config names. What the config leaves open is taken as Ray's default."""

    name: str
    path: str
    options: Mapping[str, Any]
    """What the config says, retired keys under today's names."""
    scaling: Mapping[str, Any]
    bundles: Sequence[Amounts]
    """What one replica takes, in parts that may stand on different nodes."""
    least: int
    first: int
    """Replicas at the start."""
    most: int

    @property
    def needs(self) -> Amounts:
        """What one replica takes in all."""
        total = Amounts()
        for bundle in self.bundles:
            total = total.plus(bundle)
        return total

    @property
    def is_scaled(self) -> bool:
        """Whether Serve scales it."""
        return is_scaled(self.options)

    @property
    def bounds_path(self) -> str:
        """Where the number of its replicas stands, as far as it is the most."""
        return f"{self.path}.autoscaling_config.max_replicas" if self.scaling else f"{self.path}.num_replicas"

    def demands(self, replicas: int) -> Iterator[Demand]:
        """So many of its replicas."""
        return (Demand(self.path, bundle, replicas) for bundle in self.bundles)


@dataclass(frozen=True, slots=True)
class View:
    """A RayService or a RayCluster."""

    cluster: RayClusterSpec
    path: str
    """Where the cluster's spec stands."""
    groups: Sequence[Group]
    deployments: Sequence[Deployment]
    recreates: bool = False
    """Whether it is replaced by one that is made when it has gone."""

    @property
    def workers(self) -> Sequence[Group]:
        """The groups without the head."""
        return [group for group in self.groups if not group.is_head]

    @property
    def most_pods(self) -> Sequence[Pods]:
        """All pods that there may be."""
        return [Pods(group.pod, group.most) for group in self.groups]

    @property
    def least_pods(self) -> Sequence[Pods]:
        """All pods that are always there."""
        return [Pods(group.pod, group.least) for group in self.groups]


def view_of(cluster: RayClusterSpec, path: str, config: ServeConfig | None, *, recreates: bool = False) -> View:
    """The view of a valid cluster, and of the Serve config on it."""
    workers = [
        _workers(group, f"{path}.workerGroupSpecs[{index}]", autoscaling=cluster.autoscaling)
        for index, group in enumerate(cluster.worker_group_specs)
    ]
    head = Group(HEAD, f"{path}.headGroupSpec", cluster.head_group_spec, _pod(cluster.head_group_spec), 1, 1)
    deployments = [] if config is None else list(_deployments(config))
    return View(cluster, path, [head, *workers], deployments, recreates)


def _workers(group: WorkerGroupSpec, path: str, *, autoscaling: bool) -> Group:
    now = 0 if group.suspend else within_bounds(group.replicas or 0, group) * hosts(group)
    least, most = (fewest_pods(group), most_pods(group)) if autoscaling and not group.suspend else (now, now)
    return Group(f"group {group.group_name}", path, group, _pod(group), least, most)


def _pod(group: AnyGroup) -> Pod:
    """What `ray start` tells of such a pod: the group's own resources count most, then flags, then the container."""
    container = with_mirrored_limits(ray_container(group.template))
    found, said = LogicalResources.of_container(container), LogicalResources.of_group(group.resources)
    flags = {**found.flags, **group.ray_start_params, **said.flags}
    gpus = _number(flags.get("num-gpus")) or Decimal(0)
    return Pod(
        cpus=_number(flags.get("num-cpus")),
        memory=_number(flags.get("memory")) or _requested_memory(container),
        others=_others(group, found, said),
        gpus=(Decimal(1),) * min(int(gpus), _MOST_GPUS),
    )


def _others(group: AnyGroup, found: LogicalResources, said: LogicalResources) -> Mapping[str, Decimal] | None:
    flag = group.ray_start_params.get("resources")
    given = parse_custom(flag) if flag else {}
    if given is None and not said.custom:
        return None
    custom = said.custom or {**found.custom, **(given or {})}
    return {name: amount for name, value in custom.items() if (amount := _number(value)) is not None}


def _requested_memory(container: Mapping[str, Any]) -> Decimal | None:
    requested = ((container.get("resources") or {}).get("requests") or {}).get("memory")
    return None if requested is None else parse_quantity(str(requested))


def _deployments(config: ServeConfig) -> Iterator[Deployment]:
    for number, application in enumerate(config.document.get("applications") or ()):
        for index, options in enumerate(application.get("deployments") or ()):
            path = f"{PATH}:applications[{number}].deployments[{index}]"
            yield _deployment(options["name"], path, _today(options))


def _deployment(name: str, path: str, options: Mapping[str, Any]) -> Deployment:
    given = options.get("autoscaling_config")
    scaling = _today(given) if isinstance(given, dict) else {}
    if is_scaled(options):
        least = _count(scaling.get("min_replicas"), 1)
        most = _count(*most_replicas(options, scaling))
        first = max(least, _count(scaling.get("initial_replicas"), 0))
    else:
        least = most = first = _count(options.get("num_replicas"), 1)
    return Deployment(name, path, options, scaling, tuple(_bundles(options)), least, first, max(most, least))


def _bundles(options: Mapping[str, Any]) -> Iterator[Amounts]:
    groups = options.get("placement_group_bundles")
    if not isinstance(groups, list) or not groups:
        yield _actor(options.get("ray_actor_options"))
        return
    bundles = [_bundle(one) for one in groups if isinstance(one, dict)]
    if options.get("placement_group_strategy") != "STRICT_PACK":
        yield from bundles
        return
    total = Amounts()
    for bundle in bundles:
        total = total.plus(bundle)
    yield total


def _actor(value: Any) -> Amounts:
    options = value if isinstance(value, dict) else {}
    resources = options.get("resources")
    cpus = _number(options.get("num_cpus"))
    return Amounts(
        cpus=Decimal(1) if cpus is None else cpus,  # Serve's default for a replica.
        gpus=_number(options.get("num_gpus")) or Decimal(0),
        memory=_number(options.get("memory")) or Decimal(0),
        others=_amounts(resources if isinstance(resources, dict) else {}),
    )


def _bundle(bundle: Mapping[str, Any]) -> Amounts:
    named = _amounts(bundle)
    cpus, gpus, memory = (named.pop(name, Decimal(0)) for name in ("CPU", "GPU", "memory"))
    return Amounts(cpus, gpus, memory, named)


def _amounts(resources: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: amount for name, value in resources.items() if (amount := _number(value)) is not None}


def _today(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {RETIRED.get(key, key): value for key, value in options.items()}


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return min(number, _LARGEST).quantize(_SMALLEST) if number.is_finite() and number >= 0 else None


def _ratio(many: int, each: int) -> int:
    return -(-many // each)


def _count(value: Any, default: int) -> int:
    number = _number(value)
    return default if number is None else int(number)
