"""Amounts of resources: in Kubernetes' spelling, in containers, and as what Ray is told of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, Self

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_SCALE: Mapping[str | None, Decimal] = {
    None: Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("num", start=-3)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}

_MIG_SLICE = re.compile(r"nvidia\.com/mig-\d+g\.\d+gb")
_ACCELERATORS = {"aws.amazon.com/neuroncore": "neuron_cores", "google.com/tpu": "TPU"}
"""Extended resources that Ray knows under a name of its own (KubeRay's list)."""


def parse_quantity(quantity: str) -> Decimal:
    """The number that a Kubernetes quantity such as `500m` or `8Gi` stands for.

    Raises:
        ValueError: if it is not a quantity.
    """
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"not a quantity: {quantity!r}")
    number, exponent, suffix = match.groups()
    return Decimal(number).scaleb(int(exponent)) if exponent else Decimal(number) * _SCALE[suffix]


def is_extended(resource: str) -> bool:
    """Whether a device plugin or the like offers the resource, which may then never be overcommitted."""
    return "/" in resource and "kubernetes.io/" not in resource


def is_gpu(resource: str) -> bool:
    """Whether Ray counts the resource as GPUs (Ray's autoscaler and KubeRay agree on this rule)."""
    return resource.endswith("gpu") or _MIG_SLICE.fullmatch(resource) is not None


def ray_container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that runs Ray: the first of the template (Ray's autoscaler and KubeRay rely on this)."""
    containers = (template.get("spec") or {}).get("containers") or [{}]
    return dict(containers[0])


def mirrored_resources(template: Mapping[str, Any]) -> tuple[str, ...]:
    """Extended resources that some container of a pod template requests without a limit.

    The API server refuses such a pod, so `with_mirrored_limits` sets the limit that was surely meant.
    """
    spec = template.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return tuple(sorted({resource for container in containers for resource in _unlimited(container)}))


def with_mirrored_limits(container: Mapping[str, Any]) -> dict[str, Any]:
    """The container with a limit for every extended resource that it requests."""
    missing = _unlimited(container)
    if not missing:
        return dict(container)
    resources = container["resources"]
    return {**container, "resources": {**resources, "limits": {**(resources.get("limits") or {}), **missing}}}


def without_extended(container: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The container's requests and limits of what every node has: CPU, memory, storage."""
    resources = container.get("resources") or {}
    kept = {
        bound: {key: value for key, value in (resources.get(bound) or {}).items() if not is_extended(key)}
        for bound in ("requests", "limits")
    }
    return {bound: amounts for bound, amounts in kept.items() if amounts}


def memory_limit(container: Mapping[str, Any]) -> Any:
    """The container's memory limit, as a quantity; None where it has none."""
    return _amounts(container, "limits").get("memory")


def pod_requests(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """What the scheduler sets aside for a pod with this spec, by resource; where a container only has a limit, that."""
    return total(_most_at_once(spec, ("limits", "requests"), "requests"), _quantities(spec.get("overhead") or {}))


def pod_limits(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """What a pod with this spec may use at most, by resource; what no container has a limit of is left out."""
    limits, overhead = _most_at_once(spec, ("limits",), "limits"), _quantities(spec.get("overhead") or {})
    return {name: amount + overhead.get(name, Decimal(0)) for name, amount in limits.items()}


def _most_at_once(spec: Mapping[str, Any], bounds: Sequence[str], of_pod: str) -> dict[str, Decimal]:
    """What the containers of a pod have together while they have the most (Kubernetes, "Sidecar containers").

    Init containers run one after the other and before the containers, except those that are restarted: these stay.

    Args:
        spec: of the pod.
        bounds: where a container says how much it has; the last that names a resource counts.
        of_pod: where the pod as a whole may say so instead.
    """
    running: dict[str, Decimal] = {}
    starting: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        needs = _named(container, bounds)
        if container.get("restartPolicy") == "Always":
            running = total(running, needs)
            needs = {}
        starting = largest(starting, total(running, needs))
    for container in spec.get("containers") or ():
        running = total(running, _named(container, bounds))
    return largest(running, starting) | _quantities(_amounts(spec, of_pod))


def total(*amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Amounts of resources together."""
    names = dict.fromkeys(name for one in amounts for name in one)
    return {name: sum((one.get(name, Decimal(0)) for one in amounts), Decimal(0)) for name in names}


def largest(*amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Of each resource the most that any of them has."""
    names = dict.fromkeys(name for one in amounts for name in one)
    return {name: max(one.get(name, Decimal(0)) for one in amounts) for name in names}


@dataclass(frozen=True, slots=True)
class LogicalResources:
    """What Ray is told that a node has. It only counts them; the container's own limits hold."""

    flags: Mapping[str, str] = field(default_factory=dict)
    """`num-cpus`, `num-gpus` and `memory` (bytes), each rounded up to whole units."""
    custom: Mapping[str, int | float] = field(default_factory=dict)
    """All others by name."""

    @classmethod
    def of_container(cls, container: Mapping[str, Any]) -> Self:
        """What KubeRay reads from a container: CPUs from limits or else requests, everything else from limits."""
        limits = _amounts(container, "limits")
        named = {
            "num-cpus": limits.get("cpu") or _amounts(container, "requests").get("cpu"),
            "num-gpus": next((limits[key] for key in sorted(limits) if is_gpu(key)), None),
            "memory": limits.get("memory"),
        }
        accelerator = next((key for key in sorted(limits) if key in _ACCELERATORS), None)
        custom = {_ACCELERATORS[accelerator]: _number(limits[accelerator])} if accelerator else {}
        return cls(
            {flag: str(amount) for flag, quantity in named.items() if (amount := _whole(quantity))},
            {name: amount for name, amount in custom.items() if amount},
        )

    @classmethod
    def of_group(cls, resources: Mapping[str, str]) -> Self:
        """What a group's own `resources` say; Ray's autoscaler then looks nowhere else."""
        flags, custom = {}, {}
        for name in sorted(resources):
            flag = {"cpu": "num-cpus", "memory": "memory"}.get(name, "num-gpus" if is_gpu(name) else None)
            if flag is None:
                custom[name] = _number(resources[name])
            else:
                flags[flag] = str(_whole(resources[name]))
        return cls(flags, custom)


def parse_custom(text: str) -> dict[str, Any] | None:
    """The custom resources in a user's `resources` flag, which wraps its JSON in quotes for the shell and for YAML.

    None where it is no JSON, such as a variable that only the shell will know.
    """
    stripped = text.replace("\\", "").strip("\"' ")
    try:
        parsed = json.loads(stripped)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _unlimited(container: Mapping[str, Any]) -> dict[str, Any]:
    limits = _amounts(container, "limits")
    requests = _amounts(container, "requests")
    return {key: value for key, value in requests.items() if is_extended(key) and key not in limits}


def _amounts(container: Mapping[str, Any], bound: str) -> Mapping[str, Any]:
    return (container.get("resources") or {}).get(bound) or {}


def _named(container: Mapping[str, Any], bounds: Sequence[str]) -> dict[str, Decimal]:
    """What a container says under these bounds; the last that names a resource counts."""
    return _quantities({name: amount for bound in bounds for name, amount in _amounts(container, bound).items()})


def _quantities(amounts: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: parse_quantity(str(quantity)) for name, quantity in amounts.items()}


def _whole(quantity: Any) -> int:
    if quantity is None:
        return 0
    return int(parse_quantity(str(quantity)).to_integral_value(ROUND_CEILING))


def _number(quantity: Any) -> int | float:
    exact = parse_quantity(str(quantity))
    return int(exact) if exact == exact.to_integral_value() else float(exact)
