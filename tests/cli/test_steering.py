from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.cli.revisions import revisions_of
from rayserve_operator.cli.steering import CannotSteer, Command, Note, steer
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels
from tests.builders import OTHER_APP, service_spec

from .manifests import ray_service, revision

FIRST, SECOND = service_spec(), service_spec(app=OTHER_APP)


def note(command: Command, pending: str | None = None, failed: str | None = None) -> Note:
    service: dict[str, Any] = ray_service(SECOND)
    if pending is not None:
        service["status"] = {"pendingServiceStatus": {"rayClusterName": pending}}
    found = revisions_of(service, [revision(1, FIRST), revision(2, SECOND, failed)], [], [])
    return steer(command, service, found)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Command.PAUSE, {labels.PAUSE: "true"}),
        (Command.RESUME, {labels.PAUSE: None}),
        (Command.PROMOTE, {labels.PROMOTE: "true", labels.PAUSE: None}),
        (Command.PROMOTE_FULLY, {labels.PROMOTE: "full", labels.PAUSE: None}),
    ],
)
def test_the_cluster_that_is_to_take_over_is_told(command: Command, expected: dict[str, str | None]) -> None:
    found = note(command, pending="demo-b")
    assert (found.kind, found.name, found.annotations) == (Kind.RAY_CLUSTER, "demo-b", expected)
    assert found.words.startswith("demo-b ")


def test_without_one_there_is_nothing_to_steer() -> None:
    with pytest.raises(CannotSteer, match="no cluster of demo is waiting"):
        note(Command.PROMOTE)


def test_what_was_given_up_is_begun_anew() -> None:
    found = note(Command.RETRY, failed="ImageError")
    assert (found.kind, found.annotations) == (Kind.REVISION, {labels.FAILED: None, labels.STARTED_AT: None})
    assert found.words == "revision 2 is tried again"


def test_what_was_not_given_up_is_not_tried_again() -> None:
    with pytest.raises(CannotSteer, match="was not given up"):
        note(Command.RETRY)
