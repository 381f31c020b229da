"""What is wrong in a manifest: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
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
        return f"{short(self.path)} {self.words}"

    @property
    def words(self) -> str:
        """What is wrong and what to do, without where."""
        return f"{short(self.problem)}; {self.mend}"


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
    return [*found[:MOST], Problem(path, f"has {more} more problems", "correct these first", found[MOST].code)]


def parse_problems(error: ValidationError) -> list[Problem]:
    """What pydantic found in a spec, in the words of manifests."""
    return first_of(
        (
            Problem(f"spec{dotted(found['loc'])}", "is missing", "add it", "RS001")
            if found["type"] == "missing"
            else Problem(f"spec{dotted(found['loc'])}", f"is {shown(found['input'])}", f"give {wanted(found)}", "RS001")
            for found in error.errors(include_url=False)
        ),
        "spec",
    )


_WANTED = {
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than_equal": "{le:g} at most",
    "literal_error": "{expected}",
    "string_too_short": "a name",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a string",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
"""What to give, by pydantic's type of an error or by the first word of it."""


def wanted(found: ErrorDetails) -> str:
    """What a value that pydantic refuses should have been."""
    kind = found["type"]
    words = _WANTED.get(kind) or _WANTED.get(kind.partition("_")[0], "another value")
    return words.format(**found.get("ctx", {}))


def shown(value: Any) -> str:
    """A value of a manifest, in a sentence."""
    return "empty" if value is None else repr(value) if isinstance(value, str) else str(value)


def dotted(location: tuple[int | str, ...]) -> str:
    """A place in a manifest, as paths spell it, with what divides it from what is before."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def short(words: str) -> str:
    """As many characters of it as one message can tell."""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
