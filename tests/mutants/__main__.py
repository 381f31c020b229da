"""Mutation testing of the planners: `python -m tests.mutants [PART OF A MODULE'S PATH]`.

It fails when a mutant survives that `explained.toml` does not explain, and when one is explained that does not survive.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from .explanations import EXPLAINED, PLANNING, ROOT, Explanation, explanations, module_of, quoted
from .mutations import Mutant, mutants_of
from .trials import DIED, Survey, import_what_is_below, killers, survey

TESTS = ("tests/planning",)
BELOW = ("rayserve_operator.model", "rayserve_operator.render")
HINTS = ROOT / "build/mutants.json"
"""Which test killed which mutant, to be tried first the next time."""


def main(arguments: Sequence[str]) -> int:
    """Try all mutants of the chosen modules, and say what survives."""
    chosen = [path for path in sorted(PLANNING.rglob("*.py")) if all(part in str(path) for part in arguments)]
    import_what_is_below(*BELOW)
    known = survey(TESTS, PLANNING)
    if known.failed:
        raise SystemExit("\n  ".join(("these tests fail without any mutant:", *known.failed)))
    remembered = json.loads(HINTS.read_text()) if HINTS.exists() else {}
    begun, totals = time.monotonic(), Counter[str]()
    is_good = True
    for path in chosen:
        mutants = list(mutants_of(path))
        found = _try_module(module_of(path), mutants, known, remembered)
        explained = [e for e in explanations() if e.module == module_of(path)]
        survivors = [mutant for mutant, killer in found.items() if killer is None]
        open_questions = [mutant for mutant in survivors if not any(e.is_about(mutant) for e in explained)]
        stale = [e for e in explained if not any(e.is_about(mutant) for mutant in survivors)]
        counts = Counter(
            mutants=len(mutants),
            killed=len(mutants) - len(survivors),
            hung=sum(killer == DIED for killer in found.values()),
            explained=len(survivors) - len(open_questions),
            survived=len(open_questions),
        )
        totals += counts
        print(f"\r{module_of(path)}: {_counted(counts)}")
        _tell(open_questions, stale)
        is_good = is_good and not open_questions and not stale
        HINTS.parent.mkdir(exist_ok=True)
        HINTS.write_text(json.dumps(remembered, indent=0))
    seconds = time.monotonic() - begun
    print(f"\nall: {_counted(totals)}; {seconds:.0f} s, {totals['mutants'] / seconds:.1f} mutants a second")
    return 0 if is_good else 1


def _try_module(
    module: str, mutants: Sequence[Mutant], known: Survey, remembered: dict[str, str]
) -> Mapping[Mutant, str | None]:
    """The killer of each mutant, which is also remembered."""
    names = {mutant: "\n".join((module, mutant.scope or "", mutant.before, mutant.after)) for mutant in mutants}
    hints = {mutant: remembered[name] for mutant, name in names.items() if name in remembered}
    found: dict[Mutant, str | None] = {}
    for mutant, killer in killers(mutants, TESTS, known, hints):
        found[mutant] = killer
        if killer is not None:
            remembered[names[mutant]] = killer
        if sys.stdout.isatty():
            print(f"\r{module}: {len(found)} of {len(mutants)}", end="", flush=True)
    return found


def _counted(counts: Counter[str]) -> str:
    return (
        f"{counts['mutants']} mutants, {counts['killed']} killed ({counts['hung']} of them hung or crashed), "
        f"{counts['explained']} explained, {counts['survived']} survived"
    )


def _tell(open_questions: Iterable[Mutant], stale: Iterable[Explanation]) -> None:
    """The survivors, as `explained.toml` would name them."""
    for _, group in groupby(open_questions, key=lambda mutant: (mutant.scope, mutant.before)):
        alike = list(group)
        print(f"\n[[explained]]\nmodule = {quoted(module_of(alike[0].path))}")
        if alike[0].scope is not None:
            print(f"in = {quoted(alike[0].scope)}")
        print(f"before = {quoted(alike[0].before)}")
        print("after = [", *(f"  {quoted(mutant.after)}," for mutant in alike), ']\nwhy = ""', sep="\n")
    for explanation in stale:
        print(f"\n{EXPLAINED.name} explains what does not survive: {explanation}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
