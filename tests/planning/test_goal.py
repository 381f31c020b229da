"""What is aimed at while the spec is not valid."""

from typing import Any

import pytest

from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.planning.service.goal import Goal

from ..builders import service_meta, service_spec

STORED = service_spec(rayClusterDeletionDelaySeconds=10, excludeHeadPodFromServeSvc=True)
BROKEN = {"rayClusterConfig": {}, "serveConfigV2": "applications: ["}


def last_valid(**spec: Any) -> Goal:
    return Goal.last_valid(service_meta(), STORED, {**BROKEN, **spec})


def test_a_suspended_service_stays_so_through_an_edit_that_is_not_valid() -> None:
    goal = last_valid(suspend=True, upgradeStrategy={"drainTimeoutSeconds": 3600})
    assert goal.revision == Goal.parse(service_meta(), STORED).revision
    assert (goal.spec.suspend, goal.spec.drain_timeout) == (True, 3600)
    assert goal.means is None


def test_what_is_left_out_now_is_left_out() -> None:
    assert (last_valid().spec.deletion_delay, last_valid().spec.exclude_head_pod_from_serve_svc) == (60, None)


def test_only_what_is_not_valid_itself_is_as_it_was() -> None:
    goal = last_valid(rayClusterDeletionDelaySeconds=-1, suspend=True)
    assert (goal.spec.deletion_delay, goal.spec.suspend) == (10, True)


def test_a_revision_that_is_not_valid_any_more_is_no_goal() -> None:
    with pytest.raises(InvalidSpec):
        Goal.last_valid(service_meta(), BROKEN, {"suspend": True})
