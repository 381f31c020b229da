"""The Python API: one object for each cluster, by its name."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from localcluster import box, images, keeper, stores
from localcluster.cache import clusters_dir
from localcluster.errors import LocalClusterError
from localcluster.keeper import Event, Keeper
from localcluster.layout import Layout
from localcluster.proc import wait_for_end
from localcluster.progress import Steps, tail
from localcluster.spec import DEFAULT_NAME, ClusterSpec

_DOWN_TIMEOUT = 60.0


class LocalCluster:
    """A cluster in a box; any number may be up side by side, each under its own name."""

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        if not re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
            raise LocalClusterError(f"{name!r} is no cluster name: use a-z, 0-9 and '-'")
        self.name = name
        self.layout = Layout.of(name)

    @classmethod
    def all(cls) -> list[Self]:
        """Return every cluster that has a state folder, up or not."""
        if not clusters_dir().is_dir():
            return []
        return [cls(path.name) for path in sorted(clusters_dir().iterdir()) if path.is_dir()]

    @property
    def state_dir(self) -> Path:
        """The folder with the cluster's state and logs."""
        return self.layout.root

    @property
    def kubeconfig(self) -> Path:
        """Credentials of the cluster's admin, of use inside the box only."""
        return self.layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object a line for each completed request."""
        return self.layout.audit_log

    @property
    def is_up(self) -> bool:
        """Whether the box lives."""
        return self._is_inside or box.live_pid(box.read_state(self.name), "box") is not None

    @property
    def _is_inside(self) -> bool:
        """Whether this program runs in the box itself, where the host's processes are unseen."""
        return os.environ.get("LOCALCLUSTER") == self.name

    @property
    def state(self) -> dict[str, Any] | None:
        """The recorded state; its phase is "dead" where the recorded processes are gone."""
        state = box.read_state(self.name)
        if state and state["phase"] in ("starting", "ready") and not self.is_up:
            state["phase"] = "dead"
        return state

    def up(
        self,
        spec: ClusterSpec | None = None,
        *,
        on_event: Callable[[Event], None] = lambda _: None,
        foreground: bool = False,
        steps: Steps | None = None,
    ) -> None:
        """Start the cluster and return when every component is ready and every image imported.

        ``steps`` shows the unpacking of a large image that no cluster has had yet. With
        ``foreground`` it returns only when the cluster has ended. Raises LocalClusterError,
        with the tail of the log, when a component fails, and where the cluster is up already.
        """
        if self.is_up:
            raise LocalClusterError(f"the cluster {self.name!r} is up already")
        spec = replace(spec or ClusterSpec(images=default_archives()), name=self.name)
        if spec.has_scheduler and not spec.controllers:
            raise LocalClusterError(
                "a node needs the controllers: only a control plane can do without"
            )
        if spec.has_node and spec.kwok:
            raise LocalClusterError("kwok takes the place of a node: ask for a control plane only")
        if spec.has_node:
            large, small = stores.split(spec.images)
            with nullcontext(steps) if steps else Steps() as shown:
                spec = replace(spec, images=small, store=stores.ensure(shown, large))
        self.layout.root.mkdir(parents=True, exist_ok=True)
        problem: list[str] = []

        def listen(event: Event) -> None:
            if event["event"] == "failed":
                problem.append(self._explain(event))
            on_event(event)

        if foreground:
            if Keeper(spec, listen).run():
                raise LocalClusterError(problem[0] if problem else self._killed())
            return
        holder = subprocess.Popen(
            [sys.executable, "-m", "localcluster.keeper", spec.to_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        try:
            for line in holder.stdout or ():
                event: Event = json.loads(line)
                listen(event)
                if event["event"] == "complete":
                    return
        except BaseException:
            self.down()
            raise
        finally:
            if holder.stdout:
                holder.stdout.close()
            holder.wait()
        raise LocalClusterError(problem[0] if problem else self._killed())

    def _killed(self) -> str:
        log = self.layout.component_log("supervisor")
        return f"the cluster {self.name!r} ended before it was ready\n{tail(log)}"

    def _explain(self, event: Event) -> str:
        log = self.layout.component_log(event["component"])
        text = tail(log)
        return f"{event['reason']}; the end of {log}:\n{text}" if text else str(event["reason"])

    def down(self) -> bool:
        """End the cluster and return whether there was one. Its logs stay until the next ``up``."""
        state = box.read_state(self.name)
        holder = box.live_pid(state, "keeper")
        if holder:
            os.kill(holder, signal.SIGTERM)
            if not wait_for_end(holder, _DOWN_TIMEOUT):
                raise LocalClusterError(f"the keeper of {self.name!r} (pid {holder}) does not end")
            return True
        # A keeper that was killed has closed the box's lease, and left the rest to us.
        if pid := box.live_pid(state, "box"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            wait_for_end(pid, _DOWN_TIMEOUT)
        if state:
            keeper.clean_up(self.layout, self.name)
            if state["phase"] in ("starting", "ready"):
                self.layout.state.unlink(missing_ok=True)
        return False

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs ``command`` inside the box, for subprocess.Popen.

        It is the same command where the caller runs inside already.
        """
        if self._is_inside:
            return list(command)
        return [sys.executable, "-m", "localcluster.box", self.name, "--", *command]

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        text: str | None = None,
        timeout: float | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command inside the box and return its result, with output captured as text.

        ``text`` becomes its standard input; ``timeout`` is in seconds. Raises
        subprocess.CalledProcessError on a status other than 0, unless ``check`` is false.
        """
        return subprocess.run(
            self.command(command),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout,
        )

    def load_image(self, archive: Path) -> None:
        """Import an oci-archive into the node, unless the node has this very image."""
        name, manifest = images.identity(archive)
        if manifest in self.run(["ctr", "images", "list", f"name=={name}"]).stdout:
            return
        done = self.run(["ctr", "images", "import", str(archive)], check=False)
        if done.returncode:
            raise LocalClusterError(f"importing {archive.name}: {done.stderr or done.stdout}")

    def container_pid(self, pod_namespace: str, pod_name: str, container: str) -> int:
        """Return the pid, inside the box, of a running container's first process."""
        labels = {
            "io.kubernetes.pod.namespace": pod_namespace,
            "io.kubernetes.pod.name": pod_name,
            "io.kubernetes.container.name": container,
        }
        query = ",".join(f'labels."{key}"=={value}' for key, value in labels.items())
        ids = set(self.run(["ctr", "containers", "list", "--quiet", query]).stdout.split())
        for line in self.run(["ctr", "tasks", "list"]).stdout.splitlines()[1:]:
            task, pid, status = line.split()
            if task in ids and status == "RUNNING":
                return int(pid)
        raise LocalClusterError(
            f"no running container {container!r} in the pod {pod_namespace}/{pod_name}"
        )


def default_archives() -> tuple[Path, ...]:
    """Return the archives of the images that pods run.

    Raises LocalClusterError where one is not built, or no longer from what it is made of.
    """
    wanted = images.workload_images()
    if missing := [image.name for image in wanted if not image.is_built]:
        raise LocalClusterError(f"not built: {', '.join(missing)}; run 'localcluster image build'")
    return tuple(image.archive for image in wanted)
