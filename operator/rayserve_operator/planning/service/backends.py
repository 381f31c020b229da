"""What an HTTPRoute of the user's gives to a RayService, divided between the Services of two clusters and back.

Nothing is noted meanwhile: the weights tell what they were made of. Where a rule leads to the RayService alone, its
weight says nothing, and a hundred stands for one; beside other backends the sum stays as it is. All else of the rule
stays as it is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rayserve_operator.planning.service.share import WHOLE

Json: TypeAlias = Mapping[str, Any]

_HEAVIEST = 1_000_000
"""The highest weight that the Gateway API allows."""


@dataclass(frozen=True, slots=True)
class Own:
    """By what the backends of a RayService are known, and become each other."""

    namespace: str
    stable: str
    """Name of the stable Service."""
    stable_ports: Sequence[Json]
    members: Mapping[str, Sequence[Json]]
    """The clusters' own Services by name, with their ports; of what is gone none are known."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one cluster is to take."""

    service: str
    """Name of its own serve Service."""
    percent: int


@dataclass(frozen=True, slots=True)
class Rule:
    """The backendRefs of one rule."""

    refs: Sequence[Json]
    own: Own

    @property
    def mine(self) -> list[Json]:
        """Those that lead to the RayService."""
        return [ref for ref in self.refs if self._leads(ref)]

    @property
    def is_divided(self) -> bool:
        """Whether it leads to the clusters' own Services."""
        return any(ref["name"] in self.own.members for ref in self.mine)

    @property
    def weight(self) -> int:
        """What it gives to the RayService, in all."""
        return sum(int(ref.get("weight", 1)) for ref in self.mine)

    @property
    def is_divisible(self) -> bool:
        """Whether that can be divided by percent."""
        return self._whole >= WHOLE

    def divided(self, old: Part, new: Part) -> Sequence[Json]:
        """The backendRefs, those of the RayService divided between two clusters; where they cannot be, as they are."""
        if not self.is_divisible:
            return self.refs
        taken = self._whole * new.percent // WHOLE
        weights = ((old, self._whole - taken), (new, taken))
        return self._with([self._of_cluster(part, weight) for part, weight in weights])

    def united(self) -> Sequence[Json]:
        """The backendRefs, those of the RayService as one that leads to the stable Service."""
        if not self.is_divided:
            return self.refs
        first, total, name = self.mine[0], self.weight, self.own.stable
        was_scaled = self._is_alone and total % WHOLE == 0
        port = first.get("port") if first["name"] == name else self._stable_port(first)
        return self._with([{**first, "name": name, "port": port, "weight": total // WHOLE if was_scaled else total}])

    @property
    def _is_alone(self) -> bool:
        return len(self.mine) == len(self.refs)

    @property
    def _whole(self) -> int:
        """The weight that is divided."""
        weight = self.weight
        is_to_be_scaled = self._is_alone and not (self.is_divided and weight >= WHOLE)
        return weight * WHOLE if is_to_be_scaled and weight * WHOLE <= _HEAVIEST else weight

    def _leads(self, ref: Json) -> bool:
        where = (ref.get("group") or "", ref.get("kind", "Service"), ref.get("namespace", self.own.namespace))
        is_among = ref["name"] == self.own.stable or ref["name"] in self.own.members
        return is_among and where == ("", "Service", self.own.namespace)

    def _of_cluster(self, part: Part, weight: int) -> Json:
        """A backendRef to a cluster's own Service, by the port that leads where the one to the stable Service leads."""
        first, target = self.mine[0], self.mine[0].get("port")
        if first["name"] == self.own.stable:
            target = next((_target(port) for port in self.own.stable_ports if port["port"] == target), target)
        ports = self.own.members[part.service]
        known = (port["port"] for port in ports if target in (port["port"], port.get("name")))
        return {**first, "name": part.service, "port": next(known, ports[0]["port"]), "weight": weight}

    def _stable_port(self, ref: Json) -> Any:
        """The port of the stable Service that leads where this backendRef to a cluster's own Service does."""
        target, ports = ref.get("port"), self.own.stable_ports
        names = {port.get("name") for port in self.own.members[ref["name"]] if port["port"] == target}
        default = ports[0]["port"] if ports else target
        return next((port["port"] for port in ports if _target(port) in {target, *names}), default)

    def _with(self, new: Sequence[Json]) -> Sequence[Json]:
        """The backendRefs with those of the RayService replaced, at the place of the first of them."""
        at = next(index for index, ref in enumerate(self.refs) if self._leads(ref))
        rest = [ref for ref in self.refs if not self._leads(ref)]
        return [*rest[:at], *new, *rest[at:]]


def _target(port: Json) -> Any:
    return port.get("targetPort", port["port"])
