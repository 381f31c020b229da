from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.notes import written
from rayserve_operator.planning.observed import ContainerView, PodView, Silence
from rayserve_operator.planning.service.gate import Newcomer, Stage, Verdict, in_sync, is_settled, judge, to_be_asked
from rayserve_operator.render import labels

from ..builders import (
    APP,
    NOTHING_DEPLOYED,
    OTHER_APP,
    ago,
    aim_at,
    answer,
    cluster,
    cluster_config,
    head,
    pod,
    service_spec,
)

GOAL = aim_at(service_spec())
TWO_APPS = "applications: [{name: app, import_path: 'app:x'}, {name: other, import_path: 'app:z', route_prefix: /z}]"
SHORT: dict[str, Any] = {"D": {"status": "UPDATING", "replicas": [{"state": "RUNNING"}]}}
ON_TWO = {labels.FLOORS: written({"app": {"D": 2}})}
MISSING_ONE = "deployment D has 1 of the 2 replicas that the serving cluster has"


def waiting(reason: str, message: str = "") -> ContainerView:
    """A container that does not run yet."""
    return ContainerView.parse({"name": "ray", "state": {"waiting": {"reason": reason, "message": message}}})


def unplaced(name: str = "worker", **fields: Any) -> PodView:
    return pod(name, phase="Pending", unschedulable="no cpu", **fields)


def verdict(newcomer: Newcomer | None = None, **fields: Any) -> Verdict:
    return judge(cluster(**fields), GOAL.goal.serve, newcomer)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pods": ()}, "the head pod is being created"),
        ({"pods": (head(leaving=True), pod())}, "the head pod is being created"),
        ({"pods": (), "config": cluster_config(suspend=True)}, "it is suspended"),
        ({"pods": (head(phase="Pending"),)}, "the head pod demo-a-head is starting"),
        ({"pods": (replace(head(), ip=None),)}, "the head pod demo-a-head is starting"),
        ({"pods": (replace(head(), containers=()),)}, "the head pod demo-a-head is starting"),
        ({"pods": (head(ended=True),)}, "the head pod demo-a-head is starting"),
        ({"pods": (head(phase="Pending", waiting="ContainerCreating"),)}, "the head pod demo-a-head is starting"),
        ({"pods": (head(phase="Pending", waiting="PodInitializing"),)}, "the head pod demo-a-head is starting"),
        ({"pods": (head(waiting="CrashLoopBackOff"),)}, "the head pod demo-a-head waits: CrashLoopBackOff"),
        (
            {"pods": (replace(head(phase="Pending"), init_containers=(waiting("ErrImagePull", "no such image"),)),)},
            "the head pod demo-a-head waits: ErrImagePull no such image",
        ),
        (
            {"pods": (head(phase="Pending", unschedulable="no cpu"),)},
            "the head pod demo-a-head fits no node: no cpu",
        ),
        ({"serve": Silence("refused")}, "Ray does not answer yet (refused)"),
    ],
)
def test_a_cluster_without_a_ray_that_answers_is_provisioned_and_says_what_is_missing(
    fields: dict[str, Any], words: str
) -> None:
    assert verdict(**fields) == Verdict(Stage.PROVISIONING, f"cluster demo-a: {words}")


@pytest.mark.parametrize(
    ("fields", "stage", "words"),
    [
        ({"serve": NOTHING_DEPLOYED}, Stage.CONFIGURING, ": the Serve config is being submitted"),
        ({"serve": answer(OTHER_APP)}, Stage.CONFIGURING, ": the Serve config is being submitted"),
        (
            {"serve": answer(APP.replace("name: app", "name: other"))},
            Stage.CONFIGURING,
            ": the Serve config is being submitted",
        ),
        ({"serve": answer(status="DEPLOYING")}, Stage.WARMING, ": application app is DEPLOYING"),
        (
            {"serve": answer(status="DEPLOY_FAILED", message="\nNo module named x\nmore")},
            Stage.WARMING,
            ": application app is DEPLOY_FAILED (No module named x)",
        ),
        ({"pods": (head(), pod(ready=False))}, Stage.WARMING, ": no pod answers Serve's health check yet"),
        ({"pods": (head(), pod(serve="false"))}, Stage.WARMING, ": no pod answers Serve's health check yet"),
        ({"pods": (head(), pod(leaving=True))}, Stage.WARMING, ": no pod answers Serve's health check yet"),
        ({"pods": (head(), pod())}, Stage.FIT, " serves"),
        ({"pods": (head(serve="true"),)}, Stage.FIT, " serves"),
    ],
)
def test_a_cluster_whose_ray_answers_is_as_far_as_its_applications_and_pods(
    fields: dict[str, Any], stage: Stage, words: str
) -> None:
    assert verdict(**fields) == Verdict(stage, f"cluster demo-a{words}")


def test_a_config_without_applications_never_takes_traffic() -> None:
    empty = aim_at(service_spec(app="applications: []"))
    assert judge(cluster(goal=empty, serve=NOTHING_DEPLOYED), empty.goal.serve) == Verdict(
        Stage.CONFIGURING, "cluster demo-a serves nothing: serveConfigV2 names no applications; add one to serve"
    )


def test_of_the_pods_that_fit_no_node_the_first_that_is_wanted_is_told() -> None:
    pods = (head(), unplaced("leaves", leaving=True), unplaced("first"), unplaced("second"))
    found = verdict(pods=pods, serve=answer(status="DEPLOYING"))
    assert found == Verdict(Stage.WARMING, "cluster demo-a: application app is DEPLOYING; first fits no node: no cpu")


def test_a_ray_that_is_silent_is_not_taken_to_run_the_config() -> None:
    assert not in_sync(cluster(serve=Silence("frozen")), GOAL.goal.serve)


# Before it takes over. ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answering", "silent"),
    [(["demo-a-head", "worker"], ""), (["demo-a-head"], "worker"), ([], "demo-a-head, worker")],
)
def test_a_newcomer_waits_for_the_answer_of_every_proxy_that_would_take_traffic(
    answering: list[str], silent: str
) -> None:
    pods = (head(serve="true"), pod(), pod("outside", serve="false"))
    report = answer(proxies=["ip-demo-a-head", "ip-worker", "ip-outside"])
    missing = Verdict(Stage.WARMING, f"cluster demo-a: the Serve proxy of {silent} does not take traffic yet")
    expected = missing if silent else Verdict(Stage.FIT, "cluster demo-a serves")
    assert verdict(Newcomer(1), pods=pods, serve=report, answering=answering) == expected


def test_a_pod_that_leaves_is_not_waited_for() -> None:
    pods = (head(), pod(), pod("leaves", leaving=True))
    healthy = answer(proxies=["ip-worker", "ip-leaves"])
    assert verdict(Newcomer(1), pods=pods, serve=healthy, answering=["worker"]).stage is Stage.FIT
    starting = answer(proxies=["ip-worker"], starting=["ip-leaves"])
    assert verdict(Newcomer(1), pods=pods, serve=starting).stage is Stage.FIT


def test_a_cluster_that_takes_over_from_none_is_not_asked_for_more_than_to_serve() -> None:
    assert verdict(serve=answer(proxies=["ip-demo-a-worker"]), answering=[]).stage is Stage.FIT
    short = answer(status="DEPLOYING", **SHORT)
    assert verdict(serve=short, notes=ON_TWO).stage is Stage.WARMING


def test_a_newcomer_says_all_that_it_lacks_of_the_capacity_of_the_other() -> None:
    pods = (head(), pod(), pod("second", ready=False), unplaced("third"))
    report = answer(starting=["ip-second", "ip-worker"], **SHORT)
    assert verdict(Newcomer(2), pods=pods, serve=report, notes=ON_TWO) == Verdict(
        Stage.MATCHING,
        f"cluster demo-a: {MISSING_ONE}; 1 of 2 pods take traffic; the Serve proxy of worker, second starts; "
        "third fits no node: no cpu; where two clusters never fit, upgradeStrategy.type: Recreate deletes the old one "
        "first",
    )


GROWS: dict[str, Any] = {"D": {"status": "UPSCALING", "replicas": [{"state": "RUNNING"}]}}
IN_PART = {labels.CAPACITY: written({"percent": 40, "since": ago(9)})}


def test_replicas_that_are_on_their_way_are_waited_for_where_capacity_is_asked_for_in_parts() -> None:
    report = answer(proxies=["ip-worker"], **GROWS)
    assert verdict(Newcomer(1), pods=(head(), pod()), serve=report, answering=["worker"]).stage is Stage.FIT
    assert verdict(Newcomer(2), pods=(head(), pod()), serve=report, answering=["worker"], notes=IN_PART) == Verdict(
        Stage.MATCHING, "cluster demo-a: 1 of 2 pods take traffic; deployment D of app gets more replicas"
    )


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (answer(), True),
        (answer(status="DEPLOYING"), False),
        (answer(**GROWS), False),
        (NOTHING_DEPLOYED, False),
        (Silence("frozen"), False),
    ],
    ids=["runs", "is-deployed", "grows", "runs-nothing", "silent"],
)
def test_a_cluster_has_settled_when_it_runs_its_config_with_all_replicas(report: Any, expected: bool) -> None:
    assert is_settled(cluster(serve=report), GOAL.goal.serve) is expected


def test_a_newcomer_that_need_not_match_takes_over_as_it_is() -> None:
    report = answer(starting=["ip-demo-a-worker"], **SHORT)
    assert verdict(Newcomer(None), serve=report, notes=ON_TWO).stage is Stage.FIT
    fit = verdict(Newcomer(None), pods=(head(), pod(), unplaced("second")), serve=report, notes=ON_TWO)
    assert fit.stage is Stage.FIT
    assert "Recreate" not in fit.message


def two_apps(other: str) -> ServeStatus:
    """What a Ray says whose first application is only short of replicas."""
    report = answer(TWO_APPS, "DEPLOYING", **SHORT)
    first, second = report.applications.values()
    return replace(report, applications={"app": first, "other": replace(second, status=other)})


@pytest.mark.parametrize(
    ("other", "stage"), [("RUNNING", Stage.MATCHING), ("DEPLOYING", Stage.WARMING), ("DEPLOY_FAILED", Stage.WARMING)]
)
def test_only_if_every_application_that_does_not_run_is_short_is_it_a_matter_of_capacity(
    other: str, stage: Stage
) -> None:
    found = judge(cluster(serve=two_apps(other), notes=ON_TWO), parse_serve_config(TWO_APPS), Newcomer(1))
    assert found.stage is stage


def test_an_application_that_is_missing_from_rays_spelling_is_waited_for() -> None:
    config, report = parse_serve_config(TWO_APPS), answer(**SHORT)
    notes = {**ON_TWO, labels.SERVE_SPELLING: f"{config.digest}:{report.deployed.digest}"}
    assert judge(cluster(serve=report, notes=notes), config, Newcomer(1)) == Verdict(
        Stage.WARMING, f"cluster demo-a: application other is not deployed yet; {MISSING_ONE}"
    )


def asked(pods: Iterable[PodView], serve: ServeStatus | Silence) -> list[str]:
    return [found.meta.name for found in to_be_asked(cluster(pods=tuple(pods), serve=serve), parse_serve_config(APP))]


def test_an_application_that_somebody_has_deployed_by_hand_keeps_nobody_from_asking() -> None:
    report = answer(proxies=["ip-worker"])
    by_hand = replace(report.applications["app"], status="DEPLOY_FAILED", source="imperative")
    assert asked([pod()], replace(report, applications={**report.applications, "other": by_hand})) == ["worker"]


def test_the_ready_pods_that_would_take_traffic_are_asked_once_all_applications_run() -> None:
    pods = (head(), pod(), pod("unready", ready=False), pod("silent"), pod("leaves", leaving=True))
    healthy = [f"ip-{name}" for name in ("demo-a-head", "worker", "unready", "leaves")]
    assert asked(pods, answer(proxies=healthy)) == ["worker"]
    assert asked(pods, answer(status="DEPLOYING", proxies=healthy)) == []
    assert asked(pods, Silence("refused")) == []
