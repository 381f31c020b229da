"""Clusters of their own whose pods are made anew when their template changes."""

from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Annotate, Create, Kind, Plan
from rayserve_operator.render import labels

from ..builders import actions_of, cluster_config, cluster_plan, head, in_words, pod, steps_of

RECREATE: dict[str, Any] = {"upgradeStrategy": {"type": "Recreate"}}
ANEW = ["delete worker", "delete demo-a-head"]


def head_made(**config: Any) -> dict[str, str]:
    """The annotations of a head that is made by such a config."""
    result = cluster_plan(cluster_config(**config))
    made = [action for action in actions_of(result) if isinstance(action, Create)]
    return dict(made[0].manifest["metadata"].get("annotations") or {})


def plan(notes: dict[str, str], **fields: Any) -> Plan[RayClusterStatus]:
    of_service = fields.pop("of_service", False)
    return cluster_plan(cluster_config(image="ray:2", **fields), head(notes=notes), pod(), of_service=of_service)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (RECREATE, ANEW),
        ({}, []),
        ({"upgradeStrategy": {"type": "None"}}, []),
    ],
    ids=["recreate", "nothing said", "none"],
)
def test_pods_are_made_anew_only_where_that_is_asked_for(fields: dict[str, Any], expected: list[str]) -> None:
    assert in_words(plan(head_made(**RECREATE), **fields)) == expected


def test_a_cluster_of_a_service_is_rolled_by_its_service() -> None:
    assert "delete worker" not in in_words(plan(head_made(**RECREATE), of_service=True, **RECREATE))


def test_a_note_that_cannot_be_read_recreates_nothing() -> None:
    assert in_words(plan({labels.MADE_FROM: "{"}, **RECREATE)) == []


@pytest.mark.parametrize(("config", "expected"), [(RECREATE, True), ({}, False)], ids=["asked for", "not"])
def test_a_head_remembers_what_it_was_made_from_where_that_matters(config: dict[str, Any], expected: bool) -> None:
    assert (labels.MADE_FROM in head_made(**config)) is expected


def test_a_head_that_is_there_already_is_told_what_it_was_made_from() -> None:
    [[noted]] = steps_of(cluster_plan(cluster_config(**RECREATE), head(), pod()))
    notes = {labels.MADE_FROM: head_made(**RECREATE)[labels.MADE_FROM]}
    assert noted == Annotate(kind=Kind.POD, name="demo-a-head", uid="uid-demo-a-head", annotations=notes)


def test_a_head_that_leaves_needs_no_memory() -> None:
    assert in_words(cluster_plan(cluster_config(**RECREATE), head(leaving=True), pod())) == []
