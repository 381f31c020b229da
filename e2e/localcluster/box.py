"""Running a command inside a box, as if it had been started there.

``python -m localcluster.box NAME -- CMD…`` is what ``localcluster run`` does; this module imports
little, because tests start it often.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from localcluster.environment import inside_env
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout
from localcluster.proc import process_start_time
from localcluster.spec import DEFAULT_NAME

_FORWARDED = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def read_state(name: str) -> dict[str, Any] | None:
    """Return what is recorded of a cluster, or None where there never was one."""
    try:
        state: dict[str, Any] = json.loads(Layout.of(name).state.read_text())
    except FileNotFoundError:
        return None
    return state


def live_pid(state: Mapping[str, Any] | None, process: str) -> int | None:
    """Return the pid of a cluster's "keeper" or "box" process if that very process lives."""
    recorded = (state or {}).get(process)
    if recorded and process_start_time(recorded["pid"]) == recorded["start_time"]:
        pid: int = recorded["pid"]
        return pid
    return None


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise LocalClusterError(f"{what}: {os.strerror(number)}")


def execute(name: str, command: Sequence[str]) -> int:
    """Run a command in the box of a cluster and return its exit status.

    Standard streams, the terminal and the working directory are the caller's. Signals to this
    process are forwarded; a command ended by signal N gives 128 + N, as a shell does. Should this
    process be killed, so is the command. Raises LocalClusterError where there is no such box.
    """
    state = read_state(name)
    pid = live_pid(state, "box")
    if state is None or pid is None:
        raise LocalClusterError(f"no cluster {name!r} is up: run 'localcluster up {name}'")
    env = inside_env(name, Layout.of(name).kubeconfig, state)
    namespaces = Path(f"/proc/{pid}/ns")
    pid_fd, net_fd, mnt_fd = (
        os.open(namespaces / kind, os.O_RDONLY) for kind in ("pid_for_children", "net", "mnt")
    )
    _check(_libc.setns(pid_fd, 0), "entering the PID namespace")
    signals: set[signal.Signals] = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = os.fork()
    if child == 0:
        _become(command, env, (net_fd, mnt_fd), before)
    return _wait_for(child, signals)


def _become(
    command: Sequence[str],
    env: Mapping[str, str],
    namespaces: Sequence[int],
    mask: set[int | signal.Signals],
) -> NoReturn:
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        folder = Path.cwd()
        for namespace in namespaces:
            _check(_libc.setns(namespace, 0), "entering the box")
        os.chdir(folder)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(command[0], list(command), env)
    except FileNotFoundError as error:
        print(f"localcluster: {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127)
    except BaseException as error:
        print(f"localcluster: {error}", file=sys.stderr)
        os._exit(126)


def _wait_for(child: int, signals: set[signal.Signals]) -> int:
    while True:
        received = signal.sigwaitinfo(signals)
        if received.si_signo != signal.SIGCHLD:
            # What a terminal sends (from no process) has reached the child as well.
            if received.si_pid:
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def split_arguments(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Return the cluster's name and the command of ``[NAME] -- CMD…``."""
    if "--" in arguments:
        at = list(arguments).index("--")
        names, words = list(arguments[:at]), list(arguments[at + 1 :])
    else:
        names, words = list(arguments[:1]), list(arguments[1:])
    if len(names) > 1 or not words:
        raise LocalClusterError("usage: localcluster run [NAME] -- CMD…")
    return (names[0] if names else DEFAULT_NAME), words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``[NAME] -- CMD…`` and return the exit status; 125 is this program's own failure."""
    try:
        name, command = split_arguments(sys.argv[1:] if arguments is None else arguments)
        return execute(name, command)
    except LocalClusterError as error:
        print(f"localcluster: {error}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
