"""What is wrong in a manifest: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from typing_extensions import override

MOST = 20
"""Problems told at once: a condition and an event hold only so many words."""
LONGEST = 500
"""Characters of one problem; the value that is wrong may be as large as the manifest."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a manifest."""

    path: str
    """Where, as `spec.rayClusterConfig.workerGroupSpecs[1].maxReplicas`."""
    problem: str
    """What is wrong, as the rest of a sentence that begins with the path."""
    mend: str
    """What to do."""
    code: str = ""
    """The rule that was broken, as `docs/rules.md` lists them."""

    @override
    def __str__(self) -> str:
        return f"{_short(self.path)} {_short(self.problem)}; {self.mend}"


class InvalidSpec(ValueError):
    """A spec that cannot be acted upon."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def first_of(problems: Iterable[Problem], path: str) -> list[Problem]:
    """As many problems as one message can tell; `path` is where the rest of them is."""
    found = list(problems)
    more = len(found) - MOST
    if more <= 0:
        return found
    return [*found[:MOST], Problem(path, f"has {more} more problems", "correct these first")]


def parse_problems(error: ValidationError) -> list[Problem]:
    """What pydantic found in a spec, in the words of manifests."""
    return first_of(
        (
            Problem(f"spec{dotted(found['loc'])}", "is missing", "add it", "RS001")
            if found["type"] == "missing"
            else Problem(f"spec{dotted(found['loc'])}", f"is not valid ({found['msg']})", "correct the value", "RS001")
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ),
        "spec",
    )


def dotted(location: tuple[int | str, ...]) -> str:
    """A place in a manifest, as paths spell it, with what divides it from what is before."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _short(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
