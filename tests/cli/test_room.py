from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rayserve_operator.cli.forecast import edited
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.room import NodeRoom, Room, free_of, room_for
from rayserve_operator.cli.scene import course_of
from rayserve_operator.model.resources import pod_requests
from tests.builders import NOW, service_spec

from .test_forecast import manifest

GPU = "nvidia.com/gpu"


def config(image: str = "ray:1", **group: Any) -> dict[str, Any]:
    """A head of 1 CPU, and workers of 2 CPUs, 1 GiB and a GPU."""
    head, worker = ({"name": "ray", "image": image, "resources": {"limits": one}} for one in (CPU, CPUS | {GPU: 1}))
    workers = {"groupName": "gpu", "replicas": 2, "minReplicas": 0, **group}
    return {
        "headGroupSpec": {"template": {"spec": {"containers": [head]}}},
        "workerGroupSpecs": [{**workers, "template": {"spec": {"containers": [worker], **TOLERANT}}}],
    }


CPU, CPUS = {"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}
TOLERANT = {"tolerations": [{"key": GPU, "operator": "Exists"}]}


def node(name: str, taint: str | None = None, **allocatable: Any) -> dict[str, Any]:
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    return {
        "metadata": {"name": name, "labels": {"zone": "a"}},
        "spec": {"taints": taints},
        "status": {
            "allocatable": {"cpu": "8", "memory": "64Gi", "pods": "110", **allocatable},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def room(before: dict[str, Any], after: dict[str, Any], nodes: list[NodeRoom] | None = None, **spec: Any) -> Room:
    scene = settled(manifest(service_spec(before, **spec)), NOW)
    course = course_of(edited(scene, manifest(service_spec(after, **spec))), NOW)
    assert course is not None
    return room_for(scene, course, nodes)


def test_two_clusters_stand_side_by_side_at_the_peak() -> None:
    found = room(config(), config("ray:2"))
    assert (found.now.pods, found.peak.pods) == (3, 6)
    assert [(row.group, row.pods, int(row.requests["cpu"])) for row in found.added] == [
        ("head", 1, 1),
        ("group gpu", 2, 4),
    ]
    assert (int(found.peak.requests["cpu"]), int(found.peak.requests[GPU])) == (10, 4)
    assert (found.free, found.unplaced) == (None, {})


def test_where_one_leaves_first_the_larger_one_is_the_peak() -> None:
    recreate: dict[str, Any] = {"upgradeStrategy": {"type": "Recreate"}}
    found = room(config(), config("ray:2", replicas=3), free_of([node("n", cpu="0")], []), **recreate)
    assert (found.peak.pods, int(found.peak.requests["cpu"]), found.unplaced) == (4, 7, {})
    assert room(config(replicas=3), config("ray:2"), **recreate).peak.pods == 4


def test_in_place_only_what_is_missing_is_made() -> None:
    found = room(config(), config(replicas=5))
    assert [(row.group, row.pods) for row in found.added] == [("group gpu", 3)]


def test_fewer_replicas_need_nothing() -> None:
    assert room(config(), config(replicas=1)).added == ()


def test_the_autoscaler_decides_how_many_there_are() -> None:
    scaled = {"enableInTreeAutoscaling": True}
    assert room({**config(), **scaled}, {**config(replicas=5, maxReplicas=9), **scaled}).added == ()
    more = room({**config(), **scaled}, {**config(minReplicas=3, maxReplicas=9), **scaled})
    assert [row.pods for row in more.added] == [1]


def test_free_is_what_nodes_give_without_what_pods_on_them_ask_for() -> None:
    pod = {"spec": {"nodeName": "a", "containers": [{"resources": {"requests": {"cpu": "1500m"}}}]}}
    ended = {**pod, "status": {"phase": "Succeeded"}}
    closed = node("b") | {"spec": {"unschedulable": True}}
    [found] = free_of([node("a"), closed], [pod, ended])
    assert (found.free["cpu"], found.free["pods"]) == (Decimal("6.5"), Decimal(109))


@pytest.mark.parametrize(
    ("nodes", "unplaced"),
    [
        ([node("a", **{GPU: "2"})], {}),
        ([node("a"), node("b", taint=GPU, **{GPU: "1"})], {"group gpu": 1}),
        ([node("b", taint=GPU, **{GPU: "2"})], {"head": 1}),
        ([node("a"), node("b", taint="other", **{GPU: "2"})], {"group gpu": 2}),
        ([node("a", pods="2", **{GPU: "2"})], {"group gpu": 1}),
        ([node("a", cpu="2", **{GPU: "1"}), node("b", cpu="2", **{GPU: "1"})], {"group gpu": 1}),
        ([], {"head": 1, "group gpu": 2}),
    ],
)
def test_pods_that_fit_no_node_are_told(nodes: list[dict[str, Any]], unplaced: dict[str, int]) -> None:
    found = room(config(), config("ray:2"), free_of(nodes, []))
    assert sum(found.unplaced.values()) == sum(unplaced.values())
    if len(unplaced) != 1 or unplaced != {"group gpu": 1}:
        assert found.unplaced == unplaced


def test_a_node_is_chosen_by_its_labels() -> None:
    there, elsewhere = ({"nodeSelector": {"zone": zone}} for zone in ("a", "b"))
    [found] = free_of([node("a")], [])
    assert found.takes(there)
    assert not found.takes(elsewhere)


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], False),
        ([{"operator": "Exists"}], True),
        ([{"key": "k", "value": "v"}], True),
        ([{"key": "k", "value": "w"}], False),
        ([{"key": "k", "value": "v", "effect": "NoExecute"}], False),
        ([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], True),
    ],
)
def test_taints_are_tolerated_as_kubernetes_says(tolerations: list[dict[str, str]], expected: bool) -> None:
    tainted = node("a")
    tainted["spec"]["taints"] = [{"key": "k", "value": "v", "effect": "NoSchedule"}, {"key": "p", "effect": "Prefer"}]
    assert NodeRoom(tainted, {}).takes({"tolerations": tolerations}) is expected


def test_pods_of_others_are_none_of_the_service() -> None:
    scene = settled(manifest(service_spec(config())), NOW)
    strange = {"metadata": {"name": "x", "labels": {}}, "spec": {"containers": []}}
    course = course_of(scene, NOW)
    assert course is not None
    assert room_for(replace(scene, pods=[*scene.pods, strange]), course, None).now.pods == 3


def test_the_scheduler_sets_aside_what_a_pod_needs_at_its_hungriest() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [container("1"), container("2", restartPolicy="Always"), container("5")],
        "containers": [container("1"), {"resources": {"limits": {"cpu": "3"}}}],
        "overhead": {"cpu": "500m"},
    }
    assert pod_requests(spec) == {"cpu": Decimal("7.5")}
    assert pod_requests({**spec, "initContainers": []}) == {"cpu": Decimal("4.5")}
