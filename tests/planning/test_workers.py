"""Worker groups, replica by replica: which go, which come, and what is told of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Annotate, Announcement, Create, Delete, Kind, Plan
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.observed import NodeView, PodView
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOW,
    actions_of,
    ago,
    announced,
    cluster_config,
    cluster_plan,
    group,
    head,
    in_words,
    pod,
    ray_cluster,
)

CONFIRMED, NEW = "confirm demo-a", "create a pod demo-a-cpu-worker-"
SILENT = {"node-1": NodeView("node-1", NOW, out_of_service=False)}
HEAD = head(node="node-2")
NEW_HEAD = head(age=50)
SEEN = ("nodes", "of_service")


def plan(*workers: PodView, head: PodView | None = HEAD, **fields: Any) -> Plan[RayClusterStatus]:
    """What happens to one group; fields are of the group, of the cluster (`autoscaling`) and of what is seen."""
    seen = {key: fields.pop(key) for key in SEEN if key in fields}
    cluster: dict[str, Any] = {"enableInTreeAutoscaling": True} if fields.pop("autoscaling", False) else {}
    config = cluster_config(group(**fields), **cluster)
    return cluster_plan(config, *([head] if head else []), *workers, **seen)


def words(*workers: PodView, **fields: Any) -> list[str]:
    found = in_words(plan(*workers, **fields))
    return [done for done in found if not done.startswith(("make ", "point ")) and done != CONFIRMED]


def made(*workers: PodView, **fields: Any) -> list[dict[str, Any]]:
    actions = actions_of(plan(*workers, **fields))
    return [dict(a.manifest["metadata"]) for a in actions if isinstance(a, Create) and a.kind is Kind.POD]


def host(name: str, index: int, replica: str = "r", **fields: Any) -> PodView:
    return pod(name, replica=replica, index=0, host=index, **fields)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ([pod("a", phase="Pending")], [pod("b", phase="Failed", failures=5, age=1)]),
        ([pod("a", ready=False)], [pod("b", started=False)]),
        ([pod("a", started=False)], [pod("b", phase="Pending")]),
        ([pod("b")], [pod("a")]),
    ],
    ids=["failed", "not up", "not running", "the same"],
)
def test_the_least_useful_worker_goes_first(better: list[PodView], worse: list[PodView]) -> None:
    gone = [f"delete {one.meta.name}" for one in worse]
    assert words(*better, *worse, replicas=1) == gone
    assert words(*worse, *better, replicas=1) == gone


def test_a_replica_is_as_useful_as_its_least_useful_host() -> None:
    runs = [host("a", 0, "r", started=False), host("b", 1, "r", started=False)]
    half = [host("c", 0, "s", started=False), host("d", 1, "s", phase="Pending")]
    assert words(*runs, *half, numOfHosts=2, replicas=1) == ["delete c", "delete d"]


def test_there_is_no_surplus_while_workers_are_missing() -> None:
    assert words(pod("a"), pod("b"), replicas=3) == [NEW]


@pytest.mark.parametrize(
    ("workers", "fields", "expected"),
    [
        ([pod("a")], {"suspend": True}, ["delete a"]),
        ([pod("a")], {"suspend": True, "autoscaling": True}, ["delete a"]),
        ([pod("a", cut_off=True)], {"replicas": 0, "nodes": SILENT}, ["delete a"]),
        ([pod("a", cut_off=True)], {"replicas": 1, "nodes": SILENT}, [NEW]),
        (
            [host("a", 0, phase="Pending"), host("b", 1)],
            {"numOfHosts": 2, "replicas": 0, "autoscaling": True},
            [],
        ),
        (
            [host("a", 0, phase="Pending"), host("b", 1, phase="Pending")],
            {"numOfHosts": 2, "replicas": 0, "autoscaling": True},
            ["delete a", "delete b"],
        ),
    ],
    ids=["suspended", "suspended under autoscaling", "lost and unwanted", "lost", "a host runs", "none runs"],
)
def test_what_is_wanted_no_more_goes(workers: list[PodView], fields: dict[str, Any], expected: list[str]) -> None:
    assert words(*workers, **fields) == expected


@pytest.mark.parametrize(
    ("workers", "fields", "why"),
    [
        ([pod("a")], {"scaleStrategy": {"workersToDelete": ["a"]}}, "its removal was asked for"),
        ([pod("a")], {"replicas": 0}, "group cpu has more than the 0 wanted"),
        ([pod("a", phase="Failed", failures=5, age=1)], {"replicas": 0}, "group cpu has more than the 0 wanted"),
        ([pod("a", phase="Failed")], {}, "it failed"),
        (
            [pod("a", cut_off=True)],
            {"replicas": 0, "nodes": SILENT},
            "its node node-1 was lost",
        ),
        ([pod("a", serve="false"), pod("b", age=10)], {"head": NEW_HEAD}, "its head is gone"),
        ([host("a", 0), host("b", 1, leaving=True)], {"numOfHosts": 2}, "b, another host of its replica, is lost"),
        ([host("a", 0)], {"numOfHosts": 2}, "another host of its replica is gone"),
        ([host("a", 0, phase="Pending")], {"numOfHosts": 2, "replicas": 0}, "group cpu has more than the 0 wanted"),
        ([host("a", 0)], {"numOfHosts": 1, "replicas": 0}, "group cpu has more than the 0 wanted"),
    ],
    ids=["named", "surplus", "failed", "ended", "lost", "orphaned", "broken", "alone", "forming", "one host"],
)
def test_it_is_told_why_a_worker_goes(workers: list[PodView], fields: dict[str, Any], why: str) -> None:
    gone = [action for action in actions_of(plan(*workers, **fields)) if isinstance(action, Delete)]
    told = Announcement("DeletedWorkerPod", f"Deleted a: {why}")
    assert gone == [Delete(kind=Kind.POD, name="a", uid="uid-a", announce=told)]


@pytest.mark.parametrize(
    ("workers", "fields", "why"),
    [
        ([host("a", 0), host("b", 1)], {"replicas": 0}, "group cpu has more than the 0 wanted"),
        (
            [
                host("a", 0, serve="false"),
                host("b", 1, ready=False),
                host("c", 0, "s", age=9),
                host("d", 1, "s", age=9),
            ],
            {"head": NEW_HEAD},
            "its head is gone",
        ),
    ],
    ids=["surplus", "orphaned"],
)
def test_it_is_told_of_every_host_why_it_goes(workers: list[PodView], fields: dict[str, Any], why: str) -> None:
    told = [announcement.message for announcement in announced(plan(*workers, numOfHosts=2, **fields))]
    assert told == [f"Deleted a: {why}", f"Deleted b: {why}"]


@pytest.mark.parametrize(
    ("workers", "hosts", "expected"),
    [
        ([host("a", 0, cut_off=True), host("b", 1, node="node-2")], 2, [NEW, NEW, "delete a", "delete b"]),
        ([host("a", 0, phase="Pending"), host("b", 1, leaving=True)], 2, [NEW, NEW, "delete a"]),
        ([host("a", 0, phase="Failed"), host("b", 1, phase="Failed", failures=5, age=1)], 2, []),
        ([host("a", 0, node="node-2"), host("b", 1, phase="Pending")], 3, [NEW, NEW, NEW, "delete a", "delete b"]),
        ([host("a", 0, phase="Pending", waiting="ContainerCreating")], 2, [NEW]),
        ([host("a", 0, phase="Pending", waiting="CrashLoopBackOff", restarts=3)], 2, [NEW, NEW, "delete a"]),
        ([pod("a", phase="Pending")], 2, []),
    ],
    ids=["a lost node", "a host leaves", "too early", "one of three gone", "being made", "had started", "unnumbered"],
)
def test_a_replica_that_misses_a_host_is_completed_while_it_is_made_and_replaced_once_it_ran(
    workers: list[PodView], hosts: int, expected: list[str]
) -> None:
    assert sorted(words(*workers, numOfHosts=hosts, nodes=SILENT)) == sorted(expected)


def test_the_hosts_of_a_replica_have_a_name_in_common_that_no_other_has() -> None:
    numbers = (labels.REPLICA_NAME, labels.REPLICA_INDEX, labels.HOST_INDEX)
    found = [tuple(one["labels"].get(key) for key in numbers) for one in made(numOfHosts=2, replicas=2)]
    names = [name for name, *_ in found]
    assert [place for _, *place in found] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"]]
    assert names[0] == names[1] != names[2] == names[3]
    assert all(str(name).startswith("cpu-") for name in names)


def test_a_replica_never_takes_the_name_of_an_earlier_one_or_of_another_clusters() -> None:
    config = cluster_config(group(numOfHosts=2))
    observed = ray_cluster(config, HEAD)
    other = replace(observed, cluster=replace(observed.cluster, meta=replace(observed.cluster.meta, uid="other")))
    later = NOW + timedelta(seconds=1)
    plans = [plan_cluster(seen, RenderOptions(), at) for seen, at in ((observed, NOW), (observed, later), (other, NOW))]
    found = {
        action.manifest["metadata"]["labels"][labels.REPLICA_NAME]
        for one in plans
        for action in actions_of(one)
        if isinstance(action, Create)
    }
    assert len(found) == 3


def test_a_worker_of_one_host_needs_no_name_in_common() -> None:
    [metadata] = made()
    assert labels.REPLICA_NAME not in metadata["labels"]
    assert labels.FAILURES not in (metadata.get("annotations") or {})


def test_a_new_worker_is_told() -> None:
    assert announced(plan()) == [Announcement("CreatedWorkerPod", "Created a worker pod of group cpu")]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([host("a", 0, phase="Failed", failures=2), host("b", 1, phase="Failed")], "3"),
        ([host("a", 0, phase="Failed"), host("b", 1, failures=5)], "1"),
    ],
    ids=["the one that failed most", "only those that failed"],
)
def test_a_replica_remembers_the_failures_of_the_one_before(hosts: list[PodView], expected: str) -> None:
    found = {one["annotations"].get(labels.FAILURES) for one in made(*hosts, numOfHosts=2)}
    assert found == {expected}


OLD, YOUNG = pod("old"), pod("young", age=49)
OLD_HOSTS = (host("a", 0), host("b", 1))
YOUNG_HOSTS = (host("c", 0, "s", age=49), host("d", 1, "s", age=49))
LEAVING_HOSTS = ["note retired-at, serve on a", "note retired-at, serve on b"]
RESTED, LEAVES = "delete old", "note retired-at, serve on old"


@pytest.mark.parametrize(
    ("workers", "fields", "expected"),
    [
        ([pod("same second", age=50, since=60)], {}, []),
        ([pod("begun since", age=100, since=50)], {}, []),
        ([pod("crashes", age=100, waiting="CrashLoopBackOff")], {}, []),
        ([OLD, pod("young", age=49, ready=False)], {"of_service": False}, [RESTED]),
        ([OLD, pod("young", age=49, ready=False)], {"head": head(age=50, serve="true")}, [LEAVES]),
        ([OLD, pod("young", age=49, started=False, unschedulable="no room")], {}, [RESTED]),
        ([OLD, YOUNG, pod("late", age=49, started=False, unschedulable="no room")], {"replicas": 2}, [LEAVES]),
        ([OLD, YOUNG, pod("slow", age=49, started=False)], {"replicas": 2}, []),
        ([*OLD_HOSTS], {"numOfHosts": 2}, [NEW, NEW]),
        ([OLD_HOSTS[0], host("b", 1, age=49)], {"numOfHosts": 2}, [NEW, NEW]),
        ([*OLD_HOSTS, *YOUNG_HOSTS], {"numOfHosts": 2}, LEAVING_HOSTS),
        ([*OLD_HOSTS, YOUNG_HOSTS[0], host("d", 1, "s", age=49, started=False)], {"numOfHosts": 2}, []),
    ],
    ids=[
        "a clock that is late",
        "started since",
        "not running",
        "nothing serves",
        "the head serves",
        "in the way",
        "in the way of some",
        "too few",
        "hosts",
        "a host",
        "hosts replaced",
        "hosts half replaced",
    ],
)
def test_a_worker_of_a_head_that_is_gone_stays_until_others_can_do_its_work(
    workers: list[PodView], fields: dict[str, Any], expected: list[str]
) -> None:
    assert words(*workers, **{"of_service": True, "head": NEW_HEAD, **fields}) == expected


def left(name: str, seconds: float, index: int | None = None, **fields: Any) -> PodView:
    """One that was taken from the Services so long ago."""
    fields |= {"serve": "false", "notes": {labels.RETIRED_AT: ago(seconds)}}
    return pod(name, **fields) if index is None else host(name, index, **fields)


def test_one_that_nobody_can_drain_leaves_the_services_before_it_ends() -> None:
    leaving = [a for a in actions_of(plan(OLD, YOUNG, of_service=True, head=NEW_HEAD)) if isinstance(a, Annotate)]
    assert [(a.labels, a.annotations) for a in leaving] == [
        ({labels.SERVE: "false"}, {labels.RETIRED_AT: NOW.isoformat()})
    ]


@pytest.mark.parametrize(
    ("workers", "fields", "expected", "again"),
    [
        ([left("a", 4), YOUNG], {}, [], 6),
        ([left("a", 4), left("b", 7), pod("c", age=49), YOUNG], {"replicas": 2}, [], 3),
        ([left("a", 10), YOUNG], {}, ["delete a"], None),
        ([left("a", 9, 0), left("b", 10, 1), *YOUNG_HOSTS], {"numOfHosts": 2}, [], 1),
        ([left("a", 10, 0), left("b", 10, 1), *YOUNG_HOSTS], {"numOfHosts": 2}, ["delete a", "delete b"], None),
        ([left("a", 4, leaving=True), YOUNG], {}, [], None),
    ],
    ids=["too early", "two", "in time", "one of two hosts", "both hosts", "on its way out"],
)
def test_requests_under_way_in_it_have_time_to_end(
    workers: list[PodView], fields: dict[str, Any], expected: list[str], again: float | None
) -> None:
    options = {"of_service": True, "head": NEW_HEAD, **fields}
    assert words(*workers, **options) == expected
    wait = plan(*workers, **options).recheck_after
    assert wait == (None if again is None else timedelta(seconds=again))


def test_while_there_is_no_head_no_worker_is_an_orphan() -> None:
    assert words(pod(), head=None) == ["create a pod demo-a-head-"]
