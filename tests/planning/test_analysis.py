"""What a new cluster is held against while it is to take over."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.planning.observed import ObservedCluster, Traffic
from rayserve_operator.planning.service.analysis import is_measured, is_tried
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    actions_of,
    ago,
    aim_at,
    cluster_config,
    in_words,
    revision,
    service_spec,
    side,
    world,
)

OLD = aim_at(service_spec())
LIMITS = {"maxErrorPercent": 5, "maxLatencyPercent": 200}
SMOKE = {"smokeRequests": [{"path": "/ok"}, {"path": "/teapot", "status": 418}]}
BASE = {
    "old": {"requests": 0, "errors": 0, "milliseconds": 0.0},
    "new": {"requests": 0, "errors": 0, "milliseconds": 0.0},
}
WELL = Traffic(100, 0, 1000)


def goal(**analysis: Any) -> Any:
    steps = {"steps": [20], "intervalSeconds": 60}
    strategy = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": steps, "analysis": analysis}
    return aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy=strategy))


def plan(
    aim: Any, old: Traffic | None, new: Traffic | None, *, base: Any = BASE, since: float = 30, **fields: Any
) -> Any:
    """While the new cluster takes 20% of the traffic, for so many seconds."""
    notes = {labels.SHARE: json.dumps({"percent": 20, "since": ago(since)})} | fields.pop("notes", {})
    if base is not None:
        notes[labels.MEASURED] = json.dumps(base)
    serving = replace(side("demo-a", OLD, 4, routed=600), traffic=old)
    pending = side("demo-b", aim, 1, routed=60, created=300, notes=notes)
    pending = replace(pending, traffic=new, **fields)
    revisions = (revision(OLD), revision(aim, 2, started=600))
    return plan_service(world(aim, serving, pending, active=serving, revisions=revisions, shared=True), aim, NOW)


def given_up(result: Any) -> str | None:
    """Why, if it is."""
    noted = [a.annotations for a in actions_of(result) if getattr(a, "annotations", None)]
    found = next((a[labels.FAILED] for a in noted if labels.FAILED in a), None)
    if found is None:
        return None
    why = json.loads(found)
    assert why["reason"] == "AnalysisFailed"
    return str(why["message"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (WELL, WELL, None),
        (WELL, Traffic(100, 5, 1000), None),
        (WELL, Traffic(100, 6, 1000), "6% of 100 answers are errors, and 0% of the old cluster's"),
        (Traffic(100, 10, 1000), Traffic(100, 9, 1000), None),
        (WELL, Traffic(19, 19, 1000), None),
        (WELL, Traffic(20, 20, 200), "100% of 20 answers are errors, and 0% of the old cluster's"),
        (WELL, Traffic(50, 0, 1000), None),
        (WELL, Traffic(50, 0, 1100), "50 answers took 22 ms in the mean, and those of the old cluster 10 ms"),
        (Traffic(19, 0, 19), Traffic(50, 0, 50_000), None),
        (
            Traffic(20, 0, 20),
            Traffic(50, 0, 50_000),
            "50 answers took 1000 ms in the mean, and those of the old cluster 1 ms",
        ),
        (Traffic(0, 0, 0.0), WELL, None),
        (Traffic(0, 0, 0.0), Traffic(100, 100, 1000), "100% of 100 answers are errors, and 0% of the old cluster's"),
        (None, Traffic(100, 100, 1000), None),
        (WELL, None, None),
    ],
)
def test_answers_are_held_against_those_of_the_old_cluster(
    old: Traffic | None, new: Traffic | None, words: str | None
) -> None:
    expected = None if words is None else f"cluster demo-b: {words}"
    assert given_up(plan(goal(**LIMITS), old, new)) == expected


def test_only_what_is_limited_is_held_against_it() -> None:
    bad = Traffic(100, 100, 1e6)
    assert given_up(plan(goal(), WELL, bad)) is None
    assert "errors" in (given_up(plan(goal(maxErrorPercent=1), WELL, bad)) or "")
    assert "mean" in (given_up(plan(goal(maxLatencyPercent=100), WELL, bad)) or "")


def test_the_fewest_requests_can_be_said() -> None:
    assert given_up(plan(goal(**LIMITS, minRequests=200), WELL, Traffic(199, 199, 0))) is None
    assert given_up(plan(goal(**LIMITS, minRequests=200), WELL, Traffic(200, 200, 0))) is not None


def test_counts_begin_with_the_share() -> None:
    begun = plan(goal(**LIMITS), WELL, Traffic(7, 1, 70), base=None)
    [noted] = [a.annotations for a in actions_of(begun)]
    assert json.loads(noted[labels.MEASURED]) == {
        "old": {"requests": 100, "errors": 0, "milliseconds": 1000},
        "new": {"requests": 7, "errors": 1, "milliseconds": 70},
    }
    before = {"old": BASE["old"], "new": {"requests": 100, "errors": 100, "milliseconds": 1.0}}
    assert given_up(plan(goal(**LIMITS), WELL, Traffic(130, 100, 300), base=before)) is None
    assert given_up(plan(goal(**LIMITS), WELL, Traffic(90, 90, 300), base=before)) is None


@pytest.mark.parametrize("traffic", [(None, WELL), (WELL, None)])
def test_counts_begin_when_both_are_known(traffic: tuple[Traffic | None, Traffic | None]) -> None:
    assert in_words(plan(goal(**LIMITS), *traffic, base=None)) == []


def test_what_is_not_limited_is_not_counted() -> None:
    assert in_words(plan(goal(), WELL, WELL, base=None)) == []


@pytest.mark.parametrize("base", [{}, {"old": {}}, {"old": {"requests": 1}, "new": {"a": 1}}])
def test_a_note_that_a_hand_has_spoilt_holds_nothing_back(base: Any) -> None:
    assert given_up(plan(goal(**LIMITS), WELL, Traffic(100, 100, 1000), base=base)) is None


def test_with_the_next_share_counting_begins_anew() -> None:
    steps = {"steps": [20, 50], "intervalSeconds": 60}
    strategy = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": steps, "analysis": LIMITS}
    aim = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy=strategy))
    assert in_words(plan(aim, WELL, WELL, since=61)) == ["note share, not measured on demo-b"]


GOOD = {"/ok": 200, "/teapot": 418}


@pytest.mark.parametrize(
    ("smoke", "words"),
    [
        (GOOD, None),
        (None, "its smoke requests were not sent yet"),
        ({"/ok": 500, "/teapot": 418}, "GET /ok gave 500 and not 200"),
        ({"/ok": 200, "/teapot": None}, "GET /teapot gave no answer and not 418"),
        ({}, "GET /ok gave no answer and not 200; GET /teapot gave no answer and not 418"),
    ],
)
def test_smoke_requests_hold_it_back_until_they_are_answered_well(smoke: Any, words: str | None) -> None:
    result = plan(goal(**SMOKE), None, None, smoke=smoke, since=600)
    moves = "point demo-serve-svc at demo-b" in in_words(result)
    assert moves is (words is None)
    told = {c.type: c for c in result.status.conditions}["Reconciling"]
    if words is not None:
        assert told.reason == "AnalyzingAnswers"
        assert told.message == f"demo-b takes 20% of the traffic (1 of 5 pods): {words}"


@pytest.mark.parametrize(("since", "is_given_up"), [(14, False), (15, True)])
def test_smoke_that_stays_is_given_up(since: float, is_given_up: bool) -> None:
    notes = {labels.SMOKE_SINCE: ago(since)}
    result = plan(goal(**SMOKE), None, None, smoke={"/ok": 500, "/teapot": 418}, notes=notes)
    assert (given_up(result) == "cluster demo-b: GET /ok gave 500 and not 200") is is_given_up


def test_the_time_of_smoke_is_noted_and_forgotten() -> None:
    assert "note smoke-since on demo-b" in in_words(plan(goal(**SMOKE), None, None, smoke={}))
    notes = {labels.SMOKE_SINCE: ago(5)}
    assert in_words(plan(goal(**SMOKE), None, None, smoke={}, notes=notes)) == []
    assert in_words(plan(goal(**SMOKE), None, None, smoke=None, notes=notes)) == ["note not smoke-since on demo-b"]
    assert "note not smoke-since on demo-b" in in_words(plan(goal(**SMOKE), None, None, smoke=GOOD, notes=notes))


def test_smoke_of_what_ran_before_is_not_held_against_a_new_goal() -> None:
    aim, noted = goal(**SMOKE), {labels.SMOKE_SINCE: ago(60), labels.REVISION: "another"}
    result = plan(aim, None, None, smoke={"/ok": 500}, notes=noted)
    [note] = [action for action in actions_of(result) if getattr(action, "name", None) == "demo-b"]
    assert (note.annotations[labels.REVISION], note.annotations[labels.SMOKE_SINCE]) == (aim.goal.revision, None)


def test_smoke_that_has_cleared_hides_no_bad_answers() -> None:
    notes = {labels.SMOKE_SINCE: ago(60)}
    result = plan(goal(**SMOKE, **LIMITS), WELL, Traffic(100, 100, 1000), smoke=GOOD, notes=notes)
    assert "errors" in (given_up(result) or "")


def test_smoke_requests_go_to_the_cluster_that_is_to_take_over_where_any_are_asked_for() -> None:
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", goal(), 0)

    def tried(aim: Any, *found: ObservedCluster, **fields: Any) -> list[str]:
        roles = assign_roles(world(aim, *found, **fields), aim.goal)
        return [one.name for one in found if is_tried(one, aim.goal, roles)]

    assert tried(goal(**SMOKE), old, new, active=old) == ["demo-b"]
    assert tried(goal(), old, new, active=old) == []
    assert tried(goal(**SMOKE), new) == []


@pytest.mark.parametrize(
    ("analysis", "percent", "matters"),
    [(LIMITS, 1, True), (LIMITS, 0, False), (LIMITS, None, False), ({}, 20, False)],
    ids=["it is limited", "nothing is taken yet", "nothing is shared", "nothing is limited"],
)
def test_traffic_is_counted_while_it_is_shared_and_limited(
    analysis: dict[str, int], percent: int | None, matters: bool
) -> None:
    aim, notes = goal(**analysis), {labels.SHARE: json.dumps({"percent": percent, "since": ago(1)})}
    old, new = side("demo-a", OLD, 4, routed=600), side("demo-b", aim, 1, notes=notes)
    assert is_measured(aim.goal, assign_roles(world(aim, old, new, active=old), aim.goal)) is matters
    assert not is_measured(aim.goal, assign_roles(world(aim, new, active=new), aim.goal))


def test_a_first_start_is_held_against_nothing() -> None:
    aim = goal(**SMOKE)
    first = side("demo-b", aim, 0)
    found = in_words(plan_service(world(aim, first, revisions=(revision(aim),)), aim, NOW))
    assert "point demo-serve-svc at demo-b" in found
