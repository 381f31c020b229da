"""Rollouts that fail: when they are given up, what is left then, and what is never given up."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.observed import ContainerView, ObservedCluster, PodView, Silence
from rayserve_operator.planning.service import giving_up
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.status import blamed
from rayserve_operator.render import labels

from ..builders import (
    NOTHING_DEPLOYED,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
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

RESTING = timedelta(seconds=11)
FIRST = aim_at(service_spec())
IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
EDIT = aim_at(service_spec(app=OTHER_APP))
SERVING = cluster(routed=600)
FAILED = answer(status="DEPLOY_FAILED", message="Traceback\n  File x\nImportError: no y")


def plan(observed: Any, goal: Aim) -> Any:
    return plan_service(observed, goal, NOW)


def upgrade(pending: Any, goal: Aim = IMAGE, **of_revision: Any) -> Any:
    revisions = (revision(FIRST), revision(goal, 2, **of_revision))
    return plan(world(goal, SERVING, pending, active=SERVING, revisions=revisions), goal)


def edit(active: Any, goal: Aim = EDIT, **of_revision: Any) -> Any:
    return plan(world(goal, active, active=active, revisions=(revision(FIRST), revision(goal, 2, **of_revision))), goal)


def with_init(found: PodView, *, waiting: str, restarts: int = 0) -> PodView:
    """The pod with an init container that waits."""
    status = {"name": "init", "state": {"waiting": {"reason": waiting}}, "restartCount": restarts}
    return replace(found, init_containers=(ContainerView.parse(status),))


def recheck(goal: Aim, *found: ObservedCluster, **fields: Any) -> float | None:
    """Seconds after which time alone may make a failure of the goal."""
    wait = giving_up.recheck(Course(world(goal, *found, **fields), goal.goal, NOW))
    return None if wait is None else wait.total_seconds()


def given_up(result: Any) -> tuple[str, str] | None:
    """Reason and message of the note on the revision, if that is all that is done."""
    done = in_words(result)
    if len(done) != 1 or not done[0].startswith("note failed on "):
        return None
    noted = json.loads(steps_of(result)[0][0].annotations[labels.FAILED])
    return noted["reason"], noted["message"]


def tries(goal: Aim, failed: int, words: str = "") -> dict[str, str]:
    said = {"words": words} if words else {}
    return {labels.SERVE_TRIES: json.dumps({"config": goal.goal.serve.digest, "failed": failed, **said})}


def condition(result: Any, type_: str) -> tuple[str, str, str] | None:
    found = (c for c in result.status.conditions if c.type == type_)
    return next(((c.status, c.reason, c.message) for c in found), None)


def no_image_for(seconds: float) -> dict[str, str]:
    return {labels.NO_IMAGE_SINCE: ago(seconds)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"pods": (head(phase="Pending", waiting="ImagePullBackOff"),), "notes": no_image_for(60)}, "ImageError"),
        ({"pods": (head(phase="Pending", waiting="ImagePullBackOff"),), "notes": no_image_for(59)}, None),
        ({"pods": (head(phase="Pending", waiting="ImagePullBackOff", age=500),)}, None),
        ({"pods": (head(), pod(phase="Pending", waiting="InvalidImageName")), "notes": no_image_for(70)}, "ImageError"),
        (
            {"pods": (with_init(head(phase="Pending"), waiting="ErrImagePull"),), "notes": no_image_for(70)},
            "ImageError",
        ),
        (
            {"pods": (head(), pod(phase="Pending", waiting="ErrImagePull", leaving=True)), "notes": no_image_for(70)},
            None,
        ),
        ({"pods": (head(phase="Pending", waiting="ContainerCreating"),), "notes": no_image_for(500)}, None),
        ({"pods": (head(waiting="CrashLoopBackOff", restarts=3, started=False),)}, "CrashLoop"),
        ({"pods": (head(waiting="CrashLoopBackOff", restarts=2, started=False),)}, None),
        ({"pods": (head(restarts=3),)}, None),
        ({"pods": (with_init(head(phase="Pending"), waiting="CrashLoopBackOff", restarts=3),)}, "CrashLoop"),
        ({"pods": (head(), pod(failures=3, started=False))}, "CrashLoop"),
        ({"pods": (head(), pod(failures=3, phase="Failed"))}, "CrashLoop"),
        ({"pods": (head(), pod(failures=3))}, None),
        ({"pods": (head(), pod(failures=2, started=False))}, None),
        ({"pods": (head(phase="Pending", unschedulable="0/1 nodes"),)}, None),
    ],
)
def test_a_new_cluster_whose_pods_cannot_run_is_given_up(fields: dict[str, Any], expected: str | None) -> None:
    found = given_up(upgrade(cluster("demo-b", IMAGE, serve=Silence("no head"), **fields)))
    assert (found and found[0]) == expected


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
    ],
)
def test_an_image_that_cannot_be_had_is_the_fault_of_the_rollout(reason: str) -> None:
    pods = (head("demo-b", phase="Pending", waiting=reason),)
    failed = upgrade(cluster("demo-b", IMAGE, serve=Silence("no head"), pods=pods, notes=no_image_for(70)))
    assert given_up(failed) == ("ImageError", "demo-b-head, container ray")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"crash": "no y", "restarts": 2}, "exit code 1, Error: no y"),
        ({}, "worker and those before it ended"),
    ],
)
def test_a_crash_loop_is_told_with_the_last_words_where_there_are_any(fields: dict[str, Any], words: str) -> None:
    pods = (head(), pod(failures=3, started=False, **fields))
    reason, message = given_up(upgrade(cluster("demo-b", IMAGE, serve=Silence("no head"), pods=pods))) or ("", "")
    assert reason == "CrashLoop"
    assert message.endswith(words)


def test_that_a_goal_was_given_up_is_noted_with_the_time() -> None:
    pods = (head("demo-b", phase="Pending", waiting="ImagePullBackOff"),)
    failed = upgrade(cluster("demo-b", IMAGE, serve=Silence("no head"), pods=pods, notes=no_image_for(70)))
    [[note]] = steps_of(failed)
    means = IMAGE.goal.means
    record = {"reason": "ImageError", "message": "demo-b-head, container ray", "means": means, "since": ago(0)}
    assert json.loads(note.annotations[labels.FAILED]) == record


def test_a_failure_is_noted_once_there_is_a_revision_to_note_it_on() -> None:
    pods = (head(phase="Pending", waiting="ImagePullBackOff"),)
    pending = cluster("demo-b", IMAGE, serve=Silence("no head"), pods=pods, notes=no_image_for(70))
    result = plan(world(IMAGE, SERVING, pending, active=SERVING, revisions=(revision(FIRST),)), IMAGE)
    assert in_words(result) == [f"make ControllerRevision {IMAGE.goal.revision}"]


def test_a_minute_without_an_image_begins_when_it_is_seen_and_ends_when_the_image_comes() -> None:
    def found(waiting: str, notes: dict[str, str]) -> list[str]:
        pods = (head(phase="Pending", waiting=waiting, age=500),)
        return in_words(upgrade(cluster("demo-b", IMAGE, pods=pods, serve=Silence("no head"), notes=notes)))

    assert found("ErrImagePull", {}) == ["note no-image-since on demo-b"]
    assert found("ImagePullBackOff", no_image_for(59)) == []
    assert found("ContainerCreating", no_image_for(59)) == ["note not no-image-since on demo-b"]
    pods = (head(phase="Pending", waiting="ErrImagePull"),)
    waits = upgrade(cluster("demo-b", IMAGE, pods=pods, serve=Silence("no head"), notes=no_image_for(55)))
    assert waits.recheck_after == timedelta(seconds=5)


@pytest.mark.parametrize(("leaving", "begins"), [(False, True), (True, False)], ids=["one that stays", "one that goes"])
def test_one_pod_without_an_image_is_enough_if_it_is_to_stay(leaving: bool, begins: bool) -> None:
    pods = (head("demo-b"), pod("one", "demo-b", phase="Pending", waiting="ErrImagePull", leaving=leaving))
    noted = in_words(upgrade(cluster("demo-b", IMAGE, pods=pods, serve=Silence("no head"))))
    assert noted == (["note no-image-since on demo-b"] if begins else [])


def test_a_new_cluster_is_given_up_at_its_deadline_with_what_it_waits_for() -> None:
    unschedulable = cluster(
        "demo-b", IMAGE, created=9999, pods=(head(phase="Pending", unschedulable="0/1 nodes"),), serve=Silence("")
    )
    assert given_up(upgrade(unschedulable, started=1799)) is None
    reason, message = given_up(upgrade(unschedulable, started=1800)) or ("", "")
    assert reason == "ProgressDeadlineExceeded"
    assert "1800 s" in message
    assert "fits no node: 0/1 nodes" in message


@pytest.mark.parametrize(
    ("words", "started", "expected"),
    [
        ("exceeded quota: rayclusters", 1800, "ProgressDeadlineExceeded"),
        ("exceeded quota: rayclusters", 1799, None),
        (None, 1800, None),
    ],
    ids=["overdue", "not yet", "not made for another reason"],
)
def test_so_is_a_rollout_for_which_no_cluster_may_be_made(
    words: str | None, started: float, expected: str | None
) -> None:
    revisions = (revision(FIRST), revision(IMAGE, 2, started=started))
    resting = plan(world(FIRST, SERVING, active=SERVING), FIRST).status
    status = blamed(resting, words, NOW) if words else resting
    found = given_up(plan(world(IMAGE, SERVING, active=SERVING, revisions=revisions, status=status), IMAGE))
    assert (found and found[0]) == expected
    assert found is None or found[1] == "no cluster was made in 1800 s: exceeded quota: rayclusters"


def kept_in(image: str = "ray:1", **options: Any) -> Aim:
    return aim_at(service_spec(cluster_config(image=image, gcsFaultToleranceOptions=options)))


@pytest.mark.parametrize(
    ("before", "after", "shared"),
    [
        ({"externalStorageNamespace": "mine"}, {"externalStorageNamespace": "mine"}, True),
        ({"externalStorageNamespace": "mine"}, {"externalStorageNamespace": "other"}, False),
        ({}, {}, False),
        (
            {"redisAddress": "a:1", "externalStorageNamespace": "mine"},
            {"redisAddress": "b:1", "externalStorageNamespace": "mine"},
            False,
        ),
        (
            {"backend": "rocksdb", "storage": {"claimName": "c"}},
            {"backend": "rocksdb", "storage": {"claimName": "c"}},
            True,
        ),
        ({"backend": "rocksdb"}, {"backend": "rocksdb"}, False),
    ],
)
def test_no_cluster_is_made_that_would_take_the_state_of_the_one_that_serves(
    before: dict[str, Any], after: dict[str, Any], shared: bool
) -> None:
    old, new = kept_in(**before), kept_in("ray:2", **after)
    serving = cluster("demo-a", old, routed=600)
    result = plan(world(new, serving, active=serving, revisions=(revision(old), revision(new, 2))), new)
    assert any(said.startswith("make RayCluster") for said in in_words(result)) is not shared
    if shared:
        noted = json.loads(steps_of(result)[0][0].annotations[labels.FAILED])
        assert noted["reason"] == "SharedState"
        assert noted["message"].startswith("a new cluster would take the state of demo-a (")


def test_what_would_be_shared_is_named_with_the_mend() -> None:
    old, new = (kept_in(image, externalStorageNamespace="mine") for image in ("ray:1", "ray:2"))
    serving = cluster("demo-a", old, routed=600)
    mend = "leave externalStorageNamespace or storage.claimName out, then each has its own, or give another"
    words = f"a new cluster would take the state of demo-a (Redis, namespace mine); {mend}"
    observed = world(new, serving, active=serving, revisions=(revision(old), revision(new, 2)))
    assert given_up(plan(observed, new)) == ("SharedState", words)


def test_the_state_of_a_cluster_that_goes_is_waited_for() -> None:
    goal = kept_in(externalStorageNamespace="mine")
    result = plan(world(goal, cluster("demo-a", goal, leaving=True)), goal)
    assert in_words(result) == []
    assert "demo-a still keeps its state" in (condition(result, "Reconciling") or ("", "", ""))[2]


def test_a_deadline_of_the_users_own_counts_and_is_awaited() -> None:
    hasty = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy={"progressDeadlineSeconds": 90}))
    waiting = cluster("demo-b", hasty, pods=(head(phase="Pending"),), serve=Silence("no head"))
    assert given_up(upgrade(waiting, hasty, started=90)) is not None
    resting = cluster(routed=600)
    revisions = (revision(FIRST), revision(hasty, 2, started=85))
    result = plan(world(hasty, resting, waiting, active=resting, revisions=revisions), hasty)
    assert result.recheck_after.total_seconds() == 5


def test_a_cluster_that_is_fit_is_not_given_up_however_late_it_is() -> None:
    late = upgrade(cluster("demo-b", IMAGE, created=9999), started=9999)
    assert "point demo-serve-svc at demo-b" in in_words(late)


def test_a_config_that_fails_to_deploy_is_sent_twice_more() -> None:
    again = ["note serve-tries on demo-b", "submit app:x to demo-b"]
    assert in_words(upgrade(cluster("demo-b", IMAGE, serve=FAILED))) == again
    assert in_words(upgrade(cluster("demo-b", IMAGE, serve=FAILED, notes=tries(IMAGE, 1)))) == again
    final = upgrade(cluster("demo-b", IMAGE, serve=FAILED, notes=tries(IMAGE, 2)))
    assert given_up(final) == ("DeployFailed", "application app: ImportError: no y")


@pytest.mark.parametrize("failed", [1, 2])
def test_a_failure_that_was_counted_is_not_counted_again_where_the_next_try_never_reached_ray(failed: int) -> None:
    noted = steps_of(upgrade(cluster("demo-b", IMAGE, serve=FAILED, notes=tries(IMAGE, failed - 1))))[0][0].annotations
    assert in_words(upgrade(cluster("demo-b", IMAGE, serve=FAILED, notes=noted))) == ["submit app:x to demo-b"]
    fails_again = upgrade(cluster("demo-b", IMAGE, serve=answer(status="DEPLOY_FAILED", sent=5), notes=noted))
    assert (given_up(fails_again) is not None) == (failed == 2)


def test_tries_of_another_config_do_not_count() -> None:
    result = upgrade(cluster("demo-b", IMAGE, serve=FAILED, notes=tries(EDIT, 2)))
    assert in_words(result) == ["note serve-tries on demo-b", "submit app:x to demo-b"]


def test_a_config_that_ray_refuses_is_given_up_after_three_refusals_with_rays_words() -> None:
    twice = cluster("demo-b", IMAGE, serve=NOTHING_DEPLOYED, notes=tries(IMAGE, 2, "env_vars: not a string"))
    [submitted] = steps_of(upgrade(twice))
    assert submitted[0].failed_before == 2
    thrice = cluster("demo-b", IMAGE, serve=NOTHING_DEPLOYED, notes=tries(IMAGE, 3, "env_vars: not a string"))
    assert given_up(upgrade(thrice)) == ("DeployFailed", "env_vars: not a string")


@pytest.mark.parametrize("failed", [2, 3])
def test_what_becomes_the_goal_again_is_tried_as_often_as_at_first(failed: int) -> None:
    rolled_back = cluster(routed=600, notes=tries(EDIT, failed, "refused"))
    revisions = (revision(FIRST), revision(EDIT, 2, failed="DeployFailed"), revision(IMAGE, 3))
    raised, noted, *_ = in_words(plan(world(EDIT, rolled_back, active=rolled_back, revisions=revisions), EDIT))
    assert (raised.split(":")[0], noted) == (f"patch {EDIT.goal.revision}", "note revision, not serve-tries on demo-a")


def test_once_given_up_the_new_cluster_goes_and_the_old_one_is_not_touched() -> None:
    result = upgrade(cluster("demo-b", IMAGE), failed="ImageError")
    assert in_words(result) == [
        "confirm demo-serve-svc",
        "note ended-at on demo-b",
        "delete demo-b-head",
        "delete demo-b-worker",
    ]
    status, reason, message = condition(result, "Stalled") or ("", "", "")
    assert (status, reason) == ("True", "ImageError")
    assert "demo-a goes on with the last good revision" in message
    assert (condition(result, "Ready") or "")[0] == "True"
    assert (condition(result, "UpgradeInProgress") or "")[0] == "False"
    assert (condition(result, "Reconciling") or "")[:2] == ("False", "Stalled")


OVERTAKEN = (revision(FIRST), revision(EDIT, 2), revision(IMAGE, 3))


def overtaken(report: Any, **notes: str) -> Any:
    """A cluster that was sent an edit in place which nobody has seen run."""
    noted = {labels.REVISION: EDIT.goal.revision, **notes}
    return cluster(routed=600, serve=report, assigned=EDIT.goal.serve, notes=noted)


def of_the_active(active: Any, goal: Aim = IMAGE) -> list[str]:
    pending = cluster("demo-b", goal, pods=(head(phase="Pending"),), serve=Silence("no head"))
    observed = world(goal, active, pending, active=active, revisions=OVERTAKEN)
    return [said for said in in_words(plan(observed, goal)) if said.startswith("note ") and said.endswith("on demo-a")]


def test_an_edit_in_place_that_a_rollout_has_overtaken_is_known_to_run_or_taken_back() -> None:
    assert of_the_active(overtaken(answer(OTHER_APP))) == ["note served-revision on demo-a"]
    assert of_the_active(overtaken(answer(OTHER_APP, "DEPLOYING"))) == []
    spoilt = overtaken(answer(OTHER_APP, "DEPLOY_FAILED"), **tries(EDIT, 2))
    assert of_the_active(spoilt) == ["note revision on demo-a"]
    assert of_the_active(cluster(routed=600)) == []


def test_it_is_repaired_where_nothing_is_known_to_run_or_the_user_rolls_back() -> None:
    noted = {labels.REVISION: EDIT.goal.revision, **tries(EDIT, 2)}
    failing: dict[str, Any] = {"serve": answer(OTHER_APP, "DEPLOY_FAILED"), "assigned": EDIT.goal.serve, "notes": noted}
    by_hand = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy={"rollback": "Manual"}))
    assert of_the_active(cluster(**failing)) == ["note serve-tries on demo-a"]
    assert of_the_active(cluster(routed=600, **failing), by_hand) == ["note serve-tries on demo-a"]
    assert of_the_active(cluster(routed=600, **failing)) == ["note revision on demo-a"]


def test_a_config_that_runs_again_is_tried_as_often_as_at_first_the_next_time() -> None:
    assert of_the_active(cluster(routed=600, notes=tries(FIRST, 2))) == ["note not serve-tries on demo-a"]


def test_if_that_rollout_is_given_up_too_what_is_known_to_run_comes_back() -> None:
    revisions = (revision(FIRST), revision(EDIT, 2), revision(IMAGE, 3, failed="ImageError"))
    spoilt = overtaken(answer(OTHER_APP, "DEPLOY_FAILED"))
    result = plan(world(IMAGE, spoilt, active=spoilt, revisions=revisions), IMAGE)
    assert "note revision on demo-a" in in_words(result)
    [noted] = [a for a in actions_of(result) if getattr(a, "annotations", None)
               and labels.REVISION in a.annotations]  # fmt: skip
    assert noted.annotations[labels.REVISION] == FIRST.goal.revision


def test_what_was_given_up_is_not_tried_again_until_another_revision_was_the_goal() -> None:
    revisions = (revision(FIRST), revision(IMAGE, 2, failed="ImageError"))
    given = plan(world(IMAGE, SERVING, active=SERVING, revisions=revisions), IMAGE)
    assert (in_words(given), given.recheck_after) == ([], RESTING)
    later = (revision(IMAGE, 2, failed="ImageError"), revision(FIRST, 3))
    first, *_ = steps_of(plan(world(IMAGE, SERVING, active=SERVING, revisions=later), IMAGE))
    [raised] = first
    assert labels.FAILED not in raised.operations[-1]["value"]


def test_without_any_cluster_an_earlier_failure_holds_nothing_back() -> None:
    made = in_words(plan(world(IMAGE, revisions=(revision(IMAGE, failed="ImageError"),)), IMAGE))
    assert made[0].startswith("make RayCluster")


# When to look again. ------------------------------------------------------------------------------------------------


WAITING = cluster("demo-b", IMAGE, pods=(head(phase="Pending"),), serve=Silence("no head"), created=100)
UPGRADING: dict[str, Any] = {"active": SERVING, "revisions": (revision(FIRST), revision(IMAGE, 2, started=100))}


def test_the_deadline_is_awaited_where_nothing_else_will_come_sooner() -> None:
    assert recheck(IMAGE, SERVING, WAITING, **UPGRADING) == 1700
    assert recheck(FIRST, cluster(pods=(), created=100), revisions=(revision(FIRST, started=100),)) == 1700


def test_nothing_is_awaited_of_a_goal_that_is_reached_or_given_up_or_has_no_cluster_yet() -> None:
    assert recheck(FIRST, cluster(created=100), revisions=(revision(FIRST, started=100),)) is None
    failed = (revision(FIRST), revision(EDIT, 2, started=100, failed="DeployFailed"))
    assert recheck(EDIT, *[broken := cluster(pods=())], active=broken, revisions=failed) is None
    assert recheck(IMAGE, SERVING, **UPGRADING) is None


def test_the_end_of_the_warm_up_is_awaited_until_it_has_come() -> None:
    def left(since: float) -> float | None:
        warm = cluster("demo-b", IMAGE, pods=(), created=100, notes={labels.WARM_SINCE: ago(since)})
        return recheck(IMAGE, SERVING, warm, **UPGRADING)

    assert [left(290), left(300), left(310)] == [10, 1700, 1700]


def test_an_image_error_is_awaited_where_the_rollout_may_be_given_up_for_it() -> None:
    pods = (head(phase="Pending", waiting="ErrImagePull"), pod(age=50), pod("later", phase="Pending", age=55))
    erring = cluster("demo-b", IMAGE, pods=pods, serve=Silence("no head"), created=100, notes=no_image_for(20))
    assert recheck(IMAGE, SERVING, erring, **UPGRADING) == 40
    assert recheck(IMAGE, erring, revisions=(revision(IMAGE, started=100),)) == 1700


# In place. ---------------------------------------------------------------------------------------------------------


def test_an_edit_that_fails_in_place_is_given_up_and_the_last_good_config_comes_back() -> None:
    noted = {labels.REVISION: EDIT.goal.revision, **tries(EDIT, 2)}
    report = answer(OTHER_APP, "DEPLOY_FAILED", message="no y")
    failing = cluster(routed=600, serve=report, notes=noted, assigned=EDIT.goal.serve)
    assert given_up(edit(failing)) == ("DeployFailed", "application app: no y")
    assert in_words(edit(failing, failed="DeployFailed")) == ["note revision on demo-a"]
    returned = cluster(routed=600, serve=answer(OTHER_APP, "DEPLOY_FAILED"))
    result = edit(returned, failed="DeployFailed")
    assert in_words(result) == ["submit app:x to demo-a"]
    assert (condition(result, "Stalled") or "")[1] == "DeployFailed"


def test_a_manual_rollback_leaves_the_failing_config_and_sends_it_no_more() -> None:
    manual = aim_at(service_spec(app=OTHER_APP, upgradeStrategy={"rollback": "Manual"}))
    noted = {labels.REVISION: manual.goal.revision, **tries(manual, 2)}
    failing = cluster(routed=600, serve=answer(OTHER_APP, "DEPLOY_FAILED"), notes=noted, assigned=manual.goal.serve)
    result = edit(failing, manual, failed="DeployFailed")
    assert in_words(result) == []
    assert result.recheck_after == RESTING
    assert "keeps this config" in (condition(result, "Stalled") or ("", "", ""))[2]


def test_an_edit_in_place_has_the_deadline_too() -> None:
    hanging = cluster(
        routed=600, created=9999, serve=answer(OTHER_APP, "DEPLOYING"), notes={labels.REVISION: EDIT.goal.revision}
    )
    assert given_up(edit(hanging, started=1799)) is None
    assert (given_up(edit(hanging, started=1800)) or "")[0] == "ProgressDeadlineExceeded"


@pytest.mark.parametrize(
    "fields",
    [
        {"phase": "Pending", "waiting": "ImagePullBackOff", "age": 70},
        {"waiting": "CrashLoopBackOff", "restarts": 3, "started": False},
    ],
    ids=["without an image", "in a crash loop"],
)
def test_an_edit_in_place_is_not_given_up_for_a_pod_of_the_serving_cluster(fields: dict[str, Any]) -> None:
    pods = (head(serve="true"), pod(), pod("another", **fields))
    assert given_up(edit(cluster(routed=600, pods=pods, serve=answer(OTHER_APP, "DEPLOYING")))) is None


def test_a_config_that_is_known_to_run_is_repaired_for_ever_and_ever_more_slowly() -> None:
    def failing(times: int, sent: float) -> Any:
        report = answer(status="DEPLOY_FAILED", sent=sent)
        return cluster(routed=600, serve=report, notes=tries(FIRST, times))

    again = ["note serve-tries on demo-a", "submit app:x to demo-a"]
    for times, sent, expected in (
        (2, 9, []),
        (2, 11, again),
        (3, 11, []),
        (3, 21, again),
        (30, 299, []),
        (30, 301, again),
    ):
        broken = failing(times, sent)
        result = plan(world(FIRST, broken, active=broken, revisions=(revision(FIRST, started=99999),)), FIRST)
        assert in_words(result) == expected, (times, sent)


@pytest.mark.parametrize("goal", [IMAGE, EDIT], ids=["of a new cluster", "in place"])
def test_so_it_is_after_a_rollout_was_given_up(goal: Aim) -> None:
    again = ["note serve-tries on demo-a", "submit app:x to demo-a"]
    broken = cluster(routed=600, serve=answer(status="DEPLOY_FAILED", sent=301), notes=tries(FIRST, 3))
    assert in_words(edit(broken, goal, failed="DeployFailed")) == again
    refused = cluster(routed=600, serve=answer(OTHER_APP), notes=tries(FIRST, 3, "no"))
    assert in_words(edit(refused, goal, failed="DeployFailed")) == ["submit app:x to demo-a"]


def test_going_back_to_an_earlier_config_has_all_the_time_again_however_long_ago_that_was() -> None:
    serving = cluster(goal=EDIT, routed=9000, created=9999, serve=answer(OTHER_APP))
    revisions = (revision(FIRST, 1, started=9999), revision(EDIT, 2, started=5000))
    raised, *then = in_words(plan(world(FIRST, serving, active=serving, revisions=revisions), FIRST))
    assert raised.startswith(f"patch {FIRST.goal.revision}: ")
    assert then == ["note revision on demo-a", "submit app:x to demo-a"]


def test_when_all_runs_that_is_written_down_once() -> None:
    noted = {labels.REVISION: EDIT.goal.revision, **tries(EDIT, 1)}
    proven = cluster(routed=600, serve=answer(OTHER_APP), notes=noted)
    assert in_words(edit(proven)) == ["note served-revision, not serve-tries on demo-a"]
    settled = {labels.REVISION: EDIT.goal.revision, labels.SERVED: EDIT.goal.revision}
    assert in_words(edit(cluster(routed=600, serve=answer(OTHER_APP), notes=settled))) == []


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({}, False),
        ({"rayClusterDeletionDelaySeconds": 5}, False),
        ({"upgradeStrategy": {"rollback": "Manual"}}, False),
        ({"upgradeStrategy": {"progressDeadlineSeconds": 3600}}, True),
        ({"rayClusterConfig": cluster_config(group(image="ray:2", replicas=2), image="ray:2")}, True),
    ],
    ids=["nothing", "what does not matter", "what to do then", "its deadline", "its replicas"],
)
def test_what_was_given_up_is_tried_again_with_other_means(changed: dict[str, Any], again: bool) -> None:
    pending = cluster("demo-b", IMAGE, created=9999, pods=(head(phase="Pending"),), serve=Silence("no head"))
    [step] = steps_of(upgrade(pending, started=1800))
    noted = step[0].annotations
    goal = aim_at({**service_spec(cluster_config(image="ray:2")), **changed})
    given = revision(IMAGE, 2, started=9999)
    given = replace(given, meta=replace(given.meta, annotations={**given.meta.annotations, **noted}))
    result = plan(world(goal, SERVING, active=SERVING, revisions=(revision(FIRST), given)), goal)
    if not again:
        assert in_words(result) == []
        return
    raised, made = in_words(result)
    assert labels.FAILED not in steps_of(result)[0][0].operations[-1]["value"]
    assert (raised.split(":")[0], made.partition(" demo-")[0]) == (f"patch {goal.goal.revision}", "make RayCluster")
    assert condition(result, "Stalled") is None


# First starts. -----------------------------------------------------------------------------------------------------


def first_start(starting: Any, goal: Aim = FIRST, **of_revision: Any) -> Any:
    return plan(world(goal, starting, revisions=(revision(goal, **of_revision),)), goal)


def test_a_first_start_is_never_given_up_but_is_called_stalled_when_it_is_overdue() -> None:
    pods = (head(phase="Pending", waiting="ImagePullBackOff", age=4000),)
    waiting = cluster(created=9999, pods=pods, serve=Silence("no head"))
    early, late = first_start(waiting, started=1799), first_start(waiting, started=1800)
    assert (in_words(early), in_words(late)) == ([], [])
    assert condition(early, "Stalled") is None
    status, reason, message = condition(late, "Stalled") or ("", "", "")
    assert (status, reason) == ("True", "ProgressDeadlineExceeded")
    assert "ImagePullBackOff" in message


def test_kuberays_timeout_is_the_deadline_of_the_first_start() -> None:
    waiting = cluster(pods=(head(phase="Pending"),), serve=Silence("no head"))

    def stalled(timeout: str) -> Any:
        observed = world(
            FIRST, waiting, revisions=(revision(FIRST, started=100),), notes={labels.INITIALIZING_TIMEOUT: timeout}
        )
        return plan(observed, FIRST)

    assert condition(stalled("1m30s"), "Stalled") is not None
    assert condition(stalled("90"), "Stalled") is not None
    assert condition(stalled("2m"), "Stalled") is None
    odd = stalled("soon")
    assert condition(odd, "Stalled") is None
    assert "ray.io/initializing-timeout" in (condition(odd, "SpecValid") or ("", "", ""))[2]


def test_a_cluster_that_is_made_later_has_all_the_time_again() -> None:
    pods = (head(phase="Pending"),)
    after_a_suspension = cluster(created=5, pods=pods, serve=Silence("no head"))
    assert condition(first_start(after_a_suspension, started=99999), "Stalled") is None
