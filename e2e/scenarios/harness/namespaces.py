"""Namespaces that come fresh and leave nothing running."""

from collections.abc import Iterator
from contextlib import contextmanager

from scenarios.harness.kube import ApiError, Kube
from scenarios.harness.waiting import until


@contextmanager
def fresh_namespace(kube: Kube, name: str) -> Iterator[str]:
    """A namespace of this name, empty at first and gone in the end."""
    recreate(kube, name)
    try:
        yield name
    finally:
        _remove(kube, name)


def recreate(kube: Kube, name: str) -> None:
    """Make the namespace, without what was in it before."""
    _remove(kube, name)
    kube.create("namespaces", {"metadata": {"name": name}})


def _remove(kube: Kube, name: str) -> None:
    if kube.find("namespaces", None, name) is None:
        return
    kube.delete("namespaces", None, name)
    until(lambda: _is_gone(kube, name), f"namespace {name} is gone", 90)


def _is_gone(kube: Kube, name: str) -> bool:
    # Nothing is left to serve, so nobody waits for Ray to drain.
    for pod in kube.list("pods", name):
        if "deletionTimestamp" in pod["metadata"]:
            try:
                kube.delete("pods", name, pod["metadata"]["name"], grace=0)
            except ApiError as error:
                if error.status != 404:
                    raise
    return kube.find("namespaces", None, name) is None
