"""Where everything is kept: one folder, which may be deleted or moved away at any time."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Return ``$XDG_CACHE_HOME/rayserve-operator``, with ``~/.cache`` as the default base."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rayserve-operator"


def binaries_dir() -> Path:
    """Return the folder of built programs, one sub-folder for each group and recipe."""
    return cache_root() / "bin"


def images_dir() -> Path:
    """Return the folder of image archives and of buildah's own storage."""
    return cache_root() / "images"


def go_dir() -> Path:
    """Return the folder of Go modules, of Go's build cache and of the generated modules."""
    return cache_root() / "go"


def build_logs_dir() -> Path:
    """Return the folder with one log for each build step, made where missing."""
    path = cache_root() / "logs"
    path.mkdir(parents=True, exist_ok=True)
    return path


def clusters_dir() -> Path:
    """Return the folder with one state folder for each cluster's name."""
    return cache_root() / "clusters"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Wait until no other process holds the cache's lock of this name, then hold it.

    Who waits has to look again, once it has the lock, whether there is still something to do.
    """
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def digest(parts: Iterable[str | bytes]) -> str:
    """Return 12 hex digits that change whenever one of the parts does."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()[:12]
