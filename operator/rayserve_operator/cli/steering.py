"""Holding a rollout back, and letting it go on: each command is a note on the object that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.revisions import Revision
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels


class Command(StrEnum):
    """What can be asked of a rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    PROMOTE_FULLY = "promote --full"
    RETRY = "retry"


class CannotSteer(CannotDo):
    """There is nothing that the command could be about; says what there is."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is written for a command, and where."""

    kind: Kind
    name: str
    annotations: Mapping[str, str | None]
    """None takes an annotation away."""
    words: str
    """What follows from it."""


_OF_THE_NEXT: Mapping[Command, tuple[Mapping[str, str | None], str]] = {
    Command.PAUSE: ({labels.PAUSE: "true"}, "{name} keeps the share of the traffic that it has"),
    Command.RESUME: ({labels.PAUSE: None}, "{name} takes over as the upgradeStrategy says"),
    Command.PROMOTE: ({labels.PROMOTE: "true", labels.PAUSE: None}, "{name} goes on to take over"),
    Command.PROMOTE_FULLY: (
        {labels.PROMOTE: "full", labels.PAUSE: None},
        "{name} takes all the traffic once it is fit",
    ),
}


def steer(command: Command, service: Mapping[str, Any], revisions: Sequence[Revision]) -> Note:
    """What is to be written for a command.

    Raises:
        CannotSteer: no cluster is to take over, or nothing was given up.
    """
    if command is Command.RETRY:
        return _retry(service, revisions)
    pending = RayServiceStatus.model_validate(service.get("status") or {}).pending_service_status
    name = None if pending is None else pending.ray_cluster_name
    if not name:
        raise CannotSteer(f"no cluster of {service['metadata']['name']} is waiting to take over")
    annotations, words = _OF_THE_NEXT[command]
    return Note(Kind.RAY_CLUSTER, name, annotations, words.format(name=name))


def _retry(service: Mapping[str, Any], revisions: Sequence[Revision]) -> Note:
    goal = revisions[-1] if revisions else None
    if goal is None or goal.failure is None:
        raise CannotSteer(f"the rollout of {service['metadata']['name']} was not given up")
    # Without the time at which it began it counts as not begun, and everything that hangs on it begins anew.
    forgotten = {labels.FAILED: None, labels.STARTED_AT: None}
    return Note(Kind.REVISION, goal.name, forgotten, f"revision {goal.number} is tried again")
