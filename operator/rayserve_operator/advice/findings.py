"""What is told of a manifest, and how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rayserve_operator.model.problems import Problem


class Level(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """It does not work."""
    WARNING = "warning"
    """It surely is not what was meant."""
    ADVICE = "advice"
    """It works, and somebody who knows Ray Serve would do otherwise."""

    @property
    def weight(self) -> int:
        """A number that grows with it."""
        return (Level.ADVICE, Level.WARNING, Level.ERROR).index(self)


class Door(StrEnum):
    """Where a manifest is looked at before it is one of the cluster's."""

    LINT = "lint"
    ADMISSION = "admission"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and how much it weighs."""

    problem: Problem
    level: Level
