"""Where the end-to-end tests run: ``CLUSTER=local`` (the default), ``kind`` or ``current``.

A provider makes sure of a cluster that has the images, and says how to run a command against it.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcluster import binaries, host, images
from localcluster.cluster import LocalCluster
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout
from localcluster.progress import Steps
from localcluster.spec import ClusterSpec

DEFAULT_IMAGES = ("operator", "ray")


@dataclass(frozen=True)
class Access:
    """How to reach a cluster.

    ``prefix`` goes before every command that talks to it; None as ``kubeconfig`` means the
    client's own default.
    """

    kubeconfig: Path | None
    prefix: tuple[str, ...]

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command to execute for ``command``."""
        return [*self.prefix, *command]


class Provider(Protocol):
    """Something that has a cluster for the tests."""

    def ensure(self, image_names: Sequence[str] = DEFAULT_IMAGES) -> Access:
        """Make sure that the cluster is up and has these images; return how to reach it.

        Raises LocalClusterError where it cannot be had.
        """
        ...


@dataclass(frozen=True)
class LocalProvider:
    """The box of this package: built and started where it is not there."""

    name: str

    def ensure(self, image_names: Sequence[str] = DEFAULT_IMAGES) -> Access:
        """Build what is missing, then start the cluster or bring the images into it."""
        cluster = LocalCluster(self.name)
        with Steps() as steps:
            host.prepare(steps)
            binaries.build_all(steps)
            archives = _build(steps, ("pause", *image_names))
            if cluster.is_up:
                with steps.step(f"importing images into the cluster {self.name}"):
                    for archive in archives:
                        cluster.load_image(archive)
            else:
                with steps.step(f"starting the cluster {self.name}"):
                    cluster.up(ClusterSpec(images=archives), steps=steps)
        return Access(cluster.kubeconfig, tuple(cluster.command([])))


@dataclass(frozen=True)
class KindProvider:
    """A kind cluster, which needs the program ``kind`` and a Docker engine."""

    name: str

    def ensure(self, image_names: Sequence[str] = DEFAULT_IMAGES) -> Access:
        """Create the kind cluster where it is not there, and load the images into its node."""
        if not shutil.which("kind"):
            raise LocalClusterError("CLUSTER=kind needs the program 'kind' and a Docker engine")
        with Steps() as steps:
            host.prepare(steps)
            archives = _build(steps, image_names)
        folder = Layout.of(f"kind-{self.name}").root
        folder.mkdir(parents=True, exist_ok=True)
        kubeconfig = folder / "kubeconfig"
        verb = "export" if self.name in _kind("get", "clusters").split() else "create"
        noun = "kubeconfig" if verb == "export" else "cluster"
        _kind(verb, noun, f"--name={self.name}", f"--kubeconfig={kubeconfig}")
        for archive in archives:
            _kind("load", "image-archive", str(archive), f"--name={self.name}")
        return Access(kubeconfig, ("env", f"KUBECONFIG={kubeconfig}"))


@dataclass(frozen=True)
class CurrentProvider:
    """The cluster of kubectl's current context; its nodes can already pull the images."""

    def ensure(self, image_names: Sequence[str] = DEFAULT_IMAGES) -> Access:
        """Check that the cluster answers; the images are taken on trust."""
        answer = subprocess.run(
            ["kubectl", "get", "--raw", "/readyz"], capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise LocalClusterError(f"the current context does not answer: {answer.stderr.strip()}")
        return Access(None, ())


def from_environment() -> Provider:
    """Return the provider that ``CLUSTER`` names, for a cluster named by ``CLUSTER_NAME``."""
    name = os.environ.get("CLUSTER_NAME", "e2e")
    match os.environ.get("CLUSTER", "local"):
        case "local":
            return LocalProvider(name)
        case "kind":
            return KindProvider(name)
        case "current":
            return CurrentProvider()
        case other:
            raise LocalClusterError(f"CLUSTER={other}: it is local, kind or current")


def _build(steps: Steps, image_names: Sequence[str]) -> tuple[Path, ...]:
    chosen = images.select(image_names)
    images.build_images(steps, chosen)
    return tuple(image.archive for image in chosen)


def _kind(*arguments: str) -> str:
    done = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalClusterError(f"kind {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
