from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rayserve_operator.cli.forecast import edited
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.peak import Way, way_of
from rayserve_operator.cli.room import NodeRoom, Room, free_of, room_for
from rayserve_operator.cli.scene import Scene, course_of
from rayserve_operator.model.resources import pod_limits, pod_requests
from rayserve_operator.render import labels
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


def way(before: dict[str, Any], after: dict[str, Any], **spec: Any) -> Way:
    scene = settled(manifest(service_spec(before, **spec)), NOW)
    course = course_of(edited(scene, manifest(service_spec(after, **spec))), NOW)
    assert course is not None
    return way_of(scene, course)


def room(before: dict[str, Any], after: dict[str, Any], nodes: list[NodeRoom] | None = None, **spec: Any) -> Room:
    return room_for(way(before, after, **spec), nodes, None)


def in_steps(*steps: int, surge: int) -> dict[str, Any]:
    options = {"steps": [*steps], "intervalSeconds": 60, "maxSurgePercent": surge}
    return {"upgradeStrategy": {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}}


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


def scaled(image: str = "ray:1", **group: Any) -> dict[str, Any]:
    return {**config(image, **{"replicas": 10, "maxReplicas": 20, **group}), "enableInTreeAutoscaling": True}


@pytest.mark.parametrize(("surge", "workers"), [(100, 20), (30, 13), (20, 12), (0, 11)])
def test_where_capacity_moves_in_steps_the_surge_bounds_the_peak(surge: int, workers: int) -> None:
    found = room(scaled(), scaled("ray:2"), **in_steps(20, 50, surge=surge))
    assert (found.now.pods, found.peak.pods, int(found.peak.requests[GPU])) == (11, workers + 2, workers)
    assert [(row.group, row.pods) for row in found.added] == [("head", 1), ("group gpu", 10)]


def test_without_the_autoscaler_there_is_no_such_bound() -> None:
    assert room(config(), config("ray:2"), **in_steps(20, surge=20)).peak.pods == 6


def test_groups_that_may_not_be_smaller_keep_their_size_in_part() -> None:
    found = room(scaled(minReplicas=10), scaled("ray:2", minReplicas=10), **in_steps(50, surge=50))
    assert found.peak.pods == 15 + 2


def test_each_resource_has_a_peak_of_its_own() -> None:
    slim = scaled("ray:2")
    slim["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resources"] = {"limits": CPU}
    found = room(scaled(), slim, **in_steps(50, surge=50))
    assert (int(found.peak.requests[GPU]), found.peak.pods) == (10, 15 + 2)


def test_only_pods_for_which_none_has_left_yet_are_to_fit_now() -> None:
    nodes = free_of([node("a", taint=GPU, cpu="99", **{GPU: "1"}), node("b")], [])
    found = room(scaled(), scaled("ray:2"), nodes, **in_steps(20, 50, surge=30))
    assert found.unplaced == {"group gpu": 1}


def moving(old: int, new: int) -> Scene:
    """A rollout under way, in which the new cluster takes as much of the traffic as it has of the capacity."""
    sides = [settled(manifest(service_spec(scaled(image), **IN_STEPS)), NOW) for image in ("ray:1", "ray:2")]
    since = {"since": NOW.isoformat()}
    notes = [{labels.CAPACITY: {"percent": percent} | since} for percent in (old, new)]
    notes[1][labels.SHARE] = {"percent": new} | since
    for side, noted in zip(sides, notes, strict=True):
        side.clusters[0]["metadata"]["annotations"].update({key: json.dumps(one) for key, one in noted.items()})
    before, after = sides
    return replace(
        before,
        clusters=[*before.clusters, *after.clusters],
        revisions=[*before.revisions, *after.revisions],
        pods=[*before.pods[: 1 + old // 10], *after.pods[: 1 + new // 10]],
    )


IN_STEPS = in_steps(20, 50, surge=30)


def test_of_a_rollout_under_way_the_rest_is_told() -> None:
    scene = moving(50, 50)
    course = course_of(edited(scene, manifest(service_spec(scaled("ray:2"), **IN_STEPS))), NOW)
    assert course is not None
    found = room_for(way_of(scene, course), None, None)
    assert (found.now.pods, found.peak.pods) == (2 + 10, 2 + 13)
    assert [(row.group, row.pods) for row in found.added] == [("group gpu", 5)]


def test_what_gave_up_capacity_has_it_back_before_another_takes_over() -> None:
    scene = moving(50, 50)
    course = course_of(edited(scene, manifest(service_spec(scaled("ray:3"), **IN_STEPS))), NOW)
    assert course is not None
    found = room_for(way_of(scene, course), None, None)
    assert (found.now.pods, found.peak.pods) == (2 + 10, 6 + 2 + 13)
    assert [(row.group, row.pods) for row in found.added] == [("head", 1), ("group gpu", 10)]


def test_in_place_only_what_is_missing_is_made() -> None:
    found = room(config(), config(replicas=5))
    assert [(row.group, row.pods) for row in found.added] == [("group gpu", 3)]


def test_fewer_replicas_need_nothing() -> None:
    assert room(config(), config(replicas=1)).added == ()


def test_the_autoscaler_decides_how_many_there_are() -> None:
    own = {"enableInTreeAutoscaling": True}
    assert room({**config(), **own}, {**config(replicas=5, maxReplicas=9), **own}).added == ()
    more = room({**config(), **own}, {**config(minReplicas=3, maxReplicas=9), **own})
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
    assert len(way_of(replace(scene, pods=[*scene.pods, strange]), course).now) == 3


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
    assert pod_limits(spec) == {"cpu": Decimal("3.5")}
    assert pod_limits({"containers": [container("1")], "overhead": {"cpu": "1"}}) == {}
