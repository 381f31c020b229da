"""What is told of a RayService."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.model.conditions import Condition
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.rayservice import ClusterServiceStatus, RayServiceStatus
from rayserve_operator.planning.actions import Announcement
from rayserve_operator.planning.condition_list import timestamp
from rayserve_operator.planning.observed import ObservedCluster, ObservedService, Silence
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service, plan_without_goal
from rayserve_operator.planning.service.status import announcements, blamed
from rayserve_operator.render import labels

from ..builders import (
    NOTHING_DEPLOYED,
    NOW,
    OTHER_APP,
    ago,
    aim_at,
    answer,
    cluster,
    cluster_config,
    head,
    pod,
    revision,
    service_meta,
    service_spec,
    world,
)

LATER = NOW + timedelta(minutes=1)
FIRST = aim_at(service_spec())
EDIT = aim_at(service_spec(app=OTHER_APP))
IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
SUSPENDED = aim_at(service_spec(suspend=True))
SERVING = cluster(routed=600)
NEW = cluster("demo-b", IMAGE)
PROBLEMS = (Problem("spec.x", "is wrong", "mend it"), Problem("spec.y", "is too", "mend that"))
Facts = dict[str, tuple[str, str, str]]


def condition(type_: str, status: Any, reason: str = "x", message: str = "") -> Condition:
    return Condition(type=type_, status=status, reason=reason, message=message, last_transition_time="then")


def before(*conditions: Condition, **fields: Any) -> RayServiceStatus:
    return RayServiceStatus(conditions=list(conditions), **fields)


def status(observed: ObservedService, goal: Aim) -> RayServiceStatus:
    return plan_service(observed, goal, NOW).status


def told(found: RayServiceStatus) -> Facts:
    return {c.type: (c.status, c.reason, c.message) for c in found.conditions}


def facts(goal: Aim, *found: ObservedCluster, **fields: Any) -> Facts:
    return told(status(world(goal, *found, **fields), goal))


def at_rest(serving: ObservedCluster, **fields: Any) -> Facts:
    return facts(FIRST, serving, active=serving, **fields)


# At rest, and on its way. -------------------------------------------------------------------------------------------


def test_a_service_at_rest_is_told_as_such() -> None:
    found = status(world(FIRST, SERVING, active=SERVING), FIRST)
    assert told(found) == {
        "SpecValid": ("True", "Accepted", ""),
        "Ready": ("True", "NonZeroServeEndpoints", "2 pods take traffic"),
        "UpgradeInProgress": ("False", "NoPendingCluster", "demo-a is current"),
        "Reconciling": ("False", "Current", "cluster demo-a serves"),
        "ApplicationsHealthy": ("True", "AllApplicationsRunning", ""),
    }
    assert found.active_service_status is not None
    assert found.active_service_status.ray_cluster_name == "demo-a"
    assert (found.pending_service_status, found.num_serve_endpoints, found.service_status) == (None, 2, "Running")
    assert (found.observed_generation, found.last_update_time) == (1, timestamp(NOW))
    assert {(c.observed_generation, c.last_transition_time) for c in found.conditions} == {(1, timestamp(NOW))}


def test_what_stays_as_it_was_keeps_its_times() -> None:
    first = status(world(FIRST, SERVING, active=SERVING), FIRST)
    assert plan_service(world(FIRST, SERVING, active=SERVING, status=first), FIRST, LATER).status == first
    suspended = status(world(SUSPENDED), SUSPENDED)
    assert plan_service(world(SUSPENDED, status=suspended), SUSPENDED, LATER).status == suspended
    refused = plan_without_goal(service_meta(), before(), PROBLEMS, NOW).status
    assert plan_without_goal(service_meta(), refused, PROBLEMS, LATER).status == refused


def test_a_service_without_a_cluster_is_told_to_get_one() -> None:
    found = status(world(FIRST, revisions=()), FIRST)
    assert told(found) == {
        "SpecValid": ("True", "Accepted", ""),
        "Ready": ("False", "Initializing", "no cluster takes traffic yet"),
        "UpgradeInProgress": ("Unknown", "NoActiveCluster", "no cluster takes traffic yet"),
        "Reconciling": ("True", "Provisioning", "a cluster is being created"),
    }
    assert (found.active_service_status, found.num_serve_endpoints, found.service_status) == (None, 0, "")


def test_both_clusters_of_a_rollout_are_told() -> None:
    found = status(world(IMAGE, SERVING, NEW, active=SERVING), IMAGE)
    assert told(found)["UpgradeInProgress"] == (
        "True",
        "BothActivePendingClustersExist",
        "demo-b is to take over from demo-a",
    )
    assert found.active_service_status is not None
    assert found.pending_service_status is not None
    assert found.active_service_status.ray_cluster_name == "demo-a"
    assert found.pending_service_status.ray_cluster_name == "demo-b"


PLACED = answer(D={"status": "HEALTHY", "replicas": [{"state": "RUNNING", "node_ip": "ip-one"}]})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pods": ()}, "Provisioning"),
        ({"serve": NOTHING_DEPLOYED}, "Configuring"),
        ({"serve": answer(status="DEPLOYING")}, "Warming"),
        ({"pods": (head("demo-b"), pod("one", "demo-b")), "serve": PLACED}, "MatchingCapacity"),
        ({}, "Fit"),
    ],
)
def test_the_stage_of_a_new_cluster_is_told(fields: dict[str, Any], reason: str) -> None:
    found = facts(IMAGE, SERVING, cluster("demo-b", IMAGE, **fields), active=SERVING)["Reconciling"]
    assert found[:2] == ("True", reason)
    assert found[2].startswith("cluster demo-b")


def test_an_old_cluster_that_drains_is_not_told_before_the_new_one_serves_well() -> None:
    new = cluster("demo-b", IMAGE, routed=60, serve=answer(status="DEPLOYING"))
    found = facts(IMAGE, cluster(routed=600, retired=20), new, active=new)["Reconciling"]
    assert found == ("True", "Warming", "cluster demo-b: application app is DEPLOYING")


def test_a_cluster_that_lost_all_its_endpoints_is_named() -> None:
    found = status(world(FIRST, broken := cluster(routed=600, pods=(head(),)), active=broken), FIRST)
    assert told(found)["Ready"] == ("False", "ZeroServeEndpoints", "no pod of demo-a takes traffic")
    assert (found.num_serve_endpoints, found.service_status) == (0, "")


# The spec. ----------------------------------------------------------------------------------------------------------


def test_an_invalid_edit_is_told_while_the_last_valid_revision_is_kept_up() -> None:
    found = told(status(world(FIRST, SERVING, active=SERVING), Aim(FIRST.goal, PROBLEMS)))
    assert found["SpecValid"] == (
        "False",
        "InvalidRayServiceSpec",
        "spec.x is wrong; mend it; spec.y is too; mend that; the last valid revision is kept up",
    )
    assert found["Stalled"] == ("True", *found["SpecValid"][1:])
    assert (found["Reconciling"][0], found["Ready"][0]) == ("False", "True")


def test_what_has_no_effect_is_told() -> None:
    options = {"stepSizePercent": 5, "intervalSeconds": 5, "maxSurgePercent": 50}
    strategy = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}
    goal = aim_at(service_spec(upgradeStrategy=strategy))
    notes = {labels.INITIALIZING_TIMEOUT: "soon"}
    field = "spec.upgradeStrategy.clusterUpgradeOptions.maxSurgePercent (it needs enableInTreeAutoscaling)"
    annotation = "annotation ray.io/initializing-timeout (give seconds, or a duration as 30m)"
    start = "accepted, but these have no effect yet: "
    assert facts(goal, notes=notes)["SpecValid"] == ("True", "UnsupportedFields", f"{start}{field}, {annotation}")
    assert facts(FIRST, notes=notes)["SpecValid"] == ("True", "UnsupportedFields", f"{start}{annotation}")
    assert facts(FIRST, notes={labels.INITIALIZING_TIMEOUT: "30m"})["SpecValid"] == ("True", "Accepted", "")


def test_a_service_that_never_had_a_valid_spec_is_told_so() -> None:
    serving = before(condition("Ready", "True"), service_status="Running", num_serve_endpoints=2)
    plan = plan_without_goal(service_meta(generation=4), serving, PROBLEMS, NOW)
    words = "spec.x is wrong; mend it; spec.y is too; mend that"
    assert told(plan.status) == {
        "SpecValid": ("False", "InvalidRayServiceSpec", words),
        "Stalled": ("True", "InvalidRayServiceSpec", words),
        "Ready": ("False", "ValidationFailed", "no valid spec yet"),
        "Reconciling": ("False", "ValidationFailed", "waiting for a valid spec"),
    }
    assert (plan.status.service_status, plan.status.num_serve_endpoints) == ("", 2)
    assert (plan.status.observed_generation, plan.status.last_update_time) == (4, timestamp(NOW))
    assert {(c.observed_generation, c.last_transition_time) for c in plan.status.conditions} == {(4, timestamp(NOW))}
    assert plan.announcements == (
        Announcement("InvalidRayServiceSpec", words, "Warning"),
        Announcement("ValidationFailed", "no valid spec yet", "Warning"),
    )
    assert plan_without_goal(service_meta(generation=4), plan.status, PROBLEMS, NOW).announcements == ()


# What has stopped it. -----------------------------------------------------------------------------------------------


def given_up(goal: Aim) -> Any:
    return (revision(FIRST), revision(goal, 2, failed="ImageError"))


def test_a_rollout_that_was_given_up_waits_for_a_change_of_the_spec() -> None:
    found = at_rest_after_failure(IMAGE, SERVING)
    words = "why; demo-a goes on with the last good revision; change the spec to try again"
    assert found["Stalled"] == ("True", "ImageError", words)
    assert found["Reconciling"] == ("False", "Stalled", words)


def test_a_config_that_was_given_up_and_stays_is_told_with_why_it_does() -> None:
    found = at_rest_after_failure(EDIT, cluster(routed=600, notes={labels.REVISION: EDIT.goal.revision}))
    keeps = "demo-a keeps this config, because there is no other or rollback is Manual"
    assert found["Stalled"][2] == f"why; {keeps}; change the spec to try again"


def at_rest_after_failure(goal: Aim, serving: ObservedCluster) -> Facts:
    return facts(goal, serving, active=serving, revisions=given_up(goal))


def test_a_first_start_that_takes_too_long_says_what_it_waits_for() -> None:
    def stalled(*found: ObservedCluster, **fields: Any) -> tuple[str, str, str] | None:
        late = (revision(FIRST, started=1800),)
        return facts(FIRST, *found, revisions=late, **fields).get("Stalled")

    start = "it should serve by now, and is being repaired further: "
    reason = "ProgressDeadlineExceeded"
    assert stalled() == ("True", reason, f"{start}a cluster is being created")
    empty = cluster(pods=(), created=1800)
    assert stalled(empty) == ("True", reason, f"{start}cluster demo-a: the head pod is being created")
    fit = cluster(created=1800)
    assert stalled(fit, active=fit, owner="somebody") is None


def test_a_service_that_serves_is_not_stalled_by_what_takes_long() -> None:
    slow = cluster(routed=600, created=9999, serve=answer(status="DEPLOYING"))
    assert "Stalled" not in facts(FIRST, slow, active=slow, revisions=(revision(FIRST, started=9999),))


# The applications. --------------------------------------------------------------------------------------------------


def test_applications_that_do_not_run_are_told_though_pods_take_traffic() -> None:
    found = at_rest(cluster(routed=600, serve=answer(status="UNHEALTHY", message="out of memory")))
    words = "application app is UNHEALTHY (out of memory)"
    assert found["ApplicationsHealthy"] == ("False", "ApplicationsNotRunning", words)
    two = "applications: [{name: app, import_path: 'a:x'}, {name: other, import_path: 'a:y', route_prefix: /y}]"
    both, serving = aim_at(service_spec(app=two)), cluster(routed=600, serve=NOTHING_DEPLOYED)
    words = "application app is not deployed yet; application other is not deployed yet"
    assert facts(both, serving, active=serving)["ApplicationsHealthy"][2] == words


def test_of_a_cluster_whose_config_is_not_known_nobody_can_say_how_its_applications_are() -> None:
    adopted = cluster(routed=600, assigned=None)
    assert "ApplicationsHealthy" not in facts(IMAGE, adopted, NEW, active=adopted)


@pytest.mark.parametrize(
    ("held", "status"), [("True", "True"), ("False", "False"), ("Unknown", "Unknown"), (None, None)]
)
def test_a_moment_of_silence_changes_nothing_of_what_is_told(held: Any, status: str | None) -> None:
    silent = cluster(routed=600, serve=Silence("frozen", NOW - timedelta(seconds=14.9)))
    other = condition("Ready", "True")
    conditions = [other] if held is None else [other, condition("ApplicationsHealthy", held, "Old", "words")]
    found = at_rest(silent, status=before(*conditions)).get("ApplicationsHealthy")
    assert found == (None if status is None else (status, "Old", "words"))


def test_a_ray_that_stays_silent_is_reported() -> None:
    silent = cluster(routed=600, serve=Silence("frozen", NOW - timedelta(seconds=15)))
    found = at_rest(silent, status=before(condition("ApplicationsHealthy", "True")))
    assert found["ApplicationsHealthy"] == ("Unknown", "RayDoesNotAnswer", "frozen")


def test_a_service_of_somebody_else_is_told_with_what_to_do() -> None:
    assert "ServiceConflict" not in at_rest(SERVING)
    mend = "delete it, or give another name in spec.serveService.metadata.name"
    words = f"Service demo-serve-svc exists and is not this RayService's; {mend}"
    found = facts(FIRST, cluster(), active=cluster(), owner="somebody")
    assert found["ServiceConflict"] == ("True", "ServiceExists", words)


# The copy of each cluster's status. ---------------------------------------------------------------------------------


def copied(found: ObservedCluster, earlier: ClusterServiceStatus | None = None) -> ClusterServiceStatus:
    copy = status(world(FIRST, found, active=found, status=before(active_service_status=earlier)), FIRST)
    assert copy.active_service_status is not None
    return copy.active_service_status


EARLIER = ClusterServiceStatus.model_validate(
    {
        "rayClusterName": "demo-a",
        "applicationStatuses": {"old": {"status": "RUNNING"}},
        "targetCapacity": 100,
    }
)


def test_applications_and_deployments_are_told_as_ray_tells_them() -> None:
    report = answer(message="busy", D={"status": "UPDATING", "message": "slow"}, E={"status": "HEALTHY"})
    [state] = report.applications.values()
    unnamed = replace(report, applications={"app": state, "": replace(state, message="", deployments={})})
    assert copied(cluster(routed=600, serve=unnamed), EARLIER).manifest()["applicationStatuses"] == {
        "app": {
            "status": "RUNNING",
            "message": "busy",
            "serveDeploymentStatuses": {"D": {"status": "UPDATING", "message": "slow"}, "E": {"status": "HEALTHY"}},
        },
        "default": {"status": "RUNNING"},
    }


def test_while_ray_is_silent_the_applications_are_told_as_they_were() -> None:
    silent = cluster(routed=600, serve=Silence("frozen", NOW))
    assert copied(silent, EARLIER).application_statuses == EARLIER.application_statuses
    assert copied(silent).application_statuses == {}


def test_what_was_told_of_a_new_cluster_is_kept_while_its_ray_is_silent() -> None:
    silent = cluster("demo-b", IMAGE, serve=Silence("frozen", NOW))
    earlier = before(pending_service_status=EARLIER.model_copy(update={"ray_cluster_name": "demo-b"}))
    found = status(world(IMAGE, SERVING, silent, active=SERVING, status=earlier), IMAGE).pending_service_status
    assert found is not None
    assert found.application_statuses == EARLIER.application_statuses


def test_a_capacity_that_another_writer_told_of_is_not_told_for_ever() -> None:
    assert copied(SERVING, EARLIER).target_capacity is None
    part = {labels.CAPACITY: json.dumps({"percent": 40, "since": ago(9)})}
    assert copied(cluster(routed=600, notes=part), EARLIER).target_capacity == 40
    of_another = EARLIER.model_copy(update={"ray_cluster_name": "demo-z"})
    found = copied(cluster(routed=600, serve=Silence("frozen", NOW)), of_another)
    assert found == ClusterServiceStatus(ray_cluster_name="demo-a", ray_cluster_status=RayClusterStatus())


def test_the_clusters_own_status_is_copied_without_its_times() -> None:
    own = RayClusterStatus(state="ready", last_update_time="then", state_transition_times={"ready": "then"})
    dated = replace(SERVING, cluster=replace(SERVING.cluster, status=own))
    assert copied(dated).ray_cluster_status == RayClusterStatus(state="ready")


# Suspension. --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "found", "begun", "expected"),
    [
        (
            SUSPENDED,
            [SERVING],
            False,
            {
                "Ready": ("False", "SuspendInProgress", "its clusters and Services are to be deleted"),
                "UpgradeInProgress": ("Unknown", "NoActiveCluster", "its clusters and Services are to be deleted"),
                "Reconciling": ("True", "SuspendInProgress", "its clusters and Services are to be deleted"),
                "Suspending": ("True", "UserRequestedSuspend", ""),
                "Suspended": ("False", "NotSuspended", ""),
            },
        ),
        (
            SUSPENDED,
            [SERVING],
            True,
            {
                "Ready": ("False", "SuspendInProgress", "its clusters and Services are deleted"),
                "UpgradeInProgress": ("Unknown", "NoActiveCluster", "its clusters and Services are deleted"),
                "Reconciling": ("True", "SuspendInProgress", "its clusters and Services are deleted"),
                "Suspending": ("True", "UserRequestedSuspend", ""),
                "Suspended": ("False", "NotSuspended", ""),
            },
        ),
        (
            SUSPENDED,
            [],
            True,
            {
                "Ready": ("False", "SuspendComplete", "suspended: set spec.suspend to false to serve again"),
                "UpgradeInProgress": (
                    "Unknown",
                    "NoActiveCluster",
                    "suspended: set spec.suspend to false to serve again",
                ),
                "Reconciling": ("False", "SuspendComplete", "suspended: set spec.suspend to false to serve again"),
                "Suspending": ("False", "NotSuspended", ""),
                "Suspended": ("True", "UserRequestedSuspend", ""),
            },
        ),
        (
            FIRST,
            [],
            True,
            {
                "Ready": ("False", "Initializing", "a cluster is to be made"),
                "UpgradeInProgress": ("Unknown", "NoActiveCluster", "a cluster is to be made"),
                "Reconciling": ("True", "Initializing", "a cluster is to be made"),
                "Suspending": ("False", "NotSuspended", ""),
                "Suspended": ("False", "NotSuspended", ""),
            },
        ),
    ],
    ids=["it begins", "it goes on", "it is complete", "it was called off"],
)
def test_a_suspension_is_told_from_its_beginning_to_its_end(
    goal: Aim, found: list[ObservedCluster], begun: bool, expected: Facts
) -> None:
    earlier = before(
        *([condition("Suspending", "True")] if begun else []),
        service_status="Running",
        num_serve_endpoints=2,
        active_service_status=EARLIER,
        pending_service_status=EARLIER,
    )
    result = status(world(goal, *found, status=earlier), goal)
    assert told(result) == {"SpecValid": ("True", "Accepted", ""), **expected}
    assert (result.service_status, result.num_serve_endpoints) == ("", 0)
    assert (result.active_service_status, result.pending_service_status) == (None, None)
    assert (result.observed_generation, result.last_update_time) == (1, timestamp(NOW))
    assert {c.observed_generation for c in result.conditions} == {1}


def test_an_invalid_spec_is_told_of_a_suspended_service_too() -> None:
    found = told(status(world(SUSPENDED), Aim(SUSPENDED.goal, PROBLEMS)))
    assert found["SpecValid"][:2] == ("False", "InvalidRayServiceSpec")


def test_that_it_was_suspended_before_is_told_as_over() -> None:
    found = at_rest(SERVING, status=before(condition("Suspending", "False"), condition("Suspended", "True")))
    assert (found["Suspending"], found["Suspended"]) == (("False", "NotSuspended", ""), ("False", "NotSuspended", ""))
    assert "Suspended" not in at_rest(SERVING, status=before(condition("Ready", "True")))


# Refusals and events. -----------------------------------------------------------------------------------------------


def test_a_refused_action_is_told_beside_what_was_told_before() -> None:
    found = blamed(before(condition("Ready", "True"), observed_generation=3), "no quota", NOW)
    assert told(found) == {"Ready": ("True", "x", ""), "Reconciling": ("True", "ActionRefused", "no quota")}
    assert found.conditions[1].observed_generation == 3
    assert found.conditions[1].last_transition_time == timestamp(NOW)
    assert blamed(before(), "no quota", NOW).conditions[0].observed_generation == 0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, condition("Ready", "True", "Serves", "2 pods"), None),
        (None, condition("Ready", "False", "Initializing", "none yet"), ("Initializing", "none yet", "Normal")),
        (None, condition("SpecValid", "True", "Accepted"), None),
        (None, condition("SpecValid", "False", "Invalid", "x is"), ("Invalid", "x is", "Warning")),
        (
            None,
            condition("SpecValid", "True", "UnsupportedFields", "no y"),
            ("UnsupportedFields", "no y", "Warning"),
        ),
        (None, condition("Stalled", "True", "ImageError", "why"), ("ImageError", "why", "Normal")),
        (condition("Ready", "True", "Serves"), condition("Ready", "True", "Serves", "3 pods"), None),
        (condition("Ready", "True", "Serves"), condition("Ready", "True", "Other", "o"), ("Other", "o", "Normal")),
        (condition("Ready", "True", "Same"), condition("Ready", "False", "Same", "s"), ("Same", "s", "Warning")),
        (
            condition("ApplicationsHealthy", "True"),
            condition("ApplicationsHealthy", "False", "Down", "d"),
            ("Down", "d", "Warning"),
        ),
        (
            condition("ApplicationsHealthy", "False"),
            condition("ApplicationsHealthy", "True", "Up"),
            ("Up", "ApplicationsHealthy is True", "Normal"),
        ),
        (condition("RouteReady", "True"), condition("RouteReady", "False", "Gone", "g"), ("Gone", "g", "Warning")),
        (condition("Stalled", "False"), condition("Stalled", "True", "Late", "l"), ("Late", "l", "Warning")),
        (condition("Stalled", "True"), condition("Stalled", "False", "Done", "d"), ("Done", "d", "Normal")),
        (
            condition("ServiceConflict", "False"),
            condition("ServiceConflict", "True", "Exists", "e"),
            ("Exists", "e", "Warning"),
        ),
        (
            condition("UpgradeInProgress", "False"),
            condition("UpgradeInProgress", "True", "Both", "b"),
            ("Both", "b", "Normal"),
        ),
        (condition("Reconciling", "False"), condition("Reconciling", "True", "Warming", "w"), None),
    ],
)
def test_a_condition_is_announced_when_it_turns_or_its_reason_changes(
    old: Condition | None, new: Condition, expected: tuple[str, str, Any] | None
) -> None:
    told_before = before(condition("Suspended", "False"), *([old] if old else []))
    found = announcements(told_before, before(condition("Suspended", "False"), new))
    assert found == (() if expected is None else (Announcement(*expected),))


def test_every_condition_is_looked_at() -> None:
    changed = before(condition("Reconciling", "True"), condition("Suspended", "False"), condition("Ready", "False"))
    found = announcements(before(condition("Suspended", "False"), condition("Ready", "True")), changed)
    assert [announcement.message for announcement in found] == ["Ready is False"]


def test_what_changes_is_announced_with_the_plan() -> None:
    earlier = before(condition("Ready", "False", "Initializing"))
    plan = plan_service(world(FIRST, SERVING, active=SERVING, status=earlier), FIRST, NOW)
    assert plan.announcements == (Announcement("NonZeroServeEndpoints", "2 pods take traffic"),)
