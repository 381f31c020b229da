"""What is wrong in a manifest: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a manifest."""

    path: str
    """Where, as `spec.rayClusterConfig.workerGroupSpecs[1].maxReplicas`."""
    problem: str
    """What is wrong, as the rest of a sentence that begins with the path."""
    mend: str
    """What to do."""

    @override
    def __str__(self) -> str:
        return f"{self.path} {self.problem}; {self.mend}"


class InvalidSpec(ValueError):
    """A spec that cannot be acted upon."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def parse_problems(error: ValidationError) -> list[Problem]:
    """What pydantic found in a spec, in the words of manifests."""
    return [
        Problem(f"spec{_dotted(found['loc'])}", f"is not valid ({found['msg']})", "correct the value")
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _dotted(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
