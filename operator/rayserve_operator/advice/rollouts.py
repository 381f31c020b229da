"""Advice on rollouts."""

from __future__ import annotations

from collections.abc import Iterator

from rayserve_operator.advice.view import View
from rayserve_operator.model.problems import Problem


def downtime(view: View) -> Iterator[Problem]:
    """The service is down while a new cluster takes the place of the old one."""
    if view.recreates:
        words = "is Recreate: nothing serves from when the old cluster is drained until the new one has loaded"
        yield Problem("spec.upgradeStrategy.type", words, "write NewCluster if there is room for both for a while")
