"""Large images, unpacked once and shared read-only by every node.

Unpacking the Ray image writes more than a gigabyte, at every ``up``. So that is done once, by a
containerd of its own, into a store; a node then gets copies of the store's two small databases,
links to its blobs and bind mounts of its layers, and finds the images where it would have put them.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from localcluster.cache import clusters_dir, digest, images_dir, locked
from localcluster.configs import CONTAINERD_SOCKET, containerd_config
from localcluster.environment import admin_env
from localcluster.errors import LocalClusterError
from localcluster.host import BOX_WITHOUT_NETWORK
from localcluster.progress import Steps, run_logged

LARGE = 100 * 1024 * 1024
"""Bytes from which on an archive is worth a store."""

_KEPT_STORES = 2
"""How many stores stay though unused: a cluster may just be about to use one."""

_RECIPE = "1"
_BLOBS = Path("io.containerd.content.v1.content/blobs/sha256")
_SNAPSHOTS = Path("io.containerd.snapshotter.v1.overlayfs/snapshots")
_DATABASES = (
    Path("io.containerd.metadata.v1.bolt/meta.db"),
    Path("io.containerd.snapshotter.v1.overlayfs/metadata.db"),
)

# The import is complete, and all of it on disk, when the script ends and containerd with it.
_IMPORT = f"""
mount -t tmpfs tmpfs /run
containerd --config "$1" --log-level warn &
shift
until [ -S {CONTAINERD_SOCKET} ]; do sleep 0.03; done
for archive; do ctr --namespace k8s.io images import "$archive"; done
kill %1
wait %1 || true
"""


def split(archives: Iterable[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the archives that are worth a store, and those that a node imports by itself."""
    all_archives = tuple(archives)
    large = tuple(path for path in all_archives if path.stat().st_size >= LARGE)
    return large, tuple(path for path in all_archives if path not in large)


def ensure(steps: Steps, archives: Sequence[Path]) -> Path | None:
    """Return the store that holds these archives, made where missing; None for no archives."""
    if not archives:
        return None
    store = _stores_dir() / digest([_RECIPE, *sorted(_identity(path) for path in archives)])
    if store.is_dir():
        return store
    _stores_dir().mkdir(parents=True, exist_ok=True)
    names = ", ".join(path.name.rsplit("-", 1)[0] for path in archives)
    with steps.step(f"unpacking {names}", "once for all clusters"), locked("stores"):
        if store.is_dir():
            return store
        scratch = Path(tempfile.mkdtemp(prefix=".store-", dir=_stores_dir()))
        try:
            _seed(scratch / "containerd")
            _import(scratch, archives)
            (scratch / "containerd").rename(store)
            _remove_unused(keep=store)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return store


def lay(store: Path, containerd_root: Path) -> None:
    """Give a node, whose mount namespace the caller is in, the images of the store.

    ``containerd_root`` is a folder that does not exist yet. Raises OSError.
    """
    for database in _DATABASES:
        (containerd_root / database).parent.mkdir(parents=True)
        shutil.copyfile(store / database, containerd_root / database)
    (containerd_root / _BLOBS).mkdir(parents=True)
    for blob in (store / _BLOBS).iterdir():
        (containerd_root / _BLOBS / blob.name).hardlink_to(blob)
    for snapshot in (store / _SNAPSHOTS).iterdir():
        target = containerd_root / _SNAPSHOTS / snapshot.name
        target.mkdir(parents=True)
        subprocess.run(
            ["mount", "--bind", "-o", "ro", str(snapshot), str(target)],
            check=True,
            capture_output=True,
        )


def _stores_dir() -> Path:
    return images_dir() / "stores"


def _identity(archive: Path) -> str:
    status = archive.stat()
    return f"{archive.name} {status.st_size} {status.st_mtime_ns}"


def _seed(containerd_root: Path) -> None:
    """Begin with what the newest store has, so that only the layers that differ are unpacked."""
    stores = [path for path in _stores_dir().iterdir() if not path.name.startswith(".")]
    if not stores:
        return
    newest = max(stores, key=lambda path: path.stat().st_mtime)
    shutil.copytree(newest, containerd_root, symlinks=True, copy_function=os.link)
    for database in _DATABASES:
        # The databases are the only files that are ever written in place.
        (containerd_root / database).unlink()
        shutil.copyfile(newest / database, containerd_root / database)


def _import(scratch: Path, archives: Sequence[Path]) -> None:
    config = scratch / "containerd.toml"
    config.write_text(containerd_config(scratch / "containerd", scratch / "cni"))
    paths = [str(path) for path in archives]
    run_logged(
        [*BOX_WITHOUT_NETWORK, "bash", "-ecm", _IMPORT, "import", str(config), *paths],
        "image-store",
        env=admin_env(),
    )
    if not (scratch / "containerd" / _SNAPSHOTS).is_dir():
        raise LocalClusterError("containerd has unpacked nothing; see the log image-store")


def _remove_unused(keep: Path) -> None:
    stores = [path for path in _stores_dir().iterdir() if not path.name.startswith(".")]
    newest = sorted(stores, key=lambda path: path.stat().st_mtime)[-_KEPT_STORES:]
    used = {keep, *newest}
    for spec in clusters_dir().glob("*/spec.json"):
        used.add(Path(json.loads(spec.read_text()).get("store") or os.devnull))
    for store in stores:
        if store not in used:
            shutil.rmtree(store, ignore_errors=True)
