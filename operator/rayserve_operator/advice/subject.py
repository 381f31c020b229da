"""A manifest with what has been read of it, so that whoever looks at it need not read it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from rayserve_operator.advice.structure import Manifest, below
from rayserve_operator.model.objects import RAY_SERVICE
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec


@dataclass(frozen=True, slots=True)
class Subject:
    """A RayService or a RayCluster as it was written."""

    manifest: Manifest
    spec: RayServiceSpec | RayClusterSpec | None
    """Keeps its Serve config, once that has been read; None where the spec has not the form of one."""

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Read a manifest of one of the two kinds."""
        try:
            return cls(manifest, model_of(manifest).model_validate(below(manifest, "spec")))
        except ValidationError:
            return cls(manifest, None)


def model_of(manifest: Manifest) -> type[RayServiceSpec | RayClusterSpec]:
    """What the spec of a manifest of one of the two kinds is read as."""
    return RayServiceSpec if manifest["kind"] == RAY_SERVICE else RayClusterSpec
