"""What the host must have: checked before anything starts, each gap named with its mend."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.cache import cache_root
from localcluster.environment import admin_env
from localcluster.errors import LocalClusterError
from localcluster.progress import Steps, run_logged
from localcluster.versions import DEBIAN_PACKAGES

CGROUP = Path("/sys/fs/cgroup")
CGROUP_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
CGROUP_V1_ONLY_CONTROLLERS = ("blkio", "cpuacct", "devices", "freezer")
CNI_PLUGINS = Path("/usr/lib/cni")

BOX_WITHOUT_NETWORK = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
BOX = (*BOX_WITHOUT_NETWORK, "--net")
"""The command that runs another one in a box: when its first process ends, all of them do."""


def is_cgroup_v2() -> bool:
    """Whether the host has the one unified hierarchy, and not one for each controller."""
    return (CGROUP / "cgroup.controllers").exists()


def cgroup_controller_roots() -> list[Path]:
    """Return the mounted cgroup hierarchies in which a cluster makes its own folder."""
    if is_cgroup_v2():
        return [CGROUP]
    roots = [path.resolve() for path in CGROUP.iterdir() if path.is_dir()]
    return sorted({path for path in roots if (path / "cgroup.procs").exists()})


@dataclass(frozen=True)
class Check:
    """One thing that the host must have, and what to do where it has not."""

    what: str
    passes: Callable[[], bool]
    mend: str


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=admin_env()
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


def _in_a_box(script: str) -> Callable[[], bool]:
    return lambda: _succeeds(*BOX, "sh", "-ec", script)


def _has_cgroup_controllers() -> bool:
    if is_cgroup_v2():
        present = set((CGROUP / "cgroup.controllers").read_text().split())
        return present.issuperset(CGROUP_CONTROLLERS)
    wanted = (*CGROUP_CONTROLLERS, *CGROUP_V1_ONLY_CONTROLLERS)
    return all(os.access(CGROUP / name, os.W_OK) for name in wanted)


def _mounts_overlay_on_the_cache() -> bool:
    cache_root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_root()) as scratch:
        script = (
            f"cd {scratch}; mkdir lower upper work merged; "
            "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; "
            "touch merged/file; umount merged"
        )
        return _in_a_box(script)()


BEFORE_PACKAGES: Sequence[Check] = (
    Check("Linux", lambda: sys.platform == "linux", "run this on Linux"),
    Check("the rights of root", lambda: os.geteuid() == 0, "run this as root (sudo)"),
    Check(
        "network, mount and PID namespaces",
        _in_a_box("true"),
        "allow unshare(2): in a container, run it privileged",
    ),
    Check(
        "cgroup controllers (" + ", ".join(CGROUP_CONTROLLERS) + ")",
        _has_cgroup_controllers,
        "mount a writable /sys/fs/cgroup that has these controllers",
    ),
    Check(
        "overlayfs on the cache's filesystem",
        _mounts_overlay_on_the_cache,
        "load the module 'overlay', or set XDG_CACHE_HOME to a folder on a disk's filesystem",
    ),
)

AFTER_PACKAGES: Sequence[Check] = (
    Check(
        "veth interfaces",
        _in_a_box("ip link add veth0 type veth peer name veth1"),
        "load the kernel module 'veth'",
    ),
    Check(
        "nftables with NAT",
        _in_a_box(
            "nft 'add table ip t; add chain ip t c { type nat hook prerouting priority 0; };"
            " add rule ip t c ip daddr 192.0.2.1 dnat to 192.0.2.2'"
        ),
        "load the kernel modules 'nf_tables' and 'nft_chain_nat'",
    ),
)


def missing_packages() -> list[str]:
    """Return the Debian packages of which the host lacks a program."""
    path = admin_env()["PATH"]
    return [
        package
        for package, programs in DEBIAN_PACKAGES.items()
        if not all(shutil.which(program, path=path) for program in programs)
    ]


def _require(checks: Sequence[Check]) -> None:
    failed: list[Check] = []
    for check in checks:
        if not check.passes():
            failed.append(check)
            # Every later check needs Linux, root and namespaces: one clear line is enough.
            if check in BEFORE_PACKAGES[:3]:
                break
    if failed:
        lines = "\n".join(f"  - {check.what}: {check.mend}" for check in failed)
        raise LocalClusterError(f"this machine cannot hold a cluster; it lacks\n{lines}")


def prepare(steps: Steps) -> None:
    """Check the host and install the Debian packages that it lacks.

    Raises LocalClusterError naming all that is missing and the mend for each.
    """
    _require(BEFORE_PACKAGES)
    if missing := missing_packages():
        install_packages(steps, missing)
    _require(AFTER_PACKAGES)


def install_packages(steps: Steps, packages: Sequence[str]) -> None:
    """Install packages by apt-get; where there is none, name them and raise."""
    if not shutil.which("apt-get"):
        raise LocalClusterError(
            "install what your distribution has for Debian's " + ", ".join(packages)
        )
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with steps.step("installing Debian packages: " + ", ".join(packages)):
        run_logged(["apt-get", "update"], "apt", env=env)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        run_logged(install, "apt", env=env)
    if missing := missing_packages():
        raise LocalClusterError(f"still incomplete after apt-get install: {', '.join(missing)}")


def require_space(gigabytes: int) -> None:
    """Raise LocalClusterError unless so much is free where the cache is."""
    cache_root().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_root()).free // 10**9
    if free < gigabytes:
        raise LocalClusterError(
            f"{cache_root()} needs {gigabytes} GB free and has {free}: make room, or set"
            " XDG_CACHE_HOME to a folder on a larger disk"
        )
