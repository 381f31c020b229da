"""An earlier release of the project, made from git: its image and its chart.

`RELEASE` names any revision; the newest tag before the present commit is taken where it is unset.
"""

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from localcluster import images
from localcluster.cache import images_dir, locked
from localcluster.errors import LocalClusterError
from localcluster.images import PROJECT_ROOT, Image
from localcluster.progress import Steps

VARIABLE = "RELEASE"


@dataclass(frozen=True)
class Release:
    """The project as it was."""

    commit: str

    @property
    def folder(self) -> Path:
        """Its sources, once it has been built."""
        return images_dir() / "sources" / self.commit

    @property
    def chart(self) -> Path:
        """Its chart."""
        return self.folder / "charts" / "rayserve-operator"

    @property
    def image(self) -> Image:
        """Its image."""
        return images.operator_image(self.folder, f"localhost/rayserve-operator:{self.commit}")

    def build(self) -> None:
        """Have its sources and its image: once this has run it needs no network.

        Raises LocalClusterError where the image cannot be built.
        """
        with locked(f"sources-{self.commit}"):
            if not self.folder.exists():
                packed = subprocess.check_output(["git", "archive", self.commit], cwd=PROJECT_ROOT)
                partial = self.folder.with_suffix(".partial")
                with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                    tar.extractall(partial, filter="data")
                partial.rename(self.folder)
        with Steps() as steps:
            images.build_image(steps, self.image)


def find() -> Release | None:
    """The earlier release, or None where none is named and nothing is tagged yet.

    Raises LocalClusterError where what is named is no revision.
    """
    named = os.environ.get(VARIABLE) or _git("describe", "--tags", "--abbrev=0", "HEAD^")
    if not named:
        return None
    commit = _git("rev-parse", "--verify", "--short=12", f"{named}^{{commit}}")
    if not commit:
        raise LocalClusterError(f"{VARIABLE}={named} is no revision of this repository")
    return Release(commit)


def _git(*arguments: str) -> str:
    """What git says, or nothing where it fails."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()
