"""What the deciders of a RayService's pass share: what is aimed at, until when, and what is asked of a new cluster."""

import json
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning.observed import ObservedCluster, RevisionView
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.render import labels

from ..builders import (
    NOW,
    OTHER_APP,
    ago,
    aim_at,
    answer,
    cluster,
    cluster_config,
    head,
    pod,
    revision,
    service_spec,
    world,
)

FIRST = aim_at(service_spec())
EDIT = aim_at(service_spec(app=OTHER_APP))
IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
SERVING = cluster(routed=600)
PENDING = cluster("demo-b", IMAGE)


def course(goal: Aim, *found: ObservedCluster, **fields: Any) -> Course:
    return Course(world(goal, *found, **fields), goal.goal, NOW)


def failed(goal: Aim) -> tuple[RevisionView, ...]:
    return (revision(goal, failed="ImageError"),)


def test_an_earlier_failure_counts_only_where_a_cluster_serves() -> None:
    assert course(IMAGE, PENDING, revisions=failed(IMAGE)).failure is None
    assert course(IMAGE, SERVING, active=SERVING, revisions=failed(IMAGE)).failure is not None


@pytest.mark.parametrize(
    ("goal", "found", "active", "may"),
    [
        (IMAGE, [PENDING], None, False),
        (IMAGE, [cluster(notes={labels.ROUTED_AT: ago(9)}), PENDING], cluster(), True),
        (EDIT, [SERVING], SERVING, True),
        (FIRST, [SERVING], SERVING, False),
        (EDIT, [cluster()], cluster(), False),
    ],
    ids=["a first start", "a new cluster", "an edit", "what is known to run", "an edit of what was never proven"],
)
def test_only_where_something_is_left_may_the_goal_be_given_up(
    goal: Aim, found: list[ObservedCluster], active: ObservedCluster | None, may: bool
) -> None:
    assert course(goal, *found, active=active).may_be_given_up is may


def test_kuberays_timeout_is_no_deadline_of_later_rollouts() -> None:
    notes = {labels.INITIALIZING_TIMEOUT: "1m"}
    revisions = (revision(FIRST), revision(IMAGE, 2, started=100))
    late = course(IMAGE, SERVING, active=SERVING, revisions=revisions, notes=notes)
    assert late.deadline == NOW + timedelta(seconds=1700)


def test_an_earlier_share_makes_the_deadline_no_earlier() -> None:
    share = json.dumps({"percent": 20, "since": ago(1000)})
    pending = cluster("demo-b", IMAGE, created=2000, notes={labels.SHARE: share})
    revisions = (revision(FIRST), revision(IMAGE, 2, started=100))
    begun_again = course(IMAGE, SERVING, pending, active=SERVING, revisions=revisions)
    assert begun_again.deadline == NOW + timedelta(seconds=1700)


def test_nobody_knows_what_a_cluster_should_run_that_has_no_revision_and_is_not_aimed_at() -> None:
    adopted = cluster(routed=600, assigned=None)
    assert course(IMAGE, adopted, PENDING, active=adopted).config_of(adopted) is None
    given_up = course(IMAGE, adopted, active=adopted, revisions=failed(IMAGE))
    assert (given_up.roles.candidate, given_up.verdict) == (adopted, None)


@pytest.mark.parametrize(("number", "is_given"), [(3, True), (1, False)], ids=["written down", "yet to be"])
def test_the_notes_of_a_cluster_are_of_the_goal_once_that_is_written_down_as_the_goal_again(
    number: int, is_given: bool
) -> None:
    reverted = course(FIRST, SERVING, active=SERVING, revisions=(revision(IMAGE, 2), revision(FIRST, number)))
    assert reverted.is_given_the_goal(SERVING) is is_given


def on_nodes(*workers: str) -> ServeStatus:
    """What a Ray says that has replicas on these workers, and a proxy on the first one so far."""
    replicas = [{"state": "RUNNING", "node_ip": f"ip-{name}"} for name in workers]
    return answer(proxies=["ip-one"], D={"status": "HEALTHY", "replicas": replicas})


@pytest.mark.parametrize(
    ("serving", "placed", "fields", "missing"),
    [
        (1, ["one", "two"], {}, ""),
        (2, ["one", "two"], {}, ": 1 of 2 pods take traffic"),
        (3, ["one", "two"], {}, ": 1 of 2 pods take traffic"),
        (3, ["one"], {}, ": 1 of 2 pods take traffic"),
        (3, ["one"], {"excludeHeadPodFromServeSvc": True}, ""),
        (3, ["one", "two"], {"excludeHeadPodFromServeSvc": True}, ": 1 of 2 pods take traffic"),
        (3, ["one", "going", "elsewhere", "demo-b-head"], {"excludeHeadPodFromServeSvc": True}, ""),
    ],
)
def test_a_new_cluster_needs_two_pods_that_take_traffic_where_there_are_two_and_can_be(
    serving: int, placed: list[str], fields: dict[str, Any], missing: str
) -> None:
    goal = aim_at(service_spec(cluster_config(image="ray:2"), **fields))
    active = cluster(routed=600, pods=(head(), *(pod(f"worker-{number}") for number in range(serving))))
    workers = (pod("one", "demo-b"), pod("two", "demo-b", ready=False), pod("going", "demo-b", leaving=True))
    pending = cluster("demo-b", goal, pods=(head("demo-b"), *workers), serve=on_nodes(*placed))
    verdict = course(goal, active, pending, active=active).verdict
    assert verdict is not None
    assert verdict.message == f"cluster demo-b{missing or ' serves'}"


def test_a_share_counts_only_beside_a_cluster_that_serves() -> None:
    noted = {labels.SHARE: json.dumps({"percent": 20, "since": ago(9)})}
    pending = cluster("demo-b", IMAGE, notes=noted)
    assert course(IMAGE, pending).sharing is None
    assert course(IMAGE, SERVING, pending, active=SERVING).sharing is not None
    assert course(IMAGE, SERVING, PENDING, active=SERVING).sharing is None


def test_a_worker_whose_proxy_starts_is_one_that_can() -> None:
    goal = aim_at(service_spec(cluster_config(image="ray:2"), excludeHeadPodFromServeSvc=True))
    active = cluster(routed=600, pods=(head(), pod("a"), pod("b")))
    workers = (pod("one", "demo-b"), pod("two", "demo-b", ready=False))
    serve = answer(proxies=["ip-one"], starting=["ip-two"])
    pending = cluster("demo-b", goal, pods=(head("demo-b"), *workers), serve=serve)
    verdict = course(goal, active, pending, active=active).verdict
    assert verdict is not None
    assert verdict.message.startswith("cluster demo-b: 1 of 2 pods take traffic")


@pytest.mark.parametrize(("since", "message"), [(299, ": 1 of 2 pods take traffic"), (300, " serves")])
def test_what_a_new_cluster_lacks_is_not_waited_for_after_its_warm_up(since: float, message: str) -> None:
    pods = (head("demo-b"), pod("one", "demo-b"))
    notes = {labels.WARM_SINCE: ago(since)}
    pending = cluster("demo-b", IMAGE, pods=pods, notes=notes, serve=on_nodes("one"))
    verdict = course(IMAGE, SERVING, pending, active=SERVING).verdict
    assert verdict is not None
    assert verdict.message == f"cluster demo-b{message}"
