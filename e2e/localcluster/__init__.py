"""A real Kubernetes node in one disposable box of namespaces, without Docker."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcluster.cluster import LocalCluster
    from localcluster.errors import LocalClusterError
    from localcluster.spec import ClusterSpec

__all__ = ["ClusterSpec", "LocalCluster", "LocalClusterError"]

_MODULES = {"ClusterSpec": "spec", "LocalCluster": "cluster", "LocalClusterError": "errors"}


def __getattr__(name: str) -> object:
    # On first use, because `python -m localcluster.box` imports this module too, for every
    # command that a test runs, and needs none of it.
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
