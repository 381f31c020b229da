"""Debian packages that are unpacked and never installed: as services they would start."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from localcluster.cache import cache_root, locked
from localcluster.errors import LocalClusterError
from localcluster.progress import Steps, run_logged

_CANDIDATE = re.compile(r"^\s*Candidate: (\S+)$", re.MULTILINE)


def unpack(steps: Steps, package: str) -> None:
    """Have the newest version of a package that the host's sources offer.

    Raises LocalClusterError where it cannot be had.
    """
    if not shutil.which("apt-get"):
        raise LocalClusterError(
            f"unpack what your distribution has for Debian's {package}, and put it on PATH"
        )
    with locked(f"package-{package}"):
        version = _candidate(package)
        if version is None:
            run_logged(["apt-get", "update"], "apt")
            version = _candidate(package)
        if version is None:
            raise LocalClusterError(f"the sources of apt-get have no package {package}")
        folder = _folder(package) / version
        if folder.exists():
            return
        with steps.step(f"unpacking the Debian package {package} {version}"):
            _download(package, folder)


def program(package: str, name: str) -> Path:
    """Where a program of an unpacked package is.

    Raises LocalClusterError where it is not unpacked.
    """
    found = sorted(_folder(package).glob(f"*/usr/bin/{name}"))
    if not found:
        raise LocalClusterError(f"{name} of Debian's {package} is not unpacked")
    return found[-1]


def _folder(package: str) -> Path:
    return cache_root() / "packages" / package


def _candidate(package: str) -> str | None:
    done = subprocess.run(
        ["apt-cache", "policy", package], capture_output=True, text=True, check=False
    )
    found = _CANDIDATE.search(done.stdout)
    return None if found is None or found[1] == "(none)" else found[1]


def _download(package: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = Path(name)
        # apt-get leaves its own user, who may not write here, for nothing but a warning.
        run_logged(["apt-get", "download", package], "apt", cwd=scratch)
        [archive] = scratch.glob("*.deb")
        run_logged(["dpkg-deb", "--extract", str(archive), str(scratch / "tree")], "apt")
        (scratch / "tree").rename(folder)
