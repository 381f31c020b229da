"""What ResourceQuotas leave, against what a rollout takes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rayserve_operator.cli.peak import Batch, Stage, Way
from rayserve_operator.cli.quotas import QuotaRoom, quota_room

from .test_room import config, in_steps, scaled, way

GPUS = "requests.nvidia.com/gpu"


def quota(hard: dict[str, Any], used: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    status = {"hard": hard, "used": used or {}}
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": status}


def left(hard: dict[str, Any], used: dict[str, Any] | None = None, **spec: Any) -> QuotaRoom:
    """What is left for a second cluster of a head of 1 CPU and 1 GiB, and two workers of 2 CPUs, 1 GiB and a GPU."""
    return quota_room(quota(hard, used, **spec), way(config(), config("ray:2")))


@pytest.mark.parametrize(
    ("resource", "free", "taken"),
    [
        ("requests.cpu", "4500m", "5"),
        ("cpu", "4500m", "5"),
        ("limits.cpu", "4500m", "5"),
        ("requests.memory", "2Gi", "3Gi"),
        ("memory", "2Gi", "3Gi"),
        ("limits.memory", "2Gi", "3Gi"),
        ("pods", "2", "3"),
        ("count/pods", "2", "3"),
        (GPUS, "1", "2"),
    ],
)
def test_what_a_new_cluster_takes_is_held_against_what_is_left(resource: str, free: str, taken: str) -> None:
    found = left({resource: taken}, {resource: 0})
    assert (found.free, found.taken, found.short) == (found.taken, found.free, {})
    assert left({resource: free}).short.keys() == {resource}


def test_hard_without_used_is_left() -> None:
    found = left({"pods": "10", "requests.cpu": "8"}, {"pods": "8", "requests.cpu": "9"})
    assert found.free == {"pods": 2, "requests.cpu": 0}
    assert found.short == {"pods": 1, "requests.cpu": 5}


def test_one_that_was_not_counted_yet_leaves_all() -> None:
    fresh = {"metadata": {"name": "team"}, "spec": {"hard": {"pods": "4"}}}
    assert quota_room(fresh, way(config(), config("ray:2"))).free == {"pods": 4}


def test_of_what_is_not_about_pods_nothing_is_told() -> None:
    found = left({"services": "0", "requests.storage": "0", "nvidia.com/gpu": "0", "count/rayclusters.ray.io": "0"})
    assert (found.free, found.short) == ({}, {})


@pytest.mark.parametrize(
    ("spec", "after", "short"),
    [
        ({}, config("ray:2"), 3),
        ({"upgradeStrategy": {"type": "Recreate"}}, config("ray:2"), 0),
        ({"upgradeStrategy": {"type": "Recreate"}}, config("ray:2", replicas=4), 2),
        ({}, config(replicas=3), 1),
    ],
    ids=["blue-green", "recreate", "recreate-larger", "in-place"],
)
def test_what_is_used_by_pods_that_end_first_is_left_again(spec: Any, after: Any, short: int) -> None:
    found = quota_room(quota({"pods": "3"}, {"pods": "3"}), way(config(), after, **spec))
    assert found.short.get("pods", 0) == short


@pytest.mark.parametrize(("surge", "taken"), [(100, 10), (30, 3), (0, 1)])
def test_where_capacity_moves_in_steps_only_the_surge_is_taken(surge: int, taken: int) -> None:
    whole = quota({GPUS: "10"}, {GPUS: "10"})
    assert quota_room(whole, way(scaled(), scaled("ray:2"), **in_steps(20, 50, surge=surge))).taken == {GPUS: taken}


# Scopes. -----------------------------------------------------------------------------------------------------------

NAMED, LIMITED = ({"containers": [{"resources": one}]} for one in ({}, {"limits": {"cpu": "1"}}))
NEIGHBOURS: dict[str, Any] = {"podAffinityTerm": {"namespaceSelector": {}}}
AFFINE = {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [NEIGHBOURS]}}}


def selector(operator: str, *values: str, scope: str = "PriorityClass") -> dict[str, Any]:
    wanted = {"scopeName": scope, "operator": operator, "values": list(values)}
    return {"scopeSelector": {"matchExpressions": [wanted]}}


@pytest.mark.parametrize(
    ("scopes", "pod", "is_counted"),
    [
        ({"scopes": ["Terminating"]}, {}, False),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 0}, True),
        ({"scopes": ["NotTerminating"]}, {}, True),
        ({"scopes": ["BestEffort"]}, {}, True),
        ({"scopes": ["BestEffort"]}, LIMITED, False),
        ({"scopes": ["NotBestEffort"]}, LIMITED, True),
        ({"scopes": ["NotBestEffort", "Terminating"]}, LIMITED, False),
        ({"scopes": ["PriorityClass"]}, {"priorityClassName": "high"}, True),
        ({"scopes": ["CrossNamespacePodAffinity"]}, {}, False),
        ({"scopes": ["CrossNamespacePodAffinity"]}, AFFINE, True),
        (selector("Exists", scope="VolumeAttributesClass"), {}, False),
        (selector("Exists", scope="Later"), {}, False),
        (selector("Exists"), {}, False),
        (selector("DoesNotExist"), {}, True),
        (selector("DoesNotExist"), {"priorityClassName": "high"}, False),
        (selector("In", "high"), {"priorityClassName": "high"}, True),
        (selector("In", "high"), {"priorityClassName": "low"}, False),
        (selector("In", "high"), {}, False),
        (selector("NotIn", "high"), {}, True),
        (selector("NotIn", "high"), {"priorityClassName": "high"}, False),
    ],
)
def test_a_quota_counts_the_pods_that_its_scopes_hold_for(scopes: Any, pod: Any, is_counted: bool) -> None:
    made = (Batch("head", 1, {"spec": NAMED | pod}),)
    found = quota_room(quota({"pods": "0"}, **scopes), Way((), [Stage((), made)]))
    assert (found.short == {"pods": 1}, found.passed_over is None) == (is_counted, is_counted)


def test_why_a_quota_is_passed_over_is_told() -> None:
    assert left({"pods": "0"}, scopes=["BestEffort"]) == QuotaRoom(
        "team", passed_over="its scopes (BestEffort) hold for none of the pods that are made"
    )
    assert left({"pods": "0"}, scopes=["Later"]).passed_over == "its scope Later is not known here"


def test_of_some_pods_only_those_are_counted_that_the_scopes_hold_for() -> None:
    after = config("ray:2")
    after["workerGroupSpecs"][0]["template"]["spec"]["priorityClassName"] = "high"
    found = quota_room(quota({"pods": "0"}, **selector("In", "high")), way(config(), after))
    assert found.taken == {"pods": Decimal(2)}


# What must be named. -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "unnamed"),
    [
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, ()),
        ({"requests": {"cpu": "1", "memory": "1Gi"}}, ("limits.memory",)),
        ({"limits": {"memory": "1Gi"}}, ("requests.cpu",)),
        ({}, ("requests.cpu", "limits.memory")),
    ],
)
def test_what_a_quota_wants_to_be_named_and_is_not(resources: Any, unnamed: tuple[str, ...]) -> None:
    named = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    made = (Batch("head", 1, {"spec": {"initContainers": [named], "containers": [named, {"resources": resources}]}}),)
    asked = quota({"requests.cpu": "9", "limits.memory": "9Gi", "pods": "9", GPUS: "9"})
    assert quota_room(asked, Way((), [Stage((), made)])).unnamed == unnamed
