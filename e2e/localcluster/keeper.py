"""The process on the host that holds a box: it lives as long as the box and cleans up after it."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from localcluster import binaries, configs, host
from localcluster.layout import Layout
from localcluster.proc import process_start_time
from localcluster.spec import (
    API_SERVER_PORT,
    NODE_ADDRESS,
    POD_RANGE,
    SERVICE_RANGE,
    ClusterSpec,
)
from localcluster.versions import KUBERNETES

GRACE = 10
"""Seconds that a box gets to end by itself before it is killed."""

Event = Mapping[str, Any]


class Keeper:
    """Starts one box, records what it says in state.json, and removes what it leaves behind."""

    def __init__(self, spec: ClusterSpec, on_event: Callable[[Event], None]) -> None:
        self._spec = spec
        self._layout = Layout.of(spec.name)
        self._on_event = on_event
        self._box: subprocess.Popen[bytes] | None = None
        self._lease: int | None = None
        self._state: dict[str, Any] = {
            "name": spec.name,
            "phase": "starting",
            "kubernetes": KUBERNETES,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "keeper": {"pid": os.getpid(), "start_time": process_start_time(os.getpid())},
            "node_address": NODE_ADDRESS,
            "api_server_port": API_SERVER_PORT,
            "pod_range": POD_RANGE,
            "service_range": SERVICE_RANGE,
            "spec": json.loads(spec.to_json()),
            "programs": binaries.search_path(),
            "components": {},
        }

    def run(self) -> int:
        """Hold the box until it ends or a signal asks for its end; return 0 if it was asked."""
        with (self._layout.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reason = f"the cluster {self._spec.name!r} is up or starting already"
                self._on_event({"event": "failed", "component": "keeper", "reason": reason})
                return 1
            return self._hold()

    def _hold(self) -> int:
        clean_up(self._layout, self._spec.name)
        shutil.rmtree(self._layout.logs, ignore_errors=True)
        self._layout.audit_log.unlink(missing_ok=True)
        self._layout.logs.mkdir(parents=True)
        self._layout.spec.write_text(self._spec.to_json())
        self._write_state()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_end)
        signal.signal(signal.SIGALRM, self._kill)
        try:
            self._box = self._start_box()
            pid = self._box.pid
            self._state["box"] = {"pid": pid, "start_time": process_start_time(pid)}
            self._write_state()
            self._listen(self._box)
            self._box.wait()
        finally:
            signal.alarm(0)
            was_asked = self._state["phase"] == "stopping"
            clean_up(self._layout, self._spec.name)
            self._state["phase"] = "stopped" if was_asked else "failed"
            self._write_state()
        return 0 if was_asked else 1

    def _start_box(self) -> "subprocess.Popen[bytes]":
        lease, self._lease = os.pipe()
        command = [*host.BOX, sys.executable, "-m", "localcluster.supervisor"]
        try:
            with self._layout.component_log("supervisor").open("ab") as log:
                return subprocess.Popen(
                    [*command, str(self._layout.root)],
                    stdin=lease,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
        finally:
            os.close(lease)

    def _ask_to_end(self, *_: object) -> None:
        self._state["phase"] = "stopping"
        signal.alarm(GRACE)
        # The supervisor exits as soon as this end of its lease is closed.
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None

    def _kill(self, *_: object) -> None:
        if self._box:
            self._box.kill()

    def _listen(self, box: "subprocess.Popen[bytes]") -> None:
        for line in box.stdout or ():
            event: Event = json.loads(line)
            self._record(event)
            self._on_event(event)

    def _record(self, event: Event) -> None:
        known = self._state["components"].setdefault(event.get("component", ""), {})
        match event["event"]:
            case "started":
                known |= {"pid": event["pid"], "ready": False}
            case "ready":
                known |= {"ready": True, "seconds": event["seconds"]}
            case "restarted":
                known["restarts"] = known.get("restarts", 0) + 1
            case "complete":
                self._state["phase"] = "ready"
                self._state["seconds"] = event["seconds"]
        self._state["components"].pop("", None)
        self._write_state()

    def _write_state(self) -> None:
        # Readers see the old state or the new one, never a part.
        partial = self._layout.state.with_suffix(".partial")
        partial.write_text(json.dumps(self._state, indent=2) + "\n")
        partial.rename(self._layout.state)


def clean_up(layout: Layout, name: str) -> None:
    """Remove what an ended box leaves: its empty cgroups, and all its files but the logs."""
    for root in host.cgroup_controller_roots():
        folder = root / configs.cgroup_name(name)
        if folder.is_dir():
            for cgroup, _, _ in os.walk(folder, topdown=False):
                with suppress(OSError):
                    Path(cgroup).rmdir()
    for path in (layout.containerd, layout.kubelet, layout.config, layout.pki):
        shutil.rmtree(path, ignore_errors=True)
    for path in (layout.kubeconfig, layout.spec):
        path.unlink(missing_ok=True)


def main() -> None:
    """Hold a box in the background: ``python -m localcluster.keeper SPEC_JSON``.

    Events go to standard output, until the cluster is complete. Whoever stops reading before that
    wants no half-started cluster: the box is then ended.
    """
    # The caller waits for this process at once; the one that stays is nobody's child.
    if os.fork():
        os._exit(0)
    is_complete = False

    def tell(event: Event) -> None:
        nonlocal is_complete
        if is_complete:
            return
        is_complete = event["event"] == "complete"
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except BrokenPipeError:
            os.kill(os.getpid(), signal.SIGTERM)

    sys.exit(Keeper(ClusterSpec.from_json(sys.argv[1]), tell).run())


if __name__ == "__main__":
    main()
