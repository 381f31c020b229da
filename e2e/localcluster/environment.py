"""The environments in which programs are run."""

import os
from collections.abc import Mapping
from pathlib import Path

_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")


def admin_env() -> dict[str, str]:
    """Return the environment with the system's administration folders on PATH."""
    return os.environ | {"PATH": f"{os.environ.get('PATH', os.defpath)}:{_ADMIN_PATH}"}


def inside_env(name: str, kubeconfig: Path, state: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command in a cluster's box, from the caller's.

    The programs of the cluster come first on PATH. A proxy is outside, where nothing leads.
    """
    env = admin_env()
    for variable in _PROXY_VARIABLES:
        env.pop(variable, None)
        env.pop(variable.upper(), None)
    return env | {
        "CONTAINERD_NAMESPACE": "k8s.io",
        "KUBECONFIG": str(kubeconfig),
        "LOCALCLUSTER": name,
        "PATH": f"{state['programs']}:{env['PATH']}",
    }
