from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.cli.progress import Gate, Phase, Progress, progress_of
from rayserve_operator.cli.scene import Scene
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import labels
from tests.builders import NOW, ago, service_spec

from .manifests import ray_cluster, revision
from .manifests import ray_service as service_of

VALID = ("SpecValid", "True", "")
ACTIVE = {
    "rayClusterName": "demo-a",
    "rayClusterStatus": {
        "readyWorkerReplicas": 1,
        "desiredWorkerReplicas": 2,
        "conditions": [
            {"type": "HeadPodReady", "status": "True", "reason": "r", "message": "", "lastTransitionTime": "t"}
        ],
    },
    "applicationStatuses": {"app": {"status": "RUNNING"}},
}
PENDING = {"rayClusterName": "demo-b"}


def condition(type_: str, holds: str, message: str = "", reason: str = "Reason") -> dict[str, Any]:
    since = "2030-01-01T11:00:00Z"
    told = {"type": type_, "status": holds, "reason": reason, "message": message, "lastTransitionTime": since}
    return {**told, "observedGeneration": 3}


def ray_service(*conditions: tuple[str, ...], generation: int = 3, **status: Any) -> dict[str, Any]:
    told = {"conditions": [condition(*one) for one in conditions], **status}
    return {**service_of(service_spec(), generation=generation), "status": told}


def progress(service: dict[str, Any], **others: Any) -> Progress:
    return progress_of(Scene(service, **others), NOW)


def noted(name: str, number: int = 1, **notes: str) -> dict[str, Any]:
    """A RayCluster with these annotations."""
    cluster = ray_cluster(name, number)
    cluster["spec"] = service_spec()["rayClusterConfig"]
    cluster["metadata"]["annotations"] |= {getattr(labels, key): value for key, value in notes.items()}
    return cluster


@pytest.mark.parametrize(
    ("manifest", "phase", "words"),
    [
        (service_of({}, generation=1), Phase.WAITING, ""),
        (ray_service(VALID, generation=4, activeServiceStatus=ACTIVE), Phase.WAITING, ""),
        (ray_service(("SpecValid", "False", "spec.x: no"), activeServiceStatus=ACTIVE), Phase.INVALID, "spec.x: no"),
        (ray_service(VALID, ("Stalled", "True", "no image"), activeServiceStatus=ACTIVE), Phase.STALLED, "no image"),
        (ray_service(VALID, ("Suspended", "True", "")), Phase.SUSPENDED, ""),
        (ray_service(VALID, ("Reconciling", "True", "the head starts")), Phase.STARTING, "the head starts"),
        (
            ray_service(
                VALID, ("Reconciling", "True", "wait"), activeServiceStatus=ACTIVE, pendingServiceStatus=PENDING
            ),
            Phase.ROLLING_OUT,
            "wait",
        ),
        (ray_service(VALID, ("Reconciling", "True", "sent"), activeServiceStatus=ACTIVE), Phase.UPDATING, "sent"),
        (ray_service(VALID, ("Reconciling", "False", "all"), activeServiceStatus=ACTIVE), Phase.SERVING, "all"),
    ],
)
def test_the_phase_is_told_by_conditions_of_the_present_spec(
    manifest: dict[str, Any], phase: Phase, words: str
) -> None:
    found = progress(manifest)
    assert (found.phase, found.message) == (phase, words)


def test_all_clusters_are_told_with_their_pods_and_applications() -> None:
    service = ray_service(VALID, activeServiceStatus=ACTIVE, pendingServiceStatus=PENDING)
    old = noted("demo-o", RETIRED_AT=ago(40)) | {"status": {"desiredWorkerReplicas": 3}}
    found = progress(service, clusters=[noted("demo-a", ROUTED_AT=ago(900)), old])
    serving, coming, draining = found.clusters
    assert (serving.name, serving.ready_pods, serving.wanted_pods) == ("demo-a", 2, 3)
    assert serving.since == NOW - timedelta(seconds=900)
    assert [(app.name, app.status) for app in serving.applications] == [("app", "RUNNING")]
    assert (coming.name, coming.role, coming.ready_pods, coming.wanted_pods) == ("demo-b", "next", 0, 0)
    assert (draining.name, draining.role, draining.wanted_pods) == ("demo-o", "draining", 4)
    assert draining.since == NOW - timedelta(seconds=40)
    assert [row.traffic_percent for row in found.clusters] == [100, 0, 0]


def test_what_belongs_to_another_service_is_none_of_it() -> None:
    strange = noted("demo-x")
    strange["metadata"]["ownerReferences"] = [{"uid": "uid-other", "controller": True}]
    found = progress(ray_service(VALID), clusters=[strange], revisions=[revision(7, service_spec(), uid="uid-other")])
    assert (found.clusters, found.revision) == ((), None)


def test_shares_of_the_traffic_are_told_as_they_are_and_as_they_are_to_be() -> None:
    shared = ray_service(
        VALID,
        activeServiceStatus=ACTIVE | {"trafficRoutedPercent": 80},
        pendingServiceStatus=PENDING | {"trafficRoutedPercent": 20},
    )
    share = noted("demo-b", SHARE=f'{{"percent": 25, "since": "{ago(60)}"}}')
    found = progress(shared, clusters=[share])
    assert [(row.traffic_percent, row.wanted_percent) for row in found.clusters] == [(80, None), (20, 25)]


def gate(reason: str, *, strategy: dict[str, Any] | None = None, **notes: str) -> Gate:
    """The one gate of a rollout whose condition Reconciling has this reason, with these notes on the new cluster."""
    spec = service_spec(service_spec()["rayClusterConfig"] | {"rayVersion": "2.60.0"})
    service = ray_service(VALID, ("Reconciling", "True", "wait", reason), activeServiceStatus=ACTIVE)
    service["spec"] = spec | {"upgradeStrategy": strategy or {"progressDeadlineSeconds": 7200}}
    goal = revision(2, service["spec"])
    next_cluster = noted("demo-b", 2, **notes)
    next_cluster["spec"] = spec["rayClusterConfig"]
    stored = goal["metadata"]["name"] = _revision_name(service)
    next_cluster["metadata"]["annotations"][labels.REVISION] = stored
    route = {"metadata": ray_cluster("demo-serve-svc", 1)["metadata"], "spec": {}}
    route["metadata"]["annotations"] = {labels.ACTIVE_CLUSTER: "demo-a"}
    clusters = [noted("demo-a"), next_cluster]
    [found] = progress(service, clusters=clusters, revisions=[goal], services=[route]).gates
    return found


def _revision_name(service: dict[str, Any]) -> str:
    return Goal.parse(Meta.parse(service), service["spec"]).revision


SINCE = datetime.fromisoformat("2030-01-01T11:00:00Z")
STEPS = {
    "type": "NewClusterWithIncrementalUpgrade",
    "clusterUpgradeOptions": {"steps": [20], "intervalSeconds": 300},
    "warmUpTimeoutSeconds": 100,
}


@pytest.mark.parametrize(
    ("reason", "notes", "since", "until"),
    [
        ("MatchingCapacity", {"WARM_SINCE": ago(30)}, 30, 70),
        ("ShiftingTraffic", {"SHARE": f'{{"percent": 20, "since": "{ago(60)}"}}'}, 60, 240),
        ("Paused", {"SHARE": f'{{"percent": 20, "since": "{ago(60)}"}}'}, 60, None),
        ("AnalyzingAnswers", {"SMOKE_SINCE": ago(5)}, 5, 10),
    ],
)
def test_a_gate_counts_from_what_the_operator_noted(
    reason: str, notes: dict[str, str], since: int, until: int | None
) -> None:
    found = gate(reason, strategy=STEPS, **notes)
    assert found.since == NOW - timedelta(seconds=since)
    assert found.until == (None if until is None else NOW + timedelta(seconds=until))


def test_any_other_gate_lasts_until_the_deadline() -> None:
    found = gate("Provisioning")
    assert (found.since, found.until, found.message) == (SINCE, SINCE + timedelta(hours=2), "wait")


def test_what_is_wrong_is_told_beside_what_is_waited_for() -> None:
    conditions = [VALID, ("Ready", "False", "no pod", "ZeroServeEndpoints"), ("ApplicationsHealthy", "Unknown", "?")]
    found = progress(ray_service(*conditions, ("ServiceConflict", "True", "", "ServiceExists")))
    assert [one.reason for one in found.gates] == ["ZeroServeEndpoints", "Reason", "ServiceExists"]


def test_of_what_is_suspended_nothing_is_waited_for() -> None:
    assert progress(ray_service(VALID, ("Suspended", "True"), ("Ready", "False"))).gates == ()


def test_the_last_events_are_told_with_their_number() -> None:
    events: list[dict[str, Any]] = [
        {"reason": f"R{n}", "message": "m", "type": "Normal", "lastTimestamp": f"2030-01-01T11:00:0{n}Z", "count": n}
        for n in range(9)
    ]
    found = progress(ray_service(VALID), events=[*reversed(events), {"reason": "undated"}]).events
    assert [event.reason for event in found] == ["R3", "R4", "R5", "R6", "R7", "R8"]
    assert found[-1].count == 8


def test_only_what_nothing_more_happens_to_is_an_end() -> None:
    assert {phase for phase in Phase if phase.is_end} == {
        Phase.INVALID,
        Phase.STALLED,
        Phase.SUSPENDED,
        Phase.SERVING,
    }
    assert {phase for phase in Phase if phase.is_good} == {Phase.SUSPENDED, Phase.SERVING}
