"""What the tests say of mutants, each tried in a forked process.

The tests are collected once. Then a mutant is made by giving the living function the mutated code, and only the tests
that call it are run. What runs while the tests are collected (constants, and what builds the objects that tests are
about) is tried the long way: the tests are collected anew on top of the mutated module, and all are run.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import pkgutil
import resource
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from typing_extensions import override

from .mutations import Mutant

DIED = "(it ended, or ran on and on)"
_SPARE_SECONDS = 5
"""CPU time of a trial beyond what its tests took while every call in them was noted: several times the usual."""
_MEMORY = 3 * 2**30

Key = tuple[str, str]
"""A function: its file and its qualified name."""
Loop = Callable[[Sequence[pytest.Item]], None]
Send = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the tests do on the modules as they are."""

    failed: tuple[str, ...]
    seconds: Mapping[str, float]
    """By test."""
    callers: Mapping[Key, frozenset[str]]
    """Which tests call a function."""
    while_collecting: frozenset[Key]
    """The functions that run before the first test does."""

    def seconds_of(self, tests: Iterable[str]) -> float:
        """How long these tests took."""
        return sum(self.seconds[test] for test in tests)


def import_what_is_below(*packages: str) -> None:
    """Import what no mutant changes, so that a forked process has it."""
    for package in map(importlib.import_module, packages):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)


def survey(tests: Sequence[str], sources: Path) -> Survey:
    """Run all tests on the modules as they are."""
    for found in _forked(partial(_survey, tests, sources)):
        assert isinstance(found, Survey)
        return found
    raise SystemExit(f"pytest cannot collect {', '.join(tests)}")


def killers(
    mutants: Sequence[Mutant], tests: Sequence[str], known: Survey, hints: Mapping[Mutant, str]
) -> Iterator[tuple[Mutant, str | None]]:
    """For each mutant the first test that fails, None where none does; a hint is a test that probably will."""
    quick = [mutant for mutant in mutants if _is_quick(mutant, known)]
    if quick:
        outcomes = _forked(partial(_try_quickly, quick, tests, known, hints))
        yield from zip(quick, outcomes, strict=True)
    for mutant in mutants:
        if not _is_quick(mutant, known):
            yield mutant, _try_anew(mutant, tests, known, hints.get(mutant))


def _try_anew(mutant: Mutant, tests: Sequence[str], known: Survey, hint: str | None) -> Any:
    """Collecting one test takes a fraction of collecting all."""
    seconds = known.seconds_of(known.seconds)
    if hint is not None and hint in known.seconds and _outcome(partial(_try_slowly, mutant, [hint], [hint], seconds)):
        return hint
    return _outcome(partial(_try_slowly, mutant, tests, _order(mutant, known.seconds, known), seconds))


def _is_quick(mutant: Mutant, known: Survey) -> bool:
    return mutant.scope is not None and (str(mutant.path), mutant.scope) not in known.while_collecting


def _order(mutant: Mutant, tests: Iterable[str], known: Survey, hint: str | None = None) -> list[str]:
    """The hint first, then what is named after the module, then the quick ones."""
    own = f"test_{mutant.path.stem}.py::"
    return sorted(tests, key=lambda test: (test != hint, own not in test, known.seconds[test]))


# What runs in a forked process. ------------------------------------------------------------------------------------


def _survey(tests: Sequence[str], sources: Path, send: Send) -> None:
    called: set[Key] = set()
    folder = str(sources)

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folder):
            called.add((code.co_filename, code.co_qualname.partition(".<locals>")[0]))

    def run(items: Sequence[pytest.Item]) -> None:
        while_collecting = frozenset(called)
        failed, seconds, callers = [], {}, defaultdict(set)
        for item, following in zip(items, [*items[1:], None], strict=True):
            called.clear()
            reports = runtestprotocol(item, log=False, nextitem=following)
            seconds[item.nodeid] = sum(report.duration for report in reports)
            failed += [item.nodeid for report in reports if report.failed][:1]
            for key in called:
                callers[key].add(item.nodeid)
        known = {key: frozenset(names) for key, names in callers.items()}
        send(Survey(tuple(failed), seconds, known, while_collecting))

    sys.setprofile(note)
    _collect(tests, run)


def _try_quickly(
    mutants: Sequence[Mutant], tests: Sequence[str], known: Survey, hints: Mapping[Mutant, str], send: Send
) -> None:
    def run(items: Sequence[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        found = (found for found in gc.get_objects() if isinstance(found, FunctionType))
        functions = {(function.__code__.co_filename, function.__qualname__): function for function in found}
        gc.freeze()
        for mutant in mutants:
            key = (str(mutant.path), str(mutant.scope))
            callers = known.callers.get(key, ())
            chosen = [by_name[name] for name in _order(mutant, callers, known, hints.get(mutant))]
            trial = partial(_try_in_place, functions[key], mutant, chosen, known.seconds_of(callers))
            send(_outcome(trial) if chosen else None)

    _collect(tests, run)


def _try_in_place(
    function: FunctionType, mutant: Mutant, items: Sequence[pytest.Item], seconds: float, send: Send
) -> None:
    _limit(seconds)
    code = compile(mutant.text, mutant.path, "exec")
    function.__code__ = next(inner for inner in _codes(code) if inner.co_qualname == mutant.scope)
    send(_first_failure(items))


def _try_slowly(mutant: Mutant, tests: Sequence[str], order: Sequence[str], seconds: float, send: Send) -> None:
    def run(items: Sequence[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        missing = [name for name in order if name not in by_name]
        send(missing[0] if missing else _first_failure([by_name[name] for name in order]))

    _limit(seconds)
    sys.meta_path.insert(0, _Finder(mutant))
    _collect(tests, run)


def _first_failure(items: Sequence[pytest.Item]) -> str | None:
    for item, following in zip(items, [*items[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return item.nodeid
    return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _limit(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds + _SPARE_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _collect(tests: Sequence[str], run: Loop) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    # Hypothesis costs most of what collecting a test does, and no mutant is tried on it.
    without = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    pytest.main([*without, *tests], plugins=[_Plugin(run)])


@dataclass(frozen=True, slots=True)
class _Plugin:
    run: Loop

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.run(session.items)
        return True


@dataclass(frozen=True, slots=True)
class _Finder(MetaPathFinder):
    """Finds the mutated module where Python looks for the one on disk."""

    mutant: Mutant

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or self.mutant.path.with_suffix("") != Path(path[0]) / fullname.rpartition(".")[2]:
            return None
        return spec_from_file_location(fullname, self.mutant.path, loader=_Loader(fullname, self.mutant))


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, mutant: Mutant) -> None:
        super().__init__(fullname, str(mutant.path))
        self.mutant = mutant

    @override
    def get_code(self, fullname: str) -> CodeType:
        return compile(self.mutant.text, self.path, "exec")


def _outcome(work: Callable[[Send], None]) -> Any:
    return next(iter([*_forked(work), DIED]))


def _forked(work: Callable[[Send], None]) -> Iterator[Any]:
    """What the work sends from a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            with os.fdopen(writing, "wb", buffering=0) as pipe:
                work(lambda answer: pickle.dump(answer, pipe))
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, suppress(EOFError):
        while True:
            yield pickle.load(pipe)  # noqa: S301
    os.waitpid(child, 0)
