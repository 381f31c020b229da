"""Mutants that survive for a reason, which `explained.toml` says."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .mutations import Mutant

ROOT = Path(__file__).parents[2]
PLANNING = ROOT / "operator/rayserve_operator/planning"
EXPLAINED = Path(__file__).parent / "explained.toml"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one mutant survives."""

    module: str
    """Path of the module in `planning/`."""
    scope: str | None
    before: str
    after: str
    why: str

    def is_about(self, mutant: Mutant) -> bool:
        """Whether this is the mutant that it explains."""
        named = (module_of(mutant.path), mutant.scope, mutant.before, mutant.after)
        return named == (self.module, self.scope, self.before, self.after)


def explanations() -> list[Explanation]:
    """All that are written down; what one entry says of several mutants is as many explanations."""
    entries = tomllib.loads(EXPLAINED.read_text()).get("explained", [])
    return [
        Explanation(entry["module"], entry.get("in"), entry["before"], after, entry["why"])
        for entry in entries
        for after in entry["after"]
    ]


def module_of(path: Path) -> str:
    """How a module is named here."""
    return str(path.relative_to(PLANNING))


def quoted(text: str) -> str:
    """A string of TOML, as plain as it can be."""
    return json.dumps(text, ensure_ascii=False) if "'" in text else f"'{text}'"
