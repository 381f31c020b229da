"""What an edit of rayClusterConfig means: patched into the running cluster, or a new cluster.

The base is always the living RayCluster's own spec, read through today's model. No hash of an earlier day is ever
compared, so neither a new operator nor a new CRD can roll a cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic.alias_generators import to_camel

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.raycluster import AutoscalerOptions, RayClusterSpec, WorkerGroupSpec
from rayserve_operator.planning import normal
from rayserve_operator.render import clusters

_GROUP_IN_PLACE: Mapping[str, Any] = {
    "replicas": 0, "min_replicas": 0, "max_replicas": INT32_MAX, "idle_timeout_seconds": None, "suspend": False
}  # fmt: skip
"""What of a group changes in place, and what it means where it is null."""
_GROUP_NOT_COMPARED = frozenset({*map(to_camel, _GROUP_IN_PLACE), "scaleStrategy", "groupName"})
_AUTOSCALER_IN_PLACE = ("idle_timeout_seconds", "upscaling_mode")
_AUTOSCALER_NOT_COMPARED = frozenset(map(to_camel, _AUTOSCALER_IN_PLACE))
_CLUSTER_NOT_COMPARED = frozenset(
    {"headGroupSpec", "workerGroupSpecs", "autoscalerOptions", "enableInTreeAutoscaling", "suspend", "managedBy",
     "upgradeStrategy"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClusterDiff:
    """How a living cluster differs from the wanted spec."""

    rebuild: tuple[str, ...]
    """Paths in rayClusterConfig that only a new cluster can change."""
    operations: tuple[Mapping[str, Any], ...]
    """The JSON patch that brings everything else to the living RayCluster."""
    edited: tuple[str, ...]
    """Paths in rayClusterConfig that this patch changes."""


def cluster_part(spec: RayClusterSpec) -> dict[str, Any]:
    """All of a cluster that cannot change in place, in one spelling: what names of clusters are made from."""
    return {
        "cluster": _fixed(spec),
        "head": _pods(spec.head_group_spec.manifest()),
        "groups": {group.group_name: _pods(group.manifest()) for group in spec.worker_group_specs},
    }


def compare(base: RayClusterSpec, goal: RayClusterSpec) -> ClusterDiff:
    """The difference between a living cluster's spec and the wanted one.

    The order of the worker groups means nothing. Groups keep their place in the living cluster, because Ray's
    autoscaler addresses them by index: a new one is appended, and a removed one stays as an empty entry.
    """
    # A part is as large as the spec, so where nothing differs none is kept.
    is_same = base.derived(_digest) == goal.derived(_digest)
    edits = [*_group_edits(base, goal), *_autoscaler_edits(base, goal)]
    return ClusterDiff(
        rebuild=() if is_same else tuple(sorted(_rebuilding(base, goal))),
        operations=tuple(operation for _, operations in edits for operation in operations),
        edited=tuple(path for path, _ in edits),
    )


def _digest(spec: RayClusterSpec) -> bytes:
    return hashlib.sha256(json.dumps(cluster_part(spec), sort_keys=True).encode()).digest()


def _rebuilding(base: RayClusterSpec, goal: RayClusterSpec) -> Iterator[str]:
    before, after = base.derived(cluster_part), goal.derived(cluster_part)
    yield from paths(before["cluster"], after["cluster"], "")
    yield from paths(before["head"], after["head"], "headGroupSpec")
    for name in before["groups"].keys() & after["groups"].keys():
        yield from paths(before["groups"][name], after["groups"][name], f"workerGroupSpecs[{name}]")
    yield from _exchanged(base, goal)


def _exchanged(base: RayClusterSpec, goal: RayClusterSpec) -> Iterator[str]:
    """Groups that go as others come, or one by another name: in place, the old would not wait for the new to serve."""
    wanted = {group.group_name for group in goal.worker_group_specs}
    present = {group.group_name for group in base.worker_group_specs}
    if wanted - present:
        for group in base.worker_group_specs:
            if group.group_name not in wanted and group.max_replicas != 0:
                yield f"workerGroupSpecs[{group.group_name}]"


_Edit: TypeAlias = tuple[str, tuple[Mapping[str, Any], ...]]


def _group_edits(base: RayClusterSpec, goal: RayClusterSpec) -> Iterator[_Edit]:
    wanted = {group.group_name: group for group in goal.worker_group_specs}
    present = {group.group_name for group in base.worker_group_specs}
    for index, group in enumerate(base.worker_group_specs):
        if group.group_name in wanted:
            yield from _scaling_edits(index, group, wanted[group.group_name], goal.autoscaling)
        elif (group.min_replicas, group.max_replicas) != (0, 0):
            empty = group.model_copy(update={"replicas": 0, "min_replicas": 0, "max_replicas": 0})
            yield from _scaling_edits(index, group, empty, goal.autoscaling)
    for group in goal.worker_group_specs:
        if group.group_name not in present:
            operation = {"op": "add", "path": "/spec/workerGroupSpecs/-", "value": clusters.group_manifest(group)}
            yield f"workerGroupSpecs[{group.group_name}]", (operation,)


def _scaling_edits(index: int, base: WorkerGroupSpec, goal: WorkerGroupSpec, autoscaling: bool) -> Iterator[_Edit]:
    at = f"/spec/workerGroupSpecs/{index}"
    guard = {"op": "test", "path": f"{at}/groupName", "value": base.group_name}
    for field in _GROUP_IN_PLACE:
        if field == "replicas" and autoscaling:
            continue
        before, after = getattr(base, field), getattr(goal, field)
        if _meaning(field, before) != _meaning(field, after):
            key = to_camel(field)
            yield f"workerGroupSpecs[{base.group_name}].{key}", (guard, _assign(f"{at}/{key}", after))


def _meaning(field: str, value: Any) -> Any:
    return _GROUP_IN_PLACE[field] if value is None else value


def _autoscaler_edits(base: RayClusterSpec, goal: RayClusterSpec) -> Iterator[_Edit]:
    at = "/spec/autoscalerOptions"
    before, after = base.autoscaler_options or AutoscalerOptions(), goal.autoscaler_options or AutoscalerOptions()
    place: list[Mapping[str, Any]] = [] if base.autoscaler_options else [{"op": "add", "path": at, "value": {}}]
    for field in _AUTOSCALER_IN_PLACE:
        wanted = getattr(after, field)
        if getattr(before, field) != wanted:
            key = to_camel(field)
            yield f"autoscalerOptions.{key}", (*place, _assign(f"{at}/{key}", wanted))
            place = []


def _assign(path: str, value: Any) -> Mapping[str, Any]:
    return {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}


def _fixed(spec: RayClusterSpec) -> dict[str, Any]:
    fixed = {key: value for key, value in spec.manifest().items() if key not in _CLUSTER_NOT_COMPARED}
    options = spec.autoscaler_options or AutoscalerOptions()
    if spec.autoscaling:
        fixed["autoscalerOptions"] = {
            key: value for key, value in options.manifest().items() if key not in _AUTOSCALER_NOT_COMPARED
        }
    return fixed


def _pods(group: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in group.items() if key not in _GROUP_NOT_COMPARED and value != {}}
    kept["template"] = normal.pod_template(group["template"])
    if "resources" in kept:
        kept["resources"] = normal.quantities(kept["resources"])
    return kept


def paths(before: Any, after: Any, path: str) -> Iterator[str]:
    """The deepest paths, below this one, in which two plain values differ."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            yield from paths(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from paths(old, new, f"{path}[{index}]")
    else:
        yield path
