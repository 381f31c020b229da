"""Mutation testing of the planners: `python -m tests.mutants [PART OF A MODULE'S PATH …]`.

It fails when a mutant survives that `explained.toml` does not explain, and when one is explained that does not survive.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from .explanations import EXPLAINED, PLANNING, ROOT, Explanation, explanations, module_of, quoted
from .mutations import Mutant, mutants_of
from .trials import DIED, Survey, import_what_is_below, killers, survey

TESTS = ("tests/planning",)
BELOW = ("rayserve_operator.model", "rayserve_operator.render")
HINTS = ROOT / "build/mutants.json"
"""Which test killed which mutant, to be tried first the next time."""


def main(arguments: Sequence[str]) -> int:
    """Try all mutants of the chosen modules, and say what survives."""
    chosen = [path for path in sorted(PLANNING.rglob("*.py")) if any(part in str(path) for part in arguments or ("",))]
    import_what_is_below(*BELOW)
    known = survey(TESTS, PLANNING)
    if known.failed:
        raise SystemExit("\n  ".join(("these tests fail without any mutant:", *known.failed)))
    remembered = json.loads(HINTS.read_text()) if HINTS.exists() else {}
    begun, totals = time.monotonic(), Counter[str]()
    is_good = True
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        trials = {pool.submit(_killers_in, path, known, remembered): path for path in chosen}
        for number, trial in enumerate(as_completed(trials), 1):
            mutants = list(mutants_of(trials[trial]))
            found = dict(zip(mutants, trial.result(), strict=True))
            remembered |= {_name(mutant): killer for mutant, killer in found.items() if killer is not None}
            counts = _judge(trials[trial], found, f"{number} of {len(chosen)}: ")
            totals += counts
            is_good = is_good and not counts["survived"] and not counts["stale"]
            HINTS.parent.mkdir(exist_ok=True)
            HINTS.write_text(json.dumps(remembered, indent=0))
    seconds = time.monotonic() - begun
    print(f"\nall: {_counted(totals)}; {seconds:.0f} s, {totals['mutants'] / seconds:.1f} mutants a second")
    return 0 if is_good else 1


def _killers_in(path: Path, known: Survey, remembered: Mapping[str, str]) -> list[str | None]:
    """The killer of each mutant of a module."""
    mutants = list(mutants_of(path))
    hints = {mutant: remembered[_name(mutant)] for mutant in mutants if _name(mutant) in remembered}
    found = dict(killers(mutants, TESTS, known, hints))
    return [found[mutant] for mutant in mutants]


def _name(mutant: Mutant) -> str:
    return "\n".join((module_of(mutant.path), mutant.scope or "", mutant.before, mutant.after))


def _judge(path: Path, found: Mapping[Mutant, str | None], place: str) -> Counter[str]:
    """Tell what survives in a module, and count."""
    explained = [e for e in explanations() if e.module == module_of(path)]
    survivors = [mutant for mutant, killer in found.items() if killer is None]
    open_questions = [mutant for mutant in survivors if not any(e.is_about(mutant) for e in explained)]
    stale = [e for e in explained if not any(e.is_about(mutant) for mutant in survivors)]
    counts = Counter(
        mutants=len(found),
        killed=len(found) - len(survivors),
        hung=sum(killer == DIED for killer in found.values()),
        explained=len(survivors) - len(open_questions),
        survived=len(open_questions),
        stale=len(stale),
    )
    print(f"{place}{module_of(path)}: {_counted(counts)}", flush=True)
    _tell(open_questions, stale)
    return counts


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
