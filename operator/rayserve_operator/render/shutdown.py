"""How long a pod may take to end, and how much of that Ray spends on draining.

Kubernetes' default grace of 30 seconds would turn every end of a pod into a kill.
"""

from collections.abc import Mapping
from typing import Any, Final

from rayserve_operator.model.shutdown import DRAIN_SECONDS, STOP_SECONDS
from rayserve_operator.render.node import Node

DRAIN_VARIABLE: Final = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"


def grace_seconds(node: Node) -> int:
    """The pod's terminationGracePeriodSeconds: the user's, else enough to drain (65) or to drain as the user says."""
    given = (node.group.template.get("spec") or {}).get("terminationGracePeriodSeconds")
    if given is not None:
        return int(given)
    return max(DRAIN_SECONDS, _drain_of_user(node)) + STOP_SECONDS


def environment(node: Node) -> Mapping[str, Any]:
    """The variable that tells Ray how long to drain: as long as the grace period leaves time to stop.

    Ray goes as soon as it has drained, so a long grace period lets long requests end and costs nothing otherwise.
    """
    return {"name": DRAIN_VARIABLE, "value": str(max(0, grace_seconds(node) - STOP_SECONDS))}


def _drain_of_user(node: Node) -> int:
    for entry in node.container.get("env") or ():
        value = str(entry.get("value", ""))
        if entry["name"] == DRAIN_VARIABLE and value.isdecimal():
            return int(value)
    return 0
