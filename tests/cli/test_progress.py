from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.cli.progress import Phase, progress_of

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


def ray_service(*conditions: tuple[str, str, str], generation: int = 3, **status: Any) -> dict[str, Any]:
    told = [
        {
            "type": type_,
            "status": holds,
            "reason": "Reason",
            "message": message,
            "lastTransitionTime": "2030-01-01T00:00:00Z",
            "observedGeneration": 3,
        }
        for type_, holds, message in conditions
    ]
    return {"metadata": {"name": "demo", "generation": generation}, "status": {"conditions": told, **status}}


@pytest.mark.parametrize(
    ("manifest", "phase", "words"),
    [
        ({"metadata": {"generation": 1}}, Phase.WAITING, ""),
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
    found = progress_of(manifest)
    assert (found.phase, found.words) == (phase, words)


def test_both_clusters_are_told_with_their_pods_and_applications() -> None:
    found = progress_of(ray_service(VALID, activeServiceStatus=ACTIVE, pendingServiceStatus=PENDING))
    serving, coming = found.clusters
    assert (serving.traffic, coming.traffic) == ("", "")
    assert (serving.name, serving.pods, serving.applications) == ("demo-a", "2/3", (("app", "RUNNING"),))
    assert (coming.name, coming.role, coming.pods) == ("demo-b", "next", "0/0")


def test_shares_of_the_traffic_are_told() -> None:
    shared = ray_service(
        VALID,
        activeServiceStatus=ACTIVE | {"trafficRoutedPercent": 80},
        pendingServiceStatus=PENDING | {"trafficRoutedPercent": 20},
    )
    assert [row.traffic for row in progress_of(shared).clusters] == ["80%", "20%"]


def test_only_what_nothing_more_happens_to_is_an_end() -> None:
    assert {phase for phase in Phase if phase.is_end} == {
        Phase.INVALID,
        Phase.STALLED,
        Phase.SUSPENDED,
        Phase.SERVING,
    }
    assert {phase for phase in Phase if phase.is_good} == {Phase.SUSPENDED, Phase.SERVING}
