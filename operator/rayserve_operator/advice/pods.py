"""Advice on pods: what they ask of Kubernetes, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rayserve_operator.advice.view import Group, View
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.shutdown import DRAIN_SECONDS, PROXY_DRAIN_SECONDS, STOP_SECONDS

_SHUTDOWN = 20
"""Ray's graceful_shutdown_timeout_s."""


def no_requests(view: View) -> Iterator[Problem]:
    """A container says not how much CPU or memory it takes."""
    for group in view.groups:
        resources = group.container.get("resources") or {}
        said = (resources.get("requests") or {}).keys() | (resources.get("limits") or {}).keys()
        missing = [name for name in ("cpu", "memory") if name not in said]
        if missing:
            words = f"ask for no {' and no '.join(missing)}: the pod shares its node with any number of others"
            example = ", ".join(f"{name}: {'1' if name == 'cpu' else '2Gi'}" for name in missing)
            path = f"{group.path}.template.spec.containers[0].resources"
            yield Problem(path, words, f"write requests: {{{example}}}, as measured")


def unknown_cpus(view: View) -> Iterator[Problem]:
    """Ray's autoscaler cannot tell how many CPUs a pod has, and ends."""
    if not view.cluster.autoscaling:
        return
    for group in view.groups:
        if group.pod.cpus is None:
            words = "say nothing of CPUs, and Ray's autoscaler ends when it cannot tell how many a pod has"
            path = f"{group.path}.template.spec.containers[0].resources"
            yield Problem(path, words, 'write requests: {cpu: "1"}, or num-cpus in rayStartParams')


def short_grace(view: View) -> Iterator[Problem]:
    """Kubernetes kills a pod before Ray has drained it."""
    longest = max((_shutdown(one.options) for one in view.deployments), default=_SHUTDOWN)
    needed = int(max(PROXY_DRAIN_SECONDS, longest)) + STOP_SECONDS
    for group in view.groups:
        given = _grace(group)
        if given is None and needed > DRAIN_SECONDS + STOP_SECONDS:
            words = (
                f"is {DRAIN_SECONDS + STOP_SECONDS} by default, and the slowest replica may take {longest:g} s to end"
            )
        elif given is not None and given < needed:
            words = f"is {given}: Kubernetes kills the pod before Ray has drained it, which takes up to {needed} s"
        else:
            continue
        path = f"{group.path}.template.spec.terminationGracePeriodSeconds"
        yield Problem(path, words, f"write {needed}" + (" or leave it out" if needed <= DRAIN_SECONDS else ""))


def _grace(group: Group) -> int | None:
    given = (group.spec.template.get("spec") or {}).get("terminationGracePeriodSeconds")
    return given if isinstance(given, int) else None


def _shutdown(options: Any) -> float:
    given = options.get("graceful_shutdown_timeout_s", _SHUTDOWN)
    return given if isinstance(given, int | float) else _SHUTDOWN
