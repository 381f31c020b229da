"""Which revisions are kept."""

from __future__ import annotations

from typing import Any

from rayserve_operator.planning.actions import Delete, Kind
from rayserve_operator.planning.observed import RevisionView
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels

from ..builders import NOW, actions_of, aim_at, cluster, cluster_config, in_words, revision, service_spec, world

LIMIT = 2


def aim(image: int, limit: int | None = LIMIT) -> Any:
    config, strategy = cluster_config(image=f"ray:{image}"), {"revisionHistoryLimit": limit}
    return aim_at(service_spec(config, upgradeStrategy={} if limit is None else strategy))


GOAL = aim(9)
PAST = [revision(aim(number), number) for number in range(1, 9)]
PRESENT = revision(GOAL, 9)


def name(number: int) -> str:
    return PAST[number - 1].meta.name


def deleted(goal: Any, *found: RevisionView, **notes: str) -> list[str]:
    serving = cluster("demo-a", goal, routed=600, notes=notes)
    plan = plan_service(world(goal, serving, active=serving, revisions=found), goal, NOW)
    actions = [action for action in actions_of(plan) if isinstance(action, Delete)]
    assert {action.kind for action in actions} <= {Kind.REVISION}
    assert {action.uid for action in actions} == {f"uid-{action.name}" for action in actions}
    return [action.name for action in actions]


def test_the_oldest_go_beyond_the_limit_whatever_order_they_come_in() -> None:
    assert deleted(GOAL, PRESENT, *reversed(PAST)) == [name(number) for number in range(1, 7)]
    assert deleted(GOAL, *PAST[-2:], PRESENT) == []
    assert deleted(aim(9, 0), *PAST[-2:], PRESENT) == [name(7), name(8)]


def test_ten_are_kept_where_nothing_is_said() -> None:
    goal = aim(20, None)
    past = [revision(aim(number), number) for number in range(1, 14)]
    assert len(deleted(goal, *past, revision(goal, 20))) == 3


def test_what_a_cluster_serves_or_has_served_stays_and_counts_for_nothing() -> None:
    served = deleted(GOAL, *PAST, PRESENT, **{labels.SERVED: name(1)})
    assert served == [name(number) for number in range(2, 7)]


def test_what_a_cluster_that_leaves_was_given_stays() -> None:
    serving = cluster("demo-b", GOAL, routed=10)
    old = cluster("demo-a", aim(1), leaving=True)
    observed = world(GOAL, old, serving, active=serving, revisions=(*PAST[:4], PRESENT))
    assert in_words(plan_service(observed, GOAL, NOW)) == [f"delete {name(2)}"]


def test_the_goal_stays_though_no_cluster_has_it_yet() -> None:
    goal, serving = aim(9, 0), cluster("demo-a", aim(8), routed=600)
    observed = world(goal, serving, active=serving, revisions=(*PAST[-2:], PRESENT))
    done = in_words(plan_service(observed, goal, NOW))
    assert [words for words in done if words.startswith("delete")] == [f"delete {name(7)}"]


def test_nothing_goes_before_it_is_written_down_what_is_aimed_at() -> None:
    assert deleted(GOAL, *PAST) == []
    assert deleted(GOAL, revision(GOAL, 1), *PAST[1:]) == []
