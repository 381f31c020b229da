from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .locks import LOCKS, ROOT, Lock, wanted

_HASHED = re.compile(r"[^#\s-]\S*( ; .+?)?( --hash=sha256:[0-9a-f]{64})+")

_ASKED_FOR = re.compile(r"^ +# (?:via |  )(?!-c )\S", re.MULTILINE)
"""What the lock tells of a package that another one needs."""

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.file)


def _versions(lock: Lock, name: str) -> set[str]:
    return {
        str(pin.specifier).removeprefix("==")
        for pin in lock.pins
        if canonicalize_name(pin.name) == canonicalize_name(name)
    }


@every_lock
def test_what_is_wanted_is_locked_so_make_lock_is_not_due(lock: Lock) -> None:
    for requirement in map(Requirement, lock.wanted):
        found = _versions(lock, requirement.name)
        assert found, f"{requirement} is not in {lock.file}; run `make lock`"
        assert all(map(requirement.specifier.contains, found)), f"{lock.file} has {found}; run `make lock`"


@every_lock
def test_nothing_is_locked_that_nobody_wants_any_more(lock: Lock) -> None:
    entries = [entry for entry in re.split(r"\n(?=\S)", lock.path.read_text()) if not entry.startswith("#")]
    unasked = {canonicalize_name(entry.partition("==")[0]) for entry in entries if not _ASKED_FOR.search(entry)}
    assert unasked <= {canonicalize_name(Requirement(one).name) for one in lock.wanted}, "run `make lock`"


@every_lock
def test_each_line_has_hashes_and_none_names_an_index(lock: Lock) -> None:
    text = re.sub(r"^ *#.*\n", "", lock.path.read_text(), flags=re.MULTILINE)
    odd = [line for line in re.sub(r" \\\n +", " ", text).splitlines() if not _HASHED.fullmatch(line)]
    assert not odd
    assert "://" not in lock.path.read_text()


def test_the_image_gets_what_the_tests_ran_with() -> None:
    locks = {lock.file: lock for lock in LOCKS}
    differing = {
        (lock.file, pin.name)
        for lock in LOCKS
        if lock.like
        for pin in lock.pins
        if (tested := _versions(locks[lock.like], pin.name)) and _versions(lock, pin.name) != tested
    }
    assert not differing


def test_extras_bring_those_that_they_name() -> None:
    project = {
        "build-system": {"requires": ["builder"]},
        "project": {
            "name": "thing",
            "dependencies": ["needed>=1"],
            "optional-dependencies": {"cli": ["rich"], "docs": ["site"], "dev": ["thing[cli]", "tester"]},
        },
    }
    assert [*wanted(project, "dev")] == ["builder", "needed>=1", "rich", "tester"]


def test_whatever_is_installed_from_pypi_is_held_to_hashes() -> None:
    recipes = [
        ROOT / "Makefile",
        ROOT / "Dockerfile",
        *ROOT.glob("e2e/**/*Dockerfile"),
        *ROOT.glob("e2e/localcluster/*.py"),
    ]
    text = "\n".join(path.read_text().replace("\\\n", " ") for path in recipes)
    installs = re.findall(r"pip(?:\"?, \"| --python \S+ |\s)install\b[^\n&]*", text)
    assert len(installs) == 8
    assert not [one for one in installs if "--require-hashes" not in one and "--no-deps" not in one]
