"""Which Serve config goes to which cluster, and what is noted of one that fails."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Annotate, Announcement, SubmitServe
from rayserve_operator.planning.observed import ObservedCluster, Silence
from rayserve_operator.planning.service import submission
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels

from ..builders import (
    APP,
    NOTHING_DEPLOYED,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
    answer,
    cluster,
    cluster_config,
    head,
    revision,
    service_spec,
    world,
)

FIRST = aim_at(service_spec())
EDIT = aim_at(service_spec(app=OTHER_APP))
IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
CONFIG = FIRST.goal.serve
STARTED = replace(NOTHING_DEPLOYED, started=True)
TWO_APPS = "applications: [{name: app, import_path: 'app:x'}, {name: other, import_path: 'app:z', route_prefix: /z}]"


def tries(failed: Any, goal: Aim = FIRST, **noted: Any) -> dict[str, str]:
    """The note on a cluster whose config has failed so often."""
    return {labels.SERVE_TRIES: json.dumps({"config": goal.goal.serve.digest, "failed": failed, **noted})}


def failing(sent: float | None = 60, app: str = APP, **fields: Any) -> ObservedCluster:
    """A cluster whose applications failed to deploy, sent so many seconds ago, where Ray says when."""
    report = answer(app, "DEPLOY_FAILED", sent=sent or 0)
    if sent is None:
        states = {name: replace(state, last_deployed_time_s=None) for name, state in report.applications.items()}
        report = replace(report, applications=states)
    return cluster(serve=report, **fields)


def actions(goal: Aim, *found: ObservedCluster, active: ObservedCluster | None = None, **fields: Any) -> list[Any]:
    plan = plan_service(world(goal, *found, active=active, **fields), goal, NOW)
    return [action for action in actions_of(plan) if isinstance(action, Annotate | SubmitServe)]


def submitted(goal: Aim, *found: ObservedCluster, **fields: Any) -> list[SubmitServe]:
    return [action for action in actions(goal, *found, **fields) if isinstance(action, SubmitServe)]


def noted(goal: Aim, *found: ObservedCluster) -> Any:
    """What is written down of the tries."""
    [note] = [action for action in actions(goal, *found) if isinstance(action, Annotate)]
    return json.loads((note.annotations or {})[labels.SERVE_TRIES] or "")


# What is sent. ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "secret"), [(None, None), ({"mode": "token"}, "demo-a")], ids=["without a token", "with a token"]
)
def test_a_config_is_sent_to_the_dashboard_of_the_clusters_head(auth: Any, secret: str | None) -> None:
    goal = aim_at(service_spec(cluster_config(authOptions=auth)))
    [sent] = submitted(goal, cluster(goal=goal, serve=NOTHING_DEPLOYED))
    assert (sent.cluster, sent.address, sent.secret) == ("demo-a", "ip-demo-a-head:8265", secret)
    assert (sent.config, sent.failed_before) == (goal.goal.serve, 0)


def test_a_dashboard_may_have_an_ipv6_address() -> None:
    [sent] = submitted(FIRST, cluster(pods=(replace(head(), ip="fd00::7"),), serve=NOTHING_DEPLOYED))
    assert sent.address == "[fd00::7]:8265"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (cluster(serve=NOTHING_DEPLOYED), "Submitted the Serve config to demo-a"),
        (failing(), "Submitted the Serve config to demo-a again, because it failed to deploy"),
        (
            cluster(serve=answer(OTHER_APP)),
            "Updated the Serve config of demo-a in place: applications.app.import_path",
        ),
    ],
)
def test_what_a_config_changes_is_told(found: ObservedCluster, words: str) -> None:
    [sent] = submitted(FIRST, found)
    assert sent.announce == Announcement("UpdatedServeApplications", words)


def test_a_head_that_has_lost_its_address_is_sent_nothing() -> None:
    assert submitted(FIRST, cluster(pods=(replace(head(), ip=None),), serve=NOTHING_DEPLOYED)) == []


def test_a_cluster_of_which_nobody_knows_what_it_should_run_is_sent_nothing() -> None:
    adopted = cluster(routed=600, assigned=None, serve=STARTED)
    waiting = cluster("demo-b", IMAGE, pods=(), serve=Silence("no head"))
    assert submitted(IMAGE, adopted, waiting, active=adopted, revisions=(revision(IMAGE, 2),)) == []


@pytest.mark.parametrize(
    ("report", "count"), [(NOTHING_DEPLOYED, 0), (answer(), 1)], ids=["Serve never ran", "Serve runs something"]
)
def test_a_config_without_applications_is_sent_only_to_a_serve_that_runs(report: Any, count: int) -> None:
    empty = aim_at(service_spec(app="{applications: [], target_capacity: 50}"))
    assert len(submitted(empty, cluster(goal=empty, serve=report))) == count


# What has failed. ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ({}, (0, "", None)),
        (tries(2), (2, "", None)),
        (tries(2, words="no y", sent=5.5), (2, "no y", 5.5)),
        (tries("many"), (0, "", None)),
        (tries(2, EDIT), (0, "", None)),
    ],
    ids=["nothing is noted", "refused", "failed", "spoilt", "another config"],
)
def test_the_tries_of_a_config_are_what_is_noted_of_it(notes: dict[str, str], expected: tuple[Any, ...]) -> None:
    found = submission.tries_of(cluster(notes=notes), CONFIG)
    assert (found.failed, found.words, found.sent) == expected


def test_a_refusal_is_noted_with_the_beginning_of_rays_words() -> None:
    note = submission.refused(CONFIG, 2, ValueError("x" * 2000))
    assert json.loads(note[labels.SERVE_TRIES]) == {"config": CONFIG.digest, "failed": 2, "words": "x" * 1000}


def test_a_failure_is_noted_with_when_its_config_was_sent() -> None:
    sent = (NOW - NOW.replace(year=1970, month=1, day=1, hour=0)).total_seconds() - 60
    assert noted(FIRST, failing(60)) == {"config": CONFIG.digest, "failed": 1, "sent": sent}


def test_a_failure_of_which_ray_does_not_say_when_it_was_sent_counts_whenever_it_is_seen() -> None:
    assert noted(FIRST, failing(None, notes=tries(7))) == {"config": CONFIG.digest, "failed": 8}


def test_the_latest_of_several_failures_counts() -> None:
    goal = aim_at(service_spec(app=TWO_APPS))
    report = answer(TWO_APPS, "DEPLOY_FAILED", sent=60)
    first, second = report.applications.values()
    later = (first.last_deployed_time_s or 0) + 30
    states = {"app": first, "other": replace(second, last_deployed_time_s=later)}
    assert noted(goal, cluster(goal=goal, serve=replace(report, applications=states)))["sent"] == later


def test_a_config_is_exhausted_with_the_words_of_each_application_that_failed() -> None:
    config = parse_serve_config(TWO_APPS)
    notes = {labels.SERVE_TRIES: json.dumps({"config": config.digest, "failed": 2})}
    report = answer(TWO_APPS, "DEPLOY_FAILED")
    first, second = report.applications.values()
    report = replace(report, applications={"app": replace(first, message="no y"), "other": second})
    found = submission.exhausted(cluster(serve=report, notes=notes), config)
    assert found == "application app: no y; application other: DEPLOY_FAILED"


def test_an_application_that_is_not_of_the_config_does_not_exhaust_it() -> None:
    report = answer()
    [state] = report.applications.values()
    by_hand = replace(state, status="DEPLOY_FAILED", source="imperative")
    both = replace(report, applications={"app": state, "by-hand": by_hand})
    assert submission.exhausted(cluster(serve=both, notes=tries(3)), CONFIG) is None


# How often it is sent again. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "sent", "count"), [(1, 1, 1), (3, 19.9, 0), (3, 20, 1), (9, None, 1)])
def test_a_first_start_is_repaired_for_ever_and_after_three_tries_with_a_pause(
    times: int, sent: float | None, count: int
) -> None:
    assert len(submitted(FIRST, failing(sent, notes=tries(times)))) == count


def test_a_refusal_of_what_is_never_given_up_is_sent_again_and_counted_no_more() -> None:
    refused = cluster(serve=STARTED, notes=tries(3))
    assert [sent.failed_before for sent in submitted(FIRST, refused)] == [None]


def test_the_serving_cluster_is_repaired_though_a_rollout_is_under_way() -> None:
    serving = failing(99, routed=600, notes=tries(3))
    waiting = cluster("demo-b", IMAGE, pods=(), serve=Silence("no head"))
    [sent] = submitted(IMAGE, serving, waiting, active=serving, revisions=(revision(FIRST), revision(IMAGE, 2)))
    assert sent.cluster == "demo-a"


@pytest.mark.parametrize("goal", [EDIT, IMAGE], ids=["in place", "in a new cluster"])
def test_the_last_good_config_is_repaired_for_ever_though_a_later_one_was_given_up(goal: Aim) -> None:
    revisions = (revision(FIRST), revision(goal, 2, failed="DeployFailed"))
    for serving in (failing(999, routed=600, notes=tries(9)), cluster(routed=600, serve=STARTED, notes=tries(9))):
        assert len(submitted(goal, serving, active=serving, revisions=revisions)) == 1


@pytest.mark.parametrize(("failed", "count"), [(1, 1), (2, 0)], ids=["once more", "the third time"])
def test_a_new_cluster_is_sent_a_config_no_more_once_it_is_to_be_given_up(failed: int, count: int) -> None:
    serving = cluster(routed=600)
    noted = tries(failed, IMAGE) | {labels.REVISION: IMAGE.goal.revision}
    new = replace(failing(notes=noted), cluster=cluster("demo-b", IMAGE, notes=noted).cluster)
    sent = submitted(IMAGE, serving, new, active=serving, revisions=(revision(FIRST), revision(IMAGE, 2)))
    assert len(sent) == count


@pytest.mark.parametrize(
    ("report", "failed", "count"),
    [(STARTED, 3, 0), (STARTED, 2, 1), (NOTHING_DEPLOYED, 3, 1), (answer(OTHER_APP, "DEPLOY_FAILED", sent=999), 3, 0)],
    ids=["refused", "refused less often", "refused by a Ray that is gone", "failed"],
)
def test_a_config_that_was_given_up_and_kept_by_hand_is_sent_to_a_running_serve_no_more(
    report: Any, failed: int, count: int
) -> None:
    manual = aim_at(service_spec(app=OTHER_APP, upgradeStrategy={"rollback": "Manual"}))
    notes = {labels.REVISION: manual.goal.revision, labels.ROUTED_AT: ago(600), **tries(failed, manual)}
    kept = cluster(serve=report, assigned=manual.goal.serve, notes=notes)
    revisions = (revision(FIRST), revision(manual, 2, failed="DeployFailed"))
    assert len(submitted(manual, kept, active=kept, revisions=revisions)) == count
