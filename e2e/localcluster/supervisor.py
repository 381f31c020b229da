"""The first process of a box: it starts the components, and when it ends, all of them end.

It speaks to its keeper through two pipes. Standard output carries events, one JSON object a line.
Standard input is a lease: as soon as its other end is closed, the supervisor exits, and the kernel
ends whatever runs in its PID namespace. Whoever the keeper is, and however it ends, nothing stays.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from localcluster import configs, host, stores
from localcluster.components import Component, components
from localcluster.environment import admin_env
from localcluster.layout import Layout
from localcluster.spec import NODE_ADDRESS, POD_RANGE, SERVICE_RANGE, ClusterSpec

PROBE_INTERVAL = 0.03
STABLE_AFTER = 5.0
"""Seconds that a component must have lived to be started again when it dies."""

_LEASE = 0

# The kubelet wants these values and would set them for the whole machine: it is shown them instead.
_KERNEL_SETTINGS = {
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}


@dataclass
class Process:
    """A component that has been started."""

    component: Component
    pid: int
    began: float
    is_ready: bool = False


class Supervisor:
    """Starts components in the order of their needs, and reaps what the box leaves behind."""

    def __init__(self, chosen: Sequence[Component], layout: Layout) -> None:
        self._layout = layout
        self._waiting = list(chosen)
        self._total = len(chosen)
        self._has_been_complete = False
        self._running: dict[int, Process] = {}
        self._ready: set[str] = set()
        self._began = time.monotonic()
        self._wakeup = self._watch_signals()

    @staticmethod
    def _watch_signals() -> int:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return reader

    @property
    def _is_complete(self) -> bool:
        return len(self._ready) == self._total

    def run(self) -> NoReturn:
        """Run until the lease ends, a signal comes or a component fails."""
        while True:
            self._start_what_can()
            self._probe()
            if self._is_complete and not self._has_been_complete:
                self._has_been_complete = True
                emit(event="complete", seconds=self._elapsed())
            self._wait(None if self._is_complete else PROBE_INTERVAL)
            self._reap()

    def _wait(self, timeout: float | None) -> None:
        readable, _, _ = select.select([_LEASE, self._wakeup], [], [], timeout)
        if self._wakeup in readable:
            os.read(self._wakeup, 4096)
        if _LEASE in readable:
            sys.exit(0)

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 2)

    def _start_what_can(self) -> None:
        for component in list(self._waiting):
            if self._ready.issuperset(component.after):
                self._waiting.remove(component)
                self._start(component)

    def _start(self, component: Component) -> None:
        log = str(self._layout.component_log(component.name))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawnp(
            component.command[0],
            component.command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsigdef=[signal.SIGINT, signal.SIGPIPE],
        )
        self._running[pid] = Process(component, pid, time.monotonic())
        emit(event="started", component=component.name, pid=pid)

    def _probe(self) -> None:
        for process in self._running.values():
            probe = process.component.ready
            if probe and not process.is_ready and probe():
                process.is_ready = True
                self._now_ready(process)

    def _now_ready(self, process: Process) -> None:
        name = process.component.name
        self._ready.add(name)
        took = round(time.monotonic() - process.began, 2)
        emit(event="ready", component=name, took=took, seconds=self._elapsed())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Unknown ones are orphans of the box, which fall to its first process.
            if process := self._running.pop(pid, None):
                self._ended(process, os.waitstatus_to_exitcode(status))

    def _ended(self, process: Process, code: int) -> None:
        component = process.component
        if component.is_task and code == 0:
            self._now_ready(process)
            return
        lived = time.monotonic() - process.began
        how = f"ended with status {code}" if code >= 0 else f"was killed by signal {-code}"
        if component.is_task or not self._has_been_complete or lived < STABLE_AFTER:
            emit(event="failed", component=component.name, reason=f"{component.name} {how}")
            sys.exit(1)
        self._ready.discard(component.name)
        emit(event="restarted", component=component.name, reason=how)
        self._start(component)


def emit(**event: object) -> None:
    """Tell the keeper something."""
    print(json.dumps(event), flush=True)


def _do(*command: str, text: str | None = None) -> None:
    done = subprocess.run(
        command,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def set_up_mounts(layout: Layout) -> None:
    """Give the box its own /run, /var/log and DNS, and hide the machine's kernel settings."""
    _do("mount", "--make-rprivate", "/")
    resolv_conf = Path(os.path.realpath("/etc/resolv.conf"))
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    # Where /etc/resolv.conf is a link into /run, its target has just been hidden.
    resolv_conf.parent.mkdir(parents=True, exist_ok=True)
    resolv_conf.touch()
    _do("mount", "--bind", str(layout.config / "resolv.conf"), str(resolv_conf))
    layout.var_log.mkdir(parents=True)
    _do("mount", "--bind", str(layout.var_log), "/var/log")
    for name, wanted in _KERNEL_SETTINGS.items():
        setting = Path("/proc/sys") / name
        if setting.exists() and setting.read_text().strip() != wanted:
            shown = Path("/run/sysctl") / name
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.write_text(wanted + "\n")
            _do("mount", "--bind", str(shown), str(setting))


def set_up_network(spec: ClusterSpec) -> None:
    """Give the box loopback and a node address, without any way out and no default route.

    The node address is on one end of a veth pair whose other end stays in the box too. The route
    to the service range leads there as well: it only has to exist for the packet to be made, whose
    destination kube-proxy's rules then rewrite. The addresses of kwok's pods are the box's own, so
    that one program can answer for all of them.
    """
    commands = [
        "link set lo up",
        "link add node0 type veth peer name node1",
        f"address add {NODE_ADDRESS}/32 dev node0",
        "link set node0 up",
        "link set node1 up",
        f"route add {SERVICE_RANGE} dev node0 src {NODE_ADDRESS}",
    ]
    if spec.kwok:
        commands.append(f"route add local {POD_RANGE} dev lo")
    _do("ip", "-batch", "-", text="\n".join(commands) + "\n")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def set_up_cgroups(spec: ClusterSpec) -> None:
    """Make the cluster's own folder in every cgroup hierarchy."""
    if host.is_cgroup_v2():
        wanted = " ".join(f"+{name}" for name in host.CGROUP_CONTROLLERS)
        (host.CGROUP / "cgroup.subtree_control").write_text(wanted)
    for root in host.cgroup_controller_roots():
        (root / configs.cgroup_name(spec.name)).mkdir(exist_ok=True)


def make_service_account_key(layout: Layout) -> None:
    """Make the key that signs the tokens of service accounts."""
    _do(
        *("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"),
        *("-out", str(layout.pki / "service-account.key")),
    )


def main() -> None:
    """Set up the box and run its components: ``python -m localcluster.supervisor STATE_DIR``."""
    layout = Layout(Path(sys.argv[1]))
    spec = ClusterSpec.from_json(layout.spec.read_text())
    os.environ.update(admin_env())
    try:
        configs.write_all(spec, layout)
        set_up_mounts(layout)
        set_up_network(spec)
        make_service_account_key(layout)
        if spec.has_node:
            set_up_cgroups(spec)
            if spec.store:
                stores.lay(spec.store, layout.containerd)
        chosen = components(spec, layout)
    except Exception as error:
        emit(event="failed", component="supervisor", reason=f"the box could not be made: {error}")
        raise
    Supervisor(chosen, layout).run()


if __name__ == "__main__":
    main()
