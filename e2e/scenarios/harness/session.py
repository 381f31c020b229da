"""A cluster for the length of one program, which is started again inside the cluster's network.

Outside, `run_inside` makes sure of the cluster, runs the program in it with the streams and the
exit status passed through, and takes the cluster down after it. Inside, everything is as if it ran
on the node: ClusterIPs, pod addresses and cluster DNS just work.

Environment: `CLUSTER` is local (the default), kind or current. `NAME` takes a cluster by its name,
up already or not, and leaves it up; so does `KEEP=1`, under a name of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from localcluster import ClusterSpec, LocalCluster, LocalClusterError, binaries, host, provider
from localcluster.progress import Steps, console

INSIDE = "RAYSERVE_E2E_INSIDE"
"""Set, to the cluster's name, for a program that runs inside."""


def is_inside() -> bool:
    """Whether this program has been started inside a cluster."""
    return INSIDE in os.environ


def local_cluster() -> LocalCluster | None:
    """The box that this program runs in; None on another kind of cluster."""
    name = os.environ.get("LOCALCLUSTER")
    return LocalCluster(name) if name else None


def is_kept() -> bool:
    """Whether the cluster stays up after the program."""
    return bool(os.environ.get("NAME")) or os.environ.get("KEEP", "0") not in ("", "0")


def run_inside(command: Sequence[str], *, control_plane: ClusterSpec | None = None) -> int:
    """Run a command inside a cluster for it and return its exit status.

    ``control_plane`` is what to start where no real node is needed. Raises LocalClusterError
    where the cluster cannot be had.
    """
    if os.environ.get("CLUSTER", "local") != "local":
        access = provider.from_environment().ensure()
        return _run(access.command(command), name=os.environ["CLUSTER"])
    cluster = LocalCluster(os.environ.get("NAME") or f"e2e-{os.getpid()}")
    with _terminated_in_order(), _ended(cluster):
        _ensure(cluster, control_plane)
        status = _run(cluster.command(command), name=cluster.name)
    if not is_kept():
        _clear_away(cluster, succeeded=status == 0)
    return status


def main_inside(arguments: Sequence[str], *, control_plane: ClusterSpec | None = None) -> NoReturn:
    """Start this Python program again inside a cluster, and exit as it does."""
    try:
        sys.exit(run_inside([sys.executable, *arguments], control_plane=control_plane))
    except LocalClusterError as error:
        sys.exit(f"✗ {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _ensure(cluster: LocalCluster, control_plane: ClusterSpec | None) -> None:
    if control_plane and cluster.is_up:
        return
    if not cluster.is_up:
        hint = "" if is_kept() else "; it is taken down at the end"
        console().print(f"• a cluster named {cluster.name}{hint}", markup=False)
    if control_plane:
        with Steps() as steps:
            host.prepare(steps)
            binaries.build_all(steps, control_plane.extra_programs)
            with steps.step("starting the control plane"):
                cluster.up(control_plane)
    else:
        provider.LocalProvider(cluster.name).ensure()


def _run(command: Sequence[str], *, name: str) -> int:
    environment: Mapping[str, str] = os.environ | {INSIDE: name}
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # A terminal has told the program too; from elsewhere only we were told.
                if not sys.stdin.isatty():
                    process.send_signal(signal.SIGINT)
            except SystemExit:
                process.terminate()
                raise


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """Let SIGTERM unwind, so that the cluster is taken down."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _ended(cluster: LocalCluster) -> Iterator[None]:
    try:
        yield
    finally:
        if not is_kept():
            cluster.down()


def _clear_away(cluster: LocalCluster, *, succeeded: bool) -> None:
    """Remove the logs of a cluster that is gone for good, or say where they are."""
    if succeeded:
        shutil.rmtree(cluster.state_dir, ignore_errors=True)
    else:
        console().print(f"• the cluster's logs: {cluster.layout.logs}", markup=False)
