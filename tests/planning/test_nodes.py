"""Nodes that fall silent, and what becomes of their pods."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.cluster.nodes import in_doubt
from rayserve_operator.planning.observed import NodeView, PodView

from ..builders import NOW, cluster_config, cluster_plan, head, in_words, pod, ray_cluster

WELL = NodeView("node-1", None, out_of_service=False)
OUT_OF_SERVICE = NodeView("node-1", None, out_of_service=True)
NEW_WORKER = ["confirm demo-a", "create a pod demo-a-cpu-worker-"]


def silent(seconds: float) -> NodeView:
    return NodeView("node-1", NOW - timedelta(seconds=seconds), out_of_service=False)


@pytest.mark.parametrize(
    ("seen", "asked"),
    [
        (pod(), False),
        (pod(cut_off=True), True),
        (pod(leaving=True), False),
        (head(leaving=True), True),
        (head(leaving=True, ended=True), False),
        (head(), False),
    ],
    ids=["well", "cut off", "a worker leaves", "a head leaves", "a head has stopped", "a head is well"],
)
def test_a_node_is_asked_about_when_a_pod_on_it_is_in_doubt(seen: PodView, asked: bool) -> None:
    elsewhere = pod("elsewhere", node="node-2")
    assert in_doubt(ray_cluster(cluster_config(), elsewhere, seen)) == ({"node-1"} if asked else set())


def test_a_pod_that_has_no_node_puts_none_in_doubt() -> None:
    waits = pod(cut_off=True, phase="Pending", waiting="ContainerCreating")
    assert waits.cut_off
    assert in_doubt(ray_cluster(cluster_config(), waits)) == set()


@pytest.mark.parametrize(
    ("node", "expected"),
    [(WELL, []), (OUT_OF_SERVICE, NEW_WORKER), (None, NEW_WORKER), (silent(0), NEW_WORKER)],
    ids=["well", "out of service", "gone", "silent"],
)
def test_a_worker_is_replaced_when_its_node_is_lost(node: NodeView | None, expected: list[str]) -> None:
    result = cluster_plan(cluster_config(), head(node="node-2"), pod(cut_off=True), nodes={"node-1": node})
    assert in_words(result) == expected


@pytest.mark.parametrize(
    ("nodes", "seconds"),
    [
        ({"node-1": WELL}, 15),
        ({"node-1": None}, 15),
        ({"node-1": silent(30)}, 15),
        ({"node-1": silent(46)}, 14),
        ({"node-1": silent(59), "node-2": silent(50)}, 1),
        ({"node-1": silent(60)}, 15),
        ({"node-1": silent(600)}, 15),
    ],
)
def test_a_node_in_doubt_is_asked_again_soon_and_when_its_head_is_to_be_given_up(
    nodes: dict[str, Any], seconds: float
) -> None:
    result = cluster_plan(cluster_config(), head(node="node-3"), pod(cut_off=True), nodes=nodes)
    assert result.recheck_after == timedelta(seconds=seconds)
