"""Container images by buildah, without a registry: archives cached by a digest of their inputs."""

import fnmatch
import json
import re
import shlex
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from localcluster import binaries
from localcluster.cache import digest, images_dir, locked
from localcluster.environment import admin_env
from localcluster.errors import LocalClusterError
from localcluster.progress import Steps, run_logged
from localcluster.versions import DEBIAN_SUITE, RAY

E2E_DIR = Path(__file__).resolve().parent.parent
PROJECT_ROOT = E2E_DIR.parent

PAUSE_IMAGE = "localhost/pause:1"
BASE_IMAGE = "localhost/python-base:latest"
RAY_IMAGE = f"localhost/ray:{RAY}"
OPERATOR_IMAGE = "localhost/rayserve-operator:dev"

BASE_PACKAGES = ("ca-certificates", "procps", "python3", "python3-venv", "wget")
_RECIPE = "2"
"""Part of every image's key: raise it when the way of building changes."""

_KEPT_ARCHIVES = 3
"""How many versions of an image stay: a cluster that is starting may still read an older one."""

_BASE_TAR = "base.tar"
_NEVER_HASHED = ("__pycache__", "*.pyc", ".git", ".venv", "*.egg-info", _BASE_TAR)
"""Files that are no input. The base is made on the way, from packages that are part of the key."""
_HOST_FILES_FOR_PIP = ("/etc/ssl/certs", "/etc/pip.conf")


@dataclass(frozen=True)
class Image:
    """An image that this package can build."""

    name: str
    title: str
    context: Path
    dockerfile: str
    build_args: tuple[tuple[str, str], ...] = ()
    parent: "Image | None" = None

    @cached_property
    def key(self) -> str:
        """A digest of everything that decides the image's content."""
        parts: list[str | bytes] = [_RECIPE, self.name, self.dockerfile]
        parts += [f"{key}={value}" for key, value in self.build_args]
        if self.parent:
            parts.append(self.parent.key)
        for path in copied_files(self.dockerfile, self.context):
            parts += [str(path.relative_to(self.context)), path.read_bytes()]
        return digest(parts)

    @property
    def archive(self) -> Path:
        """The image as an oci-archive in the cache; the name changes with every input."""
        short = self.name.removeprefix("localhost/").replace(":", "-")
        return images_dir() / f"{short}-{self.key}.oci"

    @property
    def is_built(self) -> bool:
        """Whether the cache holds this very image."""
        return self.archive.exists()


def copied_files(dockerfile: str, context: Path) -> list[Path]:
    """Return the files of the context that the Dockerfile copies, sorted.

    Only these can change the image, so only they are part of its key.
    """
    found: set[Path] = set()
    for pattern in _copied_patterns(dockerfile):
        for path in context.glob(pattern.strip("/") or "*") if pattern != "." else [context]:
            found.update(_files_under(path))
    return sorted(found)


def _copied_patterns(dockerfile: str) -> Iterator[str]:
    for line in dockerfile.replace("\\\n", " ").splitlines():
        if not re.match(r"(COPY|ADD)\s", line, re.IGNORECASE):
            continue
        words = shlex.split(line)[1:]
        if any(word.startswith("--from=") for word in words):
            continue
        sources = [word for word in words if not word.startswith("--")][:-1]
        yield from (source.removeprefix("./") or "." for source in sources)


def _files_under(path: Path) -> Iterator[Path]:
    if any(fnmatch.fnmatch(path.name, pattern) for pattern in _NEVER_HASHED):
        return
    if path.is_dir():
        for child in path.iterdir():
            yield from _files_under(child)
    elif path.is_file():
        yield path


def _base() -> Image:
    dockerfile = (
        f"FROM scratch\nADD {_BASE_TAR} /\n"
        'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD ["python3"]\n'
    )
    # The packages stand in the build arguments to be part of the key.
    packages = (("SUITE", DEBIAN_SUITE), ("PACKAGES", ",".join(BASE_PACKAGES)))
    return Image(BASE_IMAGE, "Debian with Python", images_dir() / "base", dockerfile, packages)


def _pause() -> Image:
    group = next(group for group in binaries.groups() if group.name == "pause")
    return Image(
        PAUSE_IMAGE,
        "the pod's pause process",
        group.folder,
        'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n',
    )


def _ray() -> Image:
    folder = E2E_DIR / "images" / "ray"
    return Image(
        RAY_IMAGE,
        f"Ray {RAY}",
        folder,
        (folder / "Dockerfile").read_text(),
        parent=_base(),
    )


def operator_image(root: Path = PROJECT_ROOT, name: str = OPERATOR_IMAGE) -> Image:
    """Return the operator's image, made from the sources in a folder."""
    return Image(
        name,
        "the operator",
        root,
        (root / "Dockerfile").read_text(),
        parent=_base(),
    )


def pause_image() -> Image:
    """Return the image of the process that holds a pod's namespaces."""
    return _pause()


def all_images() -> dict[str, Image]:
    """Return every image by its short name, in the order in which they are built."""
    return {"pause": _pause(), "base": _base(), "operator": operator_image(), "ray": _ray()}


def select(names: Iterable[str]) -> list[Image]:
    """Return the images with these names: short ("ray") or full ("localhost/ray:2.60.0")."""
    known = all_images()
    by_name = known | {image.name: image for image in known.values()}
    chosen = []
    for name in names:
        if name not in by_name:
            raise LocalClusterError(f"no image {name!r}; there are: {', '.join(known)}")
        chosen.append(by_name[name])
    return chosen


def workload_images() -> list[Image]:
    """Return the images that pods of a cluster run by default: Ray's and the operator's."""
    return [image for name, image in all_images().items() if name in ("operator", "ray")]


def build_images(steps: Steps, chosen: Sequence[Image]) -> None:
    """Build what the cache lacks of these images, parents first."""
    for image in chosen:
        build_image(steps, image)


def build_image(steps: Steps, image: Image) -> None:
    """Build one image and its archive, unless the cache holds it for the same inputs.

    Raises LocalClusterError with the log's tail.
    """
    if image.is_built:
        return
    if image.name == PAUSE_IMAGE:
        binaries.program("pause")
    images_dir().mkdir(parents=True, exist_ok=True)
    if image.parent:
        build_image(steps, image.parent)
    hint = "about 2 min the first time" if image.name == RAY_IMAGE else ""
    with steps.step(f"building the image {image.name}", hint), locked(_log_name(image)):
        if image.is_built:
            return
        if image.name == BASE_IMAGE:
            _bootstrap_base(image.context)
        _buildah_build(image)
        _export(image)


def _bootstrap_base(context: Path) -> None:
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    run_logged(
        [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(BASE_PACKAGES)}",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            DEBIAN_SUITE,
            str(context / _BASE_TAR),
        ],
        "image-base",
        env=admin_env(),
    )


def _buildah(arguments: Sequence[str], log_name: str) -> None:
    storage = images_dir() / "buildah"
    command = [
        "buildah",
        f"--root={storage / 'storage'}",
        f"--runroot={storage / 'run'}",
        "--storage-driver=overlay",
        *arguments,
    ]
    run_logged(command, log_name, env=admin_env() | {"BUILDAH_ISOLATION": "chroot"})


def _log_name(image: Image) -> str:
    return "image-" + image.name.removeprefix("localhost/").split(":")[0]


def _buildah_build(image: Image) -> None:
    dockerfile = images_dir() / f"Dockerfile.{image.key}"
    dockerfile.write_text(image.dockerfile)
    arguments = ["build", "--layers", "--pull=never", "--network=host", "--format=oci"]
    for path in _HOST_FILES_FOR_PIP:
        if Path(path).exists():
            arguments.append(f"--volume={path}:{path}:ro")
    if image.parent:
        arguments.append(f"--build-arg=BASE_IMAGE={image.parent.name}")
        for key, value in image.build_args:
            arguments.append(f"--build-arg={key}={value}")
    arguments += [f"--tag={image.name}", f"--file={dockerfile}", str(image.context)]
    try:
        _buildah(arguments, _log_name(image))
    finally:
        dockerfile.unlink()


def _export(image: Image) -> None:
    # Layers stay uncompressed: gzip would cost a minute here and again at every import.
    partial = image.archive.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    _buildah(
        ["push", "--disable-compression", image.name, f"oci-archive:{partial}:{image.name}"],
        _log_name(image),
    )
    partial.rename(image.archive)
    stem = image.archive.name.removesuffix(f"-{image.key}.oci")
    archives = images_dir().glob(f"{stem}-????????????.oci")
    for old in sorted(archives, key=lambda path: path.stat().st_mtime)[:-_KEPT_ARCHIVES]:
        old.unlink()


def identity(archive: Path) -> tuple[str, str]:
    """Return the name and the manifest's digest of the image in an oci-archive."""
    with tarfile.open(archive) as tar:
        described = _only_image(tar)
    return described["annotations"]["org.opencontainers.image.ref.name"], described["digest"]


def layers(archive: Path) -> dict[str, int]:
    """Return the layers of the image in an oci-archive: digests, and sizes in bytes as pulled."""
    with tarfile.open(archive) as tar:
        digest_of_manifest = _only_image(tar)["digest"]
        manifest = _json(tar, f"blobs/{digest_of_manifest.replace(':', '/')}")
    return {layer["digest"]: layer["size"] for layer in manifest["layers"]}


def _only_image(tar: tarfile.TarFile) -> dict[str, Any]:
    described: dict[str, Any]
    [described] = _json(tar, "index.json")["manifests"]
    return described


def _json(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(name)
    if file is None:
        raise LocalClusterError(f"{tar.name!s} is no oci-archive: its {name} is no file")
    content: dict[str, Any] = json.load(file)
    return content
