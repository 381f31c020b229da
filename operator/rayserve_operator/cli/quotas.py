"""What the ResourceQuotas of a namespace leave, against what a rollout takes (Kubernetes, "Resource Quotas")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

from rayserve_operator.cli.peak import Batch, Batches, Way, times
from rayserve_operator.cli.scene import Manifest
from rayserve_operator.model.resources import is_extended, largest, parse_quantity, pod_limits, pod_requests, total

Spec: TypeAlias = Mapping[str, Any]
"""The spec of a pod."""
COUNTS = ("pods", "count/pods")
"""The resources of a quota that count pods."""


@dataclass(frozen=True, slots=True)
class QuotaRoom:
    """What a ResourceQuota leaves."""

    name: str
    free: Mapping[str, Decimal] = field(default_factory=dict)
    """What is left now of what it limits for pods, by its own names: `requests.cpu`, `pods` …"""
    taken: Mapping[str, Decimal] = field(default_factory=dict)
    """What the rollout takes of that at its peak beside what is used now."""
    short: Mapping[str, Decimal] = field(default_factory=dict)
    """By how much that is more than is left."""
    unnamed: tuple[str, ...] = ()
    """What it wants every container to name, and some container of the new pods does not. Such a pod is refused,
    unless a LimitRange names it."""
    passed_over: str | None = None
    """Why it does not count; None where it does."""


def quota_room(quota: Manifest, way: Way) -> QuotaRoom:
    """What a ResourceQuota leaves for the way to a goal.

    Args:
        quota: as the API server holds it.
        way: how the pods change.
    """
    name, scopes = quota["metadata"]["name"], tuple(_scopes(quota.get("spec") or {}))
    unknown = [scope.name for scope in scopes if scope.name not in _HOLDS]
    if unknown:
        return QuotaRoom(name, passed_over=f"its scope {unknown[0]} is not known here")

    def counted(batches: Batches) -> Batches:
        return [batch for batch in batches if all(scope.holds(batch.spec) for scope in scopes)]

    made = counted(way.made)
    if way.made and not made:
        words = ", ".join(scope.name for scope in scopes)
        return QuotaRoom(name, passed_over=f"its scopes ({words}) hold for none of the pods that are made")
    hard = _amounts(quota, "hard") or _quantities((quota.get("spec") or {}).get("hard"))
    used, before = _amounts(quota, "used"), _usage(counted(way.now))
    peak = largest(*(_usage(counted(stage.pods)) for stage in way.stages))
    limited = [resource for resource in hard if resource in peak]
    zero = Decimal(0)
    free = {one: max(hard[one] - used.get(one, zero), zero) for one in limited}
    taken = {one: max(peak[one] - before.get(one, zero), zero) for one in limited}
    short = {one: taken[one] - free[one] for one in limited if taken[one] > free[one]}
    return QuotaRoom(name, free, taken, short, tuple(one for one in hard if _is_unnamed(one, made)))


def resource_of(limited: str) -> str:
    """The resource that pods request, or `pods`, of what a quota limits, by the quota's name of it."""
    return "pods" if limited in COUNTS else limited.removeprefix("requests.")


def _usage(batches: Batches) -> dict[str, Decimal]:
    return total(*(times(batch.count, _usage_of_one(batch.spec)) for batch in batches))


def _usage_of_one(spec: Spec) -> dict[str, Decimal]:
    """What a pod counts for, by all names that a quota may use."""
    requests, limits = pod_requests(spec), pod_limits(spec)
    return {
        **dict.fromkeys(COUNTS, Decimal(1)),
        **{name: amount for name, amount in requests.items() if not is_extended(name)},
        **{f"requests.{name}": amount for name, amount in requests.items()},
        **{f"limits.{name}": amount for name, amount in limits.items() if not is_extended(name)},
    }


_MUST_BE_NAMED: Mapping[str, tuple[Callable[[Spec], Mapping[str, Decimal]], str]] = {
    **{f"{prefix}{name}": (pod_requests, name) for prefix in ("", "requests.") for name in ("cpu", "memory")},
    **{f"limits.{name}": (pod_limits, name) for name in ("cpu", "memory")},
}
"""What a quota limits only where every container names it: how that is found, and under which name."""


def _is_unnamed(limited: str, made: Batches) -> bool:
    if limited not in _MUST_BE_NAMED:
        return False
    amounts, name = _MUST_BE_NAMED[limited]
    return any(name not in amounts({"containers": [one]}) for batch in made for one in _containers(batch))


def _containers(batch: Batch) -> Iterator[Mapping[str, Any]]:
    for key in ("initContainers", "containers"):
        yield from batch.spec.get(key) or ()


def _amounts(quota: Manifest, key: str) -> dict[str, Decimal]:
    return _quantities((quota.get("status") or {}).get(key))


def _quantities(amounts: Mapping[str, Any] | None) -> dict[str, Decimal]:
    return {name: parse_quantity(str(quantity)) for name, quantity in (amounts or {}).items()}


# Scopes. -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a quota asks of a pod that it is to count."""

    name: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()

    def holds(self, spec: Spec) -> bool:
        """Whether it does count a pod with this spec, as far as scopes go."""
        return _HOLDS[self.name](self, spec)


def _scopes(spec: Mapping[str, Any]) -> Iterator[_Scope]:
    yield from (_Scope(name) for name in spec.get("scopes") or ())
    for one in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        yield _Scope(one["scopeName"], one["operator"], tuple(one.get("values") or ()))


def _has_priority(scope: _Scope, spec: Spec) -> bool:
    """By the operators of label selectors: what is not there is in no list."""
    name = spec.get("priorityClassName") or None
    match scope.operator:
        case "In":
            return name in scope.values
        case "NotIn":
            return name not in scope.values
        case "DoesNotExist":
            return name is None
        case _:
            return name is not None


def _ends(_: _Scope, spec: Spec) -> bool:
    return spec.get("activeDeadlineSeconds") is not None


def _is_best_effort(_: _Scope, spec: Spec) -> bool:
    """Whether no container has any CPU or memory to itself (Kubernetes, "Pod Quality of Service Classes")."""
    return not any(pod_requests(spec).get(name) for name in ("cpu", "memory"))


def _looks_elsewhere(_: _Scope, spec: Spec) -> bool:
    """Whether its affinity is about pods of other namespaces."""
    affinity = spec.get("affinity") or {}
    found = (affinity.get(kind) or {} for kind in ("podAffinity", "podAntiAffinity"))
    return any("namespaces" in term or "namespaceSelector" in term for one in found for term in _terms(one))


def _terms(affinity: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for weighted in affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        yield weighted["podAffinityTerm"]


_HOLDS: Mapping[str, Callable[[_Scope, Spec], bool]] = {
    "Terminating": _ends,
    "NotTerminating": lambda scope, spec: not _ends(scope, spec),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda scope, spec: not _is_best_effort(scope, spec),
    "PriorityClass": _has_priority,
    "CrossNamespacePodAffinity": _looks_elsewhere,
    "VolumeAttributesClass": lambda _scope, _spec: False,
}
"""Whether a scope holds for a pod, by its name."""
