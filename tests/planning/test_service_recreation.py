"""What `upgradeStrategy.type: Recreate` does to a RayService: one cluster at a time, and the last good one returns."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.actions import Annotate, Announcement, Apply, Confirm, Plan
from rayserve_operator.planning.observed import Failure, ObservedCluster, ObservedService, Silence
from rayserve_operator.planning.service import keeping
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import comes_back
from rayserve_operator.render import labels, names

from ..builders import (
    NAME,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
    announced,
    answer,
    cluster,
    cluster_config,
    group,
    head,
    in_words,
    pod,
    revision,
    service_spec,
    steps_of,
    world,
)

ALONE = {"type": "Recreate"}


def aim(image: str, **fields: Any) -> Aim:
    return aim_at(service_spec(cluster_config(image=image), **{"upgradeStrategy": ALONE, **fields}))


FIRST, SECOND = aim("ray:1"), aim("ray:2")
GOOD, BAD = FIRST.goal.revision, SECOND.goal.revision
BLUE_GREEN = aim("ray:2", upgradeStrategy={})
OLD = cluster("demo-a", FIRST, routed=900)
NOBODY = cluster(labels.NO_CLUSTER, SECOND, pods=())
"""What the Services lead to while they lead nowhere."""
BEGUN = (revision(FIRST), revision(SECOND, 2))
MARKED = (revision(FIRST, last_good=ago(50)), revision(SECOND, 2))
GIVEN_UP = (revision(FIRST, last_good=ago(50)), revision(SECOND, 2, failed="CrashLoop"))
FAILED = Failure("CrashLoop", "why", since=ago(1))
RETURNING = replace(FIRST, goal=replace(FIRST.goal, instead_of=FAILED))
CAME_BACK = (revision(FIRST, attempt=2, started=1, last_good=FAILED.since), GIVEN_UP[1])


def serving(goal: Aim, *others: ObservedCluster, **fields: Any) -> Plan[Any]:
    """What happens while the old cluster takes traffic."""
    observed = world(goal, OLD, *others, active=OLD, **{"revisions": BEGUN, **fields})
    return plan_service(observed, goal, NOW)


def detached(goal: Aim, *found: ObservedCluster, **fields: Any) -> ObservedService:
    return world(goal, *found, active=NOBODY, **{"revisions": MARKED, **fields})


def plan(goal: Aim, *found: ObservedCluster, **fields: Any) -> Plan[Any]:
    """What happens while the Services lead nowhere."""
    return plan_service(detached(goal, *found, **fields), goal, NOW)


def done(goal: Aim, *found: ObservedCluster, **fields: Any) -> list[str]:
    return in_words(plan(goal, *found, **fields))


# The old cluster leaves first. --------------------------------------------------------------------------------------


def test_the_old_cluster_loses_the_traffic_before_another_one_is_made() -> None:
    result = serving(SECOND)
    assert in_words(result) == [
        f"note last-good on {GOOD}",
        "confirm demo",
        "point demo-serve-svc at no_cluster",
        "point demo-head-svc at no_cluster",
    ]
    words = "No cluster takes traffic from now on: demo-a leaves before another one is made"
    assert announced(result) == [Announcement("StoppedTraffic", words, "Warning")]


def test_the_traffic_is_taken_from_it_as_the_service_was_seen_and_in_one_write() -> None:
    drifted = world(SECOND, OLD, active=OLD, revisions=BEGUN, selects="elsewhere")
    observed = replace(drifted, service=replace(drifted.service, meta=replace(drifted.service.meta, version="41")))
    result = plan_service(observed, SECOND, NOW)
    assert [action.version for action in actions_of(result) if isinstance(action, Confirm)] == ["41"]
    assert [word for word in in_words(result) if "serve-svc" in word] == ["point demo-serve-svc at no_cluster"]


def test_services_that_lead_nowhere_have_the_ports_of_the_goal() -> None:
    moved = aim("ray:2", serveConfigV2="{http_options: {port: 8100}, applications: []}")
    result = serving(moved, revisions=(revision(FIRST), revision(moved, 2)))
    [serve, _] = [action.manifest for action in actions_of(result) if isinstance(action, Apply)]
    assert [port["port"] for port in serve["spec"]["ports"] if port["name"] == "serve"] == [8100]


def test_what_came_of_an_earlier_drain_is_forgotten_first() -> None:
    again = cluster("demo-a", FIRST, routed=900, retired=100)
    words = in_words(plan_service(world(SECOND, again, active=again, revisions=MARKED), SECOND, NOW))
    assert words[:2] == ["note not retired-at on demo-a", "confirm demo"]


def test_a_cluster_that_is_not_fit_beside_the_old_one_waits_for_its_room() -> None:
    pending = cluster("demo-b", SECOND, pods=(head("demo-b", phase="Pending", unschedulable="no cpu"),))
    words = in_words(serving(SECOND, pending))
    assert words[-2:] == ["point demo-serve-svc at no_cluster", "point demo-head-svc at no_cluster"]
    assert not [word for word in words if "demo-b" in word]


def test_to_one_that_is_fit_the_traffic_simply_moves() -> None:
    words = in_words(serving(SECOND, cluster("demo-b", SECOND)))
    assert words[-2:] == ["point demo-serve-svc at demo-b", "point demo-head-svc at demo-b"]
    assert "last-good" not in " ".join(words)


def test_what_changes_in_place_costs_no_downtime() -> None:
    edited = aim("ray:1", serveConfigV2=OTHER_APP)
    words = in_words(serving(edited, revisions=(revision(FIRST), revision(edited, 2))))
    assert words == ["note revision on demo-a", "submit app:y to demo-a"]


@pytest.mark.parametrize(("behind", "expected"), [(["demo-a-worker"], []), ([], ["note retired-at on demo-a"])])
def test_it_is_drained_when_the_slices_name_it_no_more(behind: list[str], expected: list[str]) -> None:
    assert done(SECOND, OLD, endpoints=behind) == expected


@pytest.mark.parametrize(
    ("ended", "pods", "expected"),
    [
        (29, (pod(leaving=True),), []),
        (30, (pod(leaving=True),), ["confirm demo-serve-svc", "delete demo-a"]),
        (1, (), ["confirm demo-serve-svc", "delete demo-a"]),
    ],
    ids=["a pod still ends", "on a lost node it may never", "all are gone"],
)
def test_it_is_kept_for_a_while_until_its_pods_are_gone(ended: float, pods: Any, expected: list[str]) -> None:
    leaving = cluster("demo-a", FIRST, routed=900, retired=100, ended=ended, pods=pods)
    result = plan(SECOND, leaving)
    assert in_words(result) == expected
    assert expected or result.recheck_after == timedelta(seconds=0.5)


def test_one_of_which_nobody_can_tell_when_it_ended_is_not_waited_for() -> None:
    noted = {labels.ENDED_AT: "lately"}
    leaving = cluster("demo-a", FIRST, routed=900, retired=100, notes=noted, pods=(pod(leaving=True),))
    assert done(SECOND, leaving) == ["confirm demo-serve-svc", "delete demo-a"]


def test_what_comes_back_keeps_the_numbers_that_it_has() -> None:
    scaled = cluster("demo-c", FIRST, config=cluster_config(group(maxReplicas=9), image="ray:1"))
    patched = "patch demo-c: /spec/workerGroupSpecs/0/maxReplicas"
    assert patched not in done(RETURNING, scaled, revisions=CAME_BACK)
    assert patched in done(FIRST, scaled, revisions=CAME_BACK[:1])


def test_a_revision_that_is_gone_cannot_come_back() -> None:
    course = Course(detached(RETURNING, revisions=GIVEN_UP[1:]), RETURNING.goal, NOW)
    assert list(keeping.keep_revision(course)) == []


def test_nothing_makes_room_for_a_first_start() -> None:
    assert not Course(world(FIRST, revisions=()), FIRST.goal, NOW).makes_room
    starting = world(FIRST, cluster("demo-a", FIRST, pods=()), revisions=(revision(FIRST),))
    assert not Course(starting, FIRST.goal, NOW).makes_room
    assert Course(world(SECOND, OLD, active=OLD, revisions=BEGUN), SECOND.goal, NOW).makes_room


def test_the_mark_of_an_earlier_recreation_gives_no_more_time_while_something_serves() -> None:
    marked = (revision(FIRST, last_good=ago(1)), revision(SECOND, 2))
    course, unmarked = (
        Course(world(SECOND, OLD, active=OLD, revisions=found), SECOND.goal, NOW) for found in (marked, BEGUN)
    )
    assert course.deadline == unmarked.deadline is not None


def test_in_blue_green_nobody_waits_for_pods_that_end() -> None:
    leaving = cluster("demo-a", FIRST, routed=900, retired=100, ended=1, pods=(pod(leaving=True),))
    new = cluster("demo-b", BLUE_GREEN, routed=100)
    found = world(BLUE_GREEN, leaving, new, active=new, revisions=BEGUN)
    assert in_words(plan_service(found, BLUE_GREEN, NOW)) == ["confirm demo-serve-svc", "delete demo-a"]


def test_the_new_one_is_made_when_the_old_one_has_gone() -> None:
    assert done(SECOND, cluster("demo-a", FIRST, routed=900, retired=10)) == []
    [made] = done(SECOND)
    assert made.startswith("make RayCluster demo-")


def test_a_first_cluster_too_makes_room_for_the_next() -> None:
    never_served = cluster("demo-a", FIRST, pods=(pod(leaving=True),), ended=1)
    assert in_words(plan_service(world(SECOND, never_served, revisions=BEGUN), SECOND, NOW)) == []


def test_while_nothing_serves_the_service_is_kept_from_leading_anywhere() -> None:
    assert done(SECOND, cluster("demo-a", FIRST, routed=900, retired=10), selects="demo-a") == [
        "point demo-serve-svc at no_cluster"
    ]


def test_the_new_one_takes_the_traffic_as_at_a_first_start() -> None:
    words = done(SECOND, cluster("demo-b", SECOND))
    assert words == [
        "note routed-at, served-revision on demo-b",
        "confirm demo-b",
        "point demo-serve-svc at demo-b",
        "point demo-head-svc at demo-b",
    ]


def test_the_mark_goes_when_a_cluster_serves() -> None:
    new = cluster("demo-b", SECOND, routed=10)
    assert in_words(plan_service(world(SECOND, new, active=new, revisions=MARKED), SECOND, NOW)) == [
        f"note not last-good on {GOOD}"
    ]


def test_going_back_while_the_old_one_is_drained_takes_it_up_again() -> None:
    words = done(FIRST, cluster("demo-a", FIRST, routed=900, retired=10), revisions=(MARKED[1], revision(FIRST, 3)))
    assert words == [
        "note not retired-at on demo-a",
        "confirm demo-a",
        "point demo-serve-svc at demo-a",
        "point demo-head-svc at demo-a",
    ]


# The last good revision comes back. ---------------------------------------------------------------------------------

BROKEN = cluster("demo-b", SECOND, pods=(head("demo-b", waiting="CrashLoopBackOff", restarts=3, started=False),),
                 serve=Silence("no head"))  # fmt: skip


@pytest.mark.parametrize(
    ("revisions", "expected"), [(MARKED, [f"note failed on {BAD}"]), (BEGUN, [])], ids=["something good", "nothing"]
)
def test_a_new_one_is_given_up_where_something_good_can_come_back(revisions: Any, expected: list[str]) -> None:
    assert done(SECOND, BROKEN, revisions=revisions) == expected


def test_what_was_given_up_is_so_only_once() -> None:
    assert done(SECOND, BROKEN, revisions=GIVEN_UP) == []


def test_what_comes_back_is_not_given_up_itself() -> None:
    broken = cluster("demo-c", FIRST, pods=BROKEN.pods, serve=BROKEN.serve)
    assert done(RETURNING, broken, revisions=CAME_BACK) == []


@pytest.mark.parametrize(
    ("goal", "observed", "expected"),
    [
        (SECOND, detached(SECOND, BROKEN, revisions=GIVEN_UP), FAILED),
        (SECOND, detached(SECOND, BROKEN), None),
        (SECOND, detached(SECOND, BROKEN, revisions=(BEGUN[0], GIVEN_UP[1])), None),
        (SECOND, world(SECOND, OLD, active=OLD, revisions=GIVEN_UP), None),
        (FIRST, detached(FIRST, revisions=(GIVEN_UP[1], revision(FIRST, 3, failed="CrashLoop", last_good=""))), None),
    ],
    ids=["given up", "under way", "nothing good", "while a cluster serves", "the good one itself"],
)
def test_the_last_good_one_comes_back_where_the_goal_was_given_up_and_nothing_serves(
    goal: Aim, observed: ObservedService, expected: Failure | None
) -> None:
    found = comes_back(observed, goal.goal)
    assert found is None or found == replace(FAILED, means=found.means)
    assert (found is None) == (expected is None)


def test_its_return_is_noted_and_told_before_anything_is_made() -> None:
    result = plan(RETURNING, revisions=GIVEN_UP)
    words = in_words(result)
    assert words[0] == f"note cluster-part, attempt, started-at, last-good on {GOOD}"
    [note] = steps_of(result)[0]
    assert isinstance(note, Annotate)
    noted = note.annotations or {}
    assert (noted[labels.LAST_GOOD], noted[labels.ATTEMPT]) == (FAILED.since, "2")
    [told, _] = announced(result)
    assert (told.reason, told.type) == ("RestoringRevision", "Warning")
    assert told.message == f"Revision {GOOD} comes back, because the one after it was given up: why"


def test_the_one_that_failed_makes_room_too() -> None:
    assert done(RETURNING, BROKEN, revisions=CAME_BACK) == [
        "confirm demo-serve-svc",
        "note ended-at on demo-b",
        "delete demo-b-head",
    ]
    [_, noted, _] = steps_of(plan(RETURNING, BROKEN, revisions=CAME_BACK))
    assert noted[0].announce is not None
    assert noted[0].announce.message == "The pods of demo-b end: its rollout was given up"


def test_it_is_made_anew_under_a_name_of_its_own_that_stays() -> None:
    first, again = (done(RETURNING, revisions=CAME_BACK) for _ in range(2))
    name = names.ray_cluster_name(NAME, "service", FIRST.goal.part_digest, CAME_BACK[0].attempt)
    assert first == again == [f"make RayCluster {name}"]


def test_once_it_serves_the_goal_stays_given_up() -> None:
    restored = cluster("demo-c", FIRST, routed=10)
    observed = world(SECOND, restored, active=restored, revisions=CAME_BACK)
    assert in_words(plan_service(observed, SECOND, NOW)) == [f"note not last-good on {GOOD}"]


def test_no_revision_is_deleted_that_may_come_back_or_that_was_given_up() -> None:
    strict = aim("ray:2", upgradeStrategy=ALONE | {"revisionHistoryLimit": 0})
    assert not [word for word in done(strict) if word.startswith("delete")]
    returning = replace(strict, goal=replace(RETURNING.goal, spec=strict.goal.spec))
    assert not [word for word in done(returning, revisions=CAME_BACK) if word.startswith("delete")]


def test_choosing_it_is_a_reason_to_try_again() -> None:
    assert SECOND.goal.means != BLUE_GREEN.goal.means


def test_the_deadline_counts_from_when_traffic_ended() -> None:
    annotated = {labels.INITIALIZING_TIMEOUT: "10"}
    marked = (revision(FIRST, last_good=ago(5)), revision(SECOND, 2, started=500))
    course = Course(detached(SECOND, revisions=marked, notes=annotated), SECOND.goal, NOW)
    assert course.deadline == NOW + timedelta(seconds=1800 - 5)


# What is told. ------------------------------------------------------------------------------------------------------


def told(result: Plan[Any], type_: str) -> tuple[str, str, str] | None:
    found = (c for c in result.status.conditions if c.type == type_)
    return next(((c.status, c.reason, c.message) for c in found), None)


def test_the_downtime_is_told() -> None:
    words = "no cluster takes traffic while the old one leaves and another one is made"
    result = plan(SECOND, cluster("demo-a", FIRST, routed=900, retired=10))
    assert told(result, "Ready") == ("False", "Recreating", words)
    assert told(result, "UpgradeInProgress") == ("True", "Recreating", words)
    assert told(result, "Stalled") is None
    drained = "demo-a is drained; a cluster is created when that has gone"
    assert told(result, "Reconciling") == ("True", "Provisioning", drained)


def test_a_drain_that_takes_long_is_nothing_overdue() -> None:
    revisions = (revision(FIRST, last_good=ago(2000)), revision(SECOND, 2, started=3000))
    leaving = cluster("demo-a", FIRST, routed=9000, retired=2000, ongoing=1)
    assert told(plan(SECOND, leaving, revisions=revisions), "Stalled") is None


def test_the_one_that_failed_is_waited_for() -> None:
    words = told(plan(SECOND, cluster("demo-b", aim("ray:3"), serve=answer())), "Reconciling")
    assert words == ("True", "Provisioning", "demo-b leaves; a cluster is created when that has gone")


def test_the_return_is_told_as_what_stopped_the_goal() -> None:
    found = told(plan(RETURNING, revisions=CAME_BACK), "Stalled")
    assert found == ("True", "CrashLoop", "why; the last good revision comes back; change the spec to try again")
