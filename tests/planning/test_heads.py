"""Which head stays, when the next is made, and what is told of it."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Create, Plan
from rayserve_operator.planning.observed import NodeView, PodView
from rayserve_operator.render import labels

from ..builders import NOW, actions_of, announced, cluster_config, cluster_plan, group, head, in_words, pod

CONFIRMED, NEW_HEAD = "confirm demo-a", "create a pod demo-a-head-"


def plan(*heads: PodView, **fields: Any) -> Plan[RayClusterStatus]:
    return cluster_plan(cluster_config(group(replicas=0)), *heads, **fields)


def named(name: str, **fields: Any) -> PodView:
    return pod(name, role=labels.HEAD, **fields)


def head_ready(result: Plan[RayClusterStatus]) -> tuple[str, str, str]:
    [told] = [c for c in result.status.conditions if c.type == "HeadPodReady"]
    return told.status, told.reason, told.message


@pytest.mark.parametrize(
    ("surplus", "kept"),
    [
        ({"started": False}, {"ready": False}),
        ({"ready": False}, {}),
        ({"phase": "Pending"}, {"started": False}),
        ({"phase": "Pending"}, {"phase": "Pending", "waiting": "ContainerCreating", "started": True}),
    ],
    ids=["the one that is up", "the one that is ready", "the one that runs", "the first"],
)
def test_of_two_heads_the_better_one_stays(surplus: dict[str, Any], kept: dict[str, Any]) -> None:
    result = plan(named("surplus", **surplus), named("kept", **kept))
    if kept.get("phase") == "Pending":
        result = plan(named("kept", **kept), named("surplus", **surplus))
    assert in_words(result) == ["delete surplus"]
    [told] = announced(result)
    assert (told.reason, told.message) == ("DeletedHeadPod", "Deleted surplus: kept is the head")


def test_a_head_that_has_stopped_on_a_silent_node_keeps_its_label() -> None:
    silent = {"node-1": NodeView("node-1", NOW - timedelta(minutes=10), out_of_service=False)}
    assert in_words(plan(head(leaving=True, ended=True), nodes=silent)) == [CONFIRMED, NEW_HEAD]


def test_a_head_that_ended_and_leaves_is_not_deleted_again() -> None:
    assert in_words(plan(head(phase="Failed", leaving=True))) == [CONFIRMED, NEW_HEAD]


def test_after_a_head_that_ended_early_again_the_next_one_waits_and_it_is_told_until_when() -> None:
    result = plan(head(phase="Failed", failures=2, age=1))
    assert (in_words(result), result.recheck_after) == ([], timedelta(seconds=9))
    told = "demo-a-head: it failed, as did 2 before it; the next is made at 2030-01-01T12:00:09Z"
    assert head_ready(result) == ("False", "HeadPodWaiting", told)


def test_a_head_that_starts_is_what_is_waited_for() -> None:
    result = plan(named("next", phase="Pending"), head(phase="Failed", failures=2, age=1))
    assert result.status.reason == "the head is not up"


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"phase": "Failed"}, "it failed"),
        ({"phase": "Succeeded"}, "it ended"),
        ({"ended": True, "restart_policy": "Never", "beside": "x"}, "it failed (Error)"),
        ({"phase": "Failed", "waiting": "ContainerCreating"}, "it failed"),
    ],
)
def test_it_is_told_how_a_head_ended(ended: dict[str, Any], words: str) -> None:
    told = [announcement.message for announcement in announced(plan(head(**ended)))]
    assert told == ["Created the head pod", f"Deleted demo-a-head: {words}"]


@pytest.mark.parametrize(
    ("heads", "expected"),
    [
        ([], None),
        ([named("a", phase="Failed", failures=1, age=30), named("b", phase="Failed", failures=3, age=30)], "4"),
    ],
)
def test_a_head_says_how_many_in_a_row_failed_before_it(heads: list[PodView], expected: str | None) -> None:
    [new] = [action for action in actions_of(plan(*heads)) if isinstance(action, Create)]
    assert (new.manifest["metadata"].get("annotations") or {}).get(labels.FAILURES) == expected
