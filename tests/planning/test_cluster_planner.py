"""The order of a RayCluster's pass, and what it tells while it acts."""

from typing import Any

import pytest

from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Delete
from rayserve_operator.planning.cluster.planner import plan_cluster, refuse_cluster
from rayserve_operator.planning.observed import ObservedRayCluster
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import NOW, ago, cluster_config, group, head, in_words, pod, ray_cluster

PROBLEM = (Problem("spec.x", "is wrong", "mend it"),)


def plan(observed: ObservedRayCluster) -> Any:
    return plan_cluster(observed, RenderOptions(), NOW)


def told(result: Any) -> list[str]:
    """What is said of the pods that are deleted."""
    actions = [action for step in result.steps for action in step]
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
    assert told(going) == [f"Deleted {name}: the cluster is suspended" for name in ("demo-a-head", "worker")]


def test_a_cluster_that_is_recreated_says_what_changed() -> None:
    strategy = {"upgradeStrategy": {"type": "Recreate"}}
    made = plan(ray_cluster(cluster_config(image="ray:1", **strategy)))
    [noted] = [
        action.manifest["metadata"]["annotations"]
        for step in made.steps
        for action in step
        if getattr(action, "name_prefix", "") == "demo-a-head-"
    ]
    changed = plan(ray_cluster(cluster_config(image="ray:2", **strategy), head(notes=noted), pod()))
    for name, words in zip(("worker", "demo-a-head"), told(changed), strict=True):
        assert words.startswith(f"Deleted {name}: the cluster is recreated, because ")
        assert "image" in words


def test_a_worker_of_a_group_that_is_gone_is_deleted_and_that_is_said() -> None:
    result = plan(ray_cluster(cluster_config(group(replicas=0)), head(), pod("old", group="gone")))
    assert in_words(result) == ["delete old"]
    assert told(result) == ["Deleted old: its group gone is no longer in the spec"]


def test_problems_are_announced_once() -> None:
    meta = ray_cluster(cluster_config()).cluster.meta
    first = refuse_cluster(meta, RayClusterStatus(), PROBLEM, NOW)
    [announced] = first.announcements
    assert (announced.reason, announced.type) == ("InvalidRayClusterSpec", "Warning")
    assert announced.message == "spec.x is wrong; mend it"
    assert refuse_cluster(meta, first.status, PROBLEM, NOW).announcements == ()
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
    said = [a.announce.message for step in result.steps for a in step if a.announce is not None]
    assert f"Created the head pod{words}" in said
