"""The order of a RayCluster's pass, and what it tells while it acts."""

from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Announcement, Create, Delete, Kind
from rayserve_operator.planning.cluster.budget import REFILLED_WITHIN
from rayserve_operator.planning.cluster.planner import plan_cluster, refuse_cluster
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.render import labels, names, tls
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOW,
    actions_of,
    ago,
    announced,
    belonging,
    cluster_config,
    group,
    head,
    in_words,
    pod,
    ray_cluster,
    template,
)

PROBLEM = (Problem("spec.x", "is wrong", "mend it"),)


def plan(observed: ObservedRayCluster) -> Any:
    return plan_cluster(observed, RenderOptions(), NOW)


def told(result: Any) -> list[str]:
    """What is said of the pods that are deleted."""
    actions = actions_of(result)
    return [a.announce.message for a in actions if isinstance(a, Delete) and a.announce is not None]


def test_nothing_is_made_for_a_cluster_whose_pods_were_given_up() -> None:
    assert in_words(plan(ray_cluster(cluster_config(), notes={labels.ENDED_AT: ago(1)}))) == []
    assert in_words(plan(ray_cluster(cluster_config()))) != []


@pytest.mark.parametrize(
    ("config", "notes"),
    [
        (cluster_config(group(minReplicas=7, maxReplicas=2)), {}),
        (cluster_config(), {labels.ENDED_AT: ago(1)}),
    ],
    ids=["its spec is not valid", "its cluster has ended"],
)
def test_a_pod_that_ended_and_is_not_to_be_replaced_wakes_nobody(config: Any, notes: dict[str, str]) -> None:
    result = plan(ray_cluster(config, head(), pod(phase="Failed"), notes=notes))
    assert (in_words(result), result.recheck_after) == ([], None)


def test_a_suspension_says_why_the_pods_go() -> None:
    config = cluster_config(suspend=True)
    begun = plan(ray_cluster(config, head(), pod()))
    going = plan(ray_cluster(config, head(), pod(), status=begun.status))
    assert announced(going) == [
        Announcement("DeletedHeadPod", "Deleted demo-a-head: the cluster is suspended"),
        Announcement("DeletedWorkerPod", "Deleted worker: the cluster is suspended"),
    ]


def test_a_suspension_deletes_no_pod_twice_and_keeps_what_is_beside_the_pods() -> None:
    config = cluster_config(group(replicas=3), suspend=True)
    pods = (head(leaving=True), pod("a"), pod("b"), pod("c", ready=False, age=30))
    begun = plan(ray_cluster(config, *pods)).status
    going = plan(ray_cluster(config, *pods, status=begun, of_service=True))
    assert in_words(going) == ["delete a", "delete b", "delete c", "make PodDisruptionBudget demo-a-workers"]


def test_a_cluster_that_is_recreated_says_what_changed() -> None:
    strategy = {"upgradeStrategy": {"type": "Recreate"}}
    made = plan(ray_cluster(cluster_config(image="ray:1", **strategy)))
    [noted] = [
        action.manifest["metadata"]["annotations"]
        for action in actions_of(made)
        if getattr(action, "name_prefix", "") == "demo-a-head-"
    ]
    changed = plan(ray_cluster(cluster_config(image="ray:2", **strategy), head(notes=noted), pod()))
    for name, words in zip(("worker", "demo-a-head"), told(changed), strict=True):
        assert words.startswith(f"Deleted {name}: the cluster is recreated, because ")
        assert "image" in words
    suspended = cluster_config(image="ray:2", suspend=True, **strategy)
    assert told(plan(ray_cluster(suspended, head(notes=noted), pod()))) == []


def test_a_worker_of_a_group_that_is_gone_is_deleted_and_that_is_said() -> None:
    leaving = pod("leaves", group="gone", leaving=True)
    result = plan(ray_cluster(cluster_config(group(replicas=0)), head(), pod("old", group="gone"), leaving))
    assert in_words(result) == ["delete old"]
    assert told(result) == ["Deleted old: its group gone is no longer in the spec"]


def test_problems_are_announced_once() -> None:
    meta = ray_cluster(cluster_config()).cluster.meta
    first = refuse_cluster(meta, RayClusterStatus(), PROBLEM, NOW)
    [told_once] = first.announcements
    assert (told_once.reason, told_once.type) == ("InvalidRayClusterSpec", "Warning")
    assert told_once.message == "spec.x is wrong; mend it"
    assert refuse_cluster(meta, first.status, PROBLEM, NOW).announcements == ()
    elsewhere = first.status.conditions[0].model_copy(update={"type": "HeadPodReady"})
    told_of_the_head = RayClusterStatus(conditions=[elsewhere])
    assert refuse_cluster(meta, told_of_the_head, PROBLEM, NOW).announcements == (told_once,)
    other = (*PROBLEM, Problem("spec.y", "is too", "mend that"))
    [again] = refuse_cluster(meta, first.status, other, NOW).announcements
    assert again.message == "spec.x is wrong; mend it; spec.y is too; mend that"


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"nvidia.com/gpu": "1"}, ""), ({}, "; nvidia.com/gpu stood in requests alone and is set in limits too")],
)
def test_resources_that_are_mirrored_are_told_with_the_head(limits: dict[str, str], words: str) -> None:
    gpu = group("gpu")
    resources = {"requests": {"nvidia.com/gpu": "1"}, "limits": limits}
    gpu["template"]["spec"]["containers"][0]["resources"] = resources
    result = plan(ray_cluster(cluster_config(gpu)))
    said = [a.announce.message for a in actions_of(result) if a.announce is not None]
    assert f"Created the head pod{words}" in said


def test_resources_of_the_head_and_of_workers_are_mirrored_and_told_alike() -> None:
    config, of_head = cluster_config(group("gpu")), template()
    of_head["spec"]["containers"][0]["resources"] = {"requests": {"nvidia.com/gpu": "1"}}
    config["headGroupSpec"] = {"template": of_head}
    of_worker = config["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    of_worker["resources"] = {"requests": {"google.com/tpu": "1"}}
    words = "Created the head pod; google.com/tpu, nvidia.com/gpu stood in requests alone and is set in limits too"
    assert Announcement("CreatedHeadPod", words) in announced(plan(ray_cluster(config)))


def test_an_autoscaler_that_stays_off_is_not_told_of() -> None:
    config = cluster_config(group(replicas=0), autoscalerOptions={})
    kuberays = plan(ray_cluster(config, of_service=True))
    assert Announcement("CreatedHeadPod", "Created the head pod") in announced(kuberays)


def test_the_secrets_that_pods_mount_are_there_before_a_head() -> None:
    config = cluster_config(group(replicas=0), authOptions={"mode": "token"}, tlsOptions={"enabled": True})
    made = [action for action in actions_of(plan(ray_cluster(config))) if isinstance(action, Create)]
    assert [(a.kind, a.drawn_key) for a in made] == [
        (Kind.SECRET, "auth_token"),
        (Kind.SECRET, None),
        (Kind.SECRET, None),
        (Kind.SECRET, None),
        (Kind.POD, None),
    ]
    secrets = [action.manifest["metadata"]["name"] for action in made[:-1]]
    cluster = ray_cluster(config).cluster
    assert secrets[:2] == [names.token_secret_name(cluster), names.ca_secret_name(cluster)]
    assert secrets[2:] == [tls.secret_name(cluster, role) for role in (labels.HEAD, labels.WORKER)]


def test_the_label_of_a_head_that_was_given_up_is_taken_once() -> None:
    gone = {"node-1": None}
    lost = head(cut_off=True)
    others = {key: value for key, value in lost.meta.labels.items() if key != labels.IDENTIFIER}
    unlabelled = replace(lost, meta=replace(lost.meta, labels=others))
    observed = [ray_cluster(cluster_config(group(replicas=0)), found, nodes=gone) for found in (lost, unlabelled)]
    noted = [any(done.startswith("note ") for done in in_words(plan(found))) for found in observed]
    assert noted == [True, False]


def test_what_stands_in_its_own_namespace_is_no_problem() -> None:
    config = cluster_config()
    config["headGroupSpec"] = {"template": template(), "headService": {"metadata": {"namespace": "default"}}}
    assert plan(ray_cluster(config)).announcements == ()


def test_it_is_looked_at_again_when_the_first_thing_changes_by_itself() -> None:
    budget = belonging(Kind.BUDGET, "demo-a-workers", spec={"minAvailable": 2})
    refilling, crashed = pod("a", ready=False, age=30), pod("b", crash="boom", restarts=2)

    def recheck(*pods: PodView, **fields: Any) -> float | None:
        wait = plan(ray_cluster(cluster_config(group(replicas=len(pods))), head(), *pods, **fields)).recheck_after
        return None if wait is None else wait.total_seconds()

    sinks = REFILLED_WITHIN.total_seconds() - 30
    assert recheck(refilling, belongings=(budget,)) == sinks
    assert recheck(crashed) == 295
    assert recheck(refilling, crashed, belongings=(budget,)) == min(sinks, 295)
    assert recheck(pod(phase="Failed", failures=2, age=1, leaving=True)) is None
    assert recheck(pod(failures=2, age=1)) is None


def test_a_cluster_starts_although_its_ingress_is_refused() -> None:
    config = cluster_config()
    config["headGroupSpec"]["enableIngress"] = True
    pods, beside = plan(ray_cluster(config)).strands
    assert [type(action) for step in pods for action in step].count(Create) == 2
    assert in_words(beside) == ["make Ingress demo-a-head-ingress"]


def test_pods_go_with_a_suspension_although_something_beside_them_is_refused() -> None:
    config = cluster_config(group(replicas=3), suspend=True)
    observed = ray_cluster(config, head(), pod("a"), pod("b"))
    going = plan(replace(observed, cluster=replace(observed.cluster, status=plan(observed).status)))
    assert in_words(going.strands[0]) == ["delete demo-a-head", "delete a", "delete b"]
