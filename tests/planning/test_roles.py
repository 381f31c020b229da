import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.observed import ObservedCluster, RevisionView, Silence
from rayserve_operator.planning.service.roles import assign_roles, given_up, needs_new_cluster
from rayserve_operator.render import labels

from ..builders import (
    NOTHING_DEPLOYED,
    aim_at,
    answer,
    cluster,
    cluster_config,
    group,
    revision,
    service_spec,
    stable_services,
    world,
)

FIRST = aim_at(service_spec())
NEW_IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
OLD = cluster("demo-a")
NEW = cluster("demo-b", NEW_IMAGE)
SAID_IN_STATUS = RayServiceStatus.model_validate({"activeServiceStatus": {"rayClusterName": "demo-b"}})


def names(*clusters: ObservedCluster | None) -> list[str | None]:
    return [found.name if found else None for found in clusters]


def test_the_serve_service_tells_which_cluster_is_active_whatever_the_status_says() -> None:
    roles = assign_roles(world(NEW_IMAGE, OLD, NEW, active=OLD, status=SAID_IN_STATUS), NEW_IMAGE.goal)
    assert names(roles.active, roles.candidate, roles.pending) == ["demo-a", "demo-b", "demo-b"]
    assert (roles.leaving, roles.stamped) == ((), True)


def test_the_stamp_counts_more_than_the_selector() -> None:
    assert names(assign_roles(world(FIRST, OLD, NEW, active=OLD, selects="demo-b"), FIRST.goal).active) == ["demo-a"]


def test_what_somebody_elses_service_or_the_status_beside_it_say_does_not_count() -> None:
    observed = world(FIRST, cluster("demo-a", routed=600), NEW, active=OLD, owner="somebody", status=SAID_IN_STATUS)
    assert names(assign_roles(observed, FIRST.goal).active) == [None]


def test_everyone_is_whoever_lives() -> None:
    roles = assign_roles(world(NEW_IMAGE, OLD, NEW, cluster("demo-c"), active=OLD), NEW_IMAGE.goal)
    assert names(*roles.everyone) == ["demo-a", "demo-b", "demo-c"]


def test_a_cluster_that_is_as_wanted_stays_the_active_one() -> None:
    roles = assign_roles(world(FIRST, OLD, NEW, active=OLD), FIRST.goal)
    assert names(roles.active, roles.candidate, roles.pending) == ["demo-a", "demo-a", None]
    assert names(*roles.leaving) == ["demo-b"]


def test_nobody_has_a_role_in_a_new_service_and_it_counts_as_stamped() -> None:
    roles = assign_roles(world(FIRST), FIRST.goal)
    assert (roles.active, roles.candidate, roles.leaving, roles.stamped) == (None, None, (), True)


def test_a_cluster_on_its_way_out_has_no_role() -> None:
    gone = cluster("demo-a", leaving=True)
    roles = assign_roles(world(FIRST, gone, active=gone), FIRST.goal)
    assert (roles.active, roles.candidate, roles.leaving) == (None, None, ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stamp": None, "selects": "demo-b"}, "demo-b"),
        ({"stamp": None, "selects": "gone", "status": SAID_IN_STATUS}, "demo-b"),
        ({"stamp": "gone", "selects": "gone", "status": SAID_IN_STATUS}, "demo-b"),
        ({"stamp": None, "selects": "gone"}, "demo-a"),
    ],
    ids=["its selector", "the status", "the status where the stamp leads nowhere", "the only one that runs all"],
)
def test_without_a_stamp_the_likeliest_cluster_is_found(fields: dict[str, Any], expected: str) -> None:
    silent = cluster("demo-b", NEW_IMAGE, serve=Silence("refused"))
    roles = assign_roles(world(FIRST, OLD, silent, active=OLD, **fields), FIRST.goal)
    assert names(roles.active) == [expected]
    assert not roles.stamped


def test_where_several_run_the_oldest_that_was_routed_is_taken() -> None:
    never, routed = cluster("demo-c"), [cluster("demo-a", routed=600), cluster("demo-b", NEW_IMAGE, routed=300)]
    assert names(assign_roles(world(FIRST, never, *routed), FIRST.goal).active) == ["demo-a"]


def test_of_those_that_answer_the_one_that_runs_all_its_applications_is_taken() -> None:
    routed = cluster("demo-a", routed=600, serve=NOTHING_DEPLOYED)
    assert names(assign_roles(world(FIRST, routed, cluster("demo-b")), FIRST.goal).active) == ["demo-b"]


def test_a_cluster_whose_pods_were_given_up_is_not_taken_for_active() -> None:
    ended = cluster("demo-a", routed=600, ended=1)
    assert names(assign_roles(world(FIRST, ended), FIRST.goal).active) == [None]


def test_a_service_without_a_selector_and_clusters_that_never_served_say_nothing() -> None:
    serve, _ = stable_services(FIRST, OLD, stamp=None)
    observed = replace(world(FIRST, OLD, NEW), serve_service=replace(serve, spec={}))
    assert names(assign_roles(observed, FIRST.goal).active) == [None]


def test_where_the_service_never_was_and_nothing_was_routed_nothing_is_taken_for_active() -> None:
    roles = assign_roles(world(FIRST, cluster("demo-a", serve=answer())), FIRST.goal)
    assert names(roles.active, roles.candidate) == [None, "demo-a"]


def test_of_two_that_fit_the_one_that_could_serve_is_the_candidate() -> None:
    bare, fit, other = cluster("demo-a", pods=()), cluster("demo-c"), cluster("demo-d")
    roles = assign_roles(world(FIRST, bare, NEW, fit, other, active=NEW), FIRST.goal)
    assert names(roles.active, roles.candidate) == ["demo-b", "demo-c"]


def test_the_active_cluster_stays_the_candidate_though_another_that_fits_could_serve_more() -> None:
    bare = cluster("demo-a", pods=())
    roles = assign_roles(world(FIRST, cluster("demo-c"), bare, active=bare), FIRST.goal)
    assert names(roles.candidate) == ["demo-a"]


def test_upgrades_that_are_switched_off_leave_the_cluster() -> None:
    off = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy={"type": "None"}))
    roles = assign_roles(world(off, OLD, active=OLD), off.goal)
    assert names(roles.candidate, roles.pending) == ["demo-a", None]
    assert names(assign_roles(world(off, cluster("demo-b", off)), off.goal).candidate) == ["demo-b"]


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (service_spec(), ()),
        (service_spec(cluster_config(group(maxReplicas=9), group("gpu"))), ()),
        (
            service_spec(cluster_config(image="ray:2")),
            (
                "rayClusterConfig.headGroupSpec.template.spec.containers[0].image",
                "rayClusterConfig.workerGroupSpecs[cpu].template.spec.containers[0].image",
            ),
        ),
        (service_spec(app="{proxy_location: HeadOnly, applications: []}"), ("serveConfigV2:proxy_location",)),
    ],
)
def test_what_only_a_new_cluster_can_change_is_named(spec: dict[str, Any], paths: tuple[str, ...]) -> None:
    assert needs_new_cluster(OLD, aim_at(spec).goal) == paths


@pytest.mark.parametrize("note", ["{", "[]", "7"])
def test_a_note_of_the_options_of_serve_that_a_hand_has_spoilt_counts_as_none(note: str) -> None:
    spoilt = cluster(notes={"rayserve.ray.io/serve-options": note})
    other = aim_at(service_spec(app="{proxy_location: HeadOnly, applications: []}"))
    assert needs_new_cluster(spoilt, other.goal) == ()


def test_a_cluster_that_does_not_say_what_its_serve_was_started_with_is_taken_as_it_is() -> None:
    adopted = cluster()
    adopted.cluster.meta.annotations.pop("rayserve.ray.io/serve-options")  # type: ignore[attr-defined]
    other = aim_at(service_spec(app="{proxy_location: HeadOnly, applications: []}"))
    for found in (adopted, *(cluster(notes={labels.SERVE_OPTIONS: spoilt}) for spoilt in ("{", "[]"))):
        assert needs_new_cluster(found, other.goal) == ()


def test_only_the_options_of_serve_that_differ_are_named() -> None:
    both = aim_at(service_spec(app="{proxy_location: HeadOnly, http_options: {port: 9000}, applications: []}"))
    other = aim_at(service_spec(app="{proxy_location: EveryNode, http_options: {port: 9000}, applications: []}"))
    assert needs_new_cluster(cluster(goal=both), other.goal) == ("serveConfigV2:proxy_location",)


def test_a_goal_stays_given_up_until_another_one_was_the_goal() -> None:
    failed = revision(FIRST, 2, failed="ImageError")

    def why(*revisions: RevisionView) -> str | None:
        found = given_up(world(FIRST, revisions=revisions), FIRST.goal)
        return None if found is None else found.reason

    assert why(revision(NEW_IMAGE), failed) == "ImageError"
    assert why(failed, revision(NEW_IMAGE, 3)) is None
    assert why(revision(NEW_IMAGE, 3, failed="CrashLoop")) is None


def test_a_goal_of_which_only_the_revision_is_left_stays_given_up_whatever_it_was_tried_with() -> None:
    noted = {labels.FAILED: json.dumps({"reason": "ImageError", "message": "why", "means": {"progressDeadline": 90}})}
    failed = revision(FIRST)
    failed = replace(failed, meta=replace(failed.meta, annotations={**failed.meta.annotations, **noted}))
    stored = replace(FIRST.goal, means=None)
    assert given_up(world(FIRST, revisions=(failed,)), stored) is not None
    assert given_up(world(FIRST, revisions=(failed,)), FIRST.goal) is None


def test_a_goal_that_was_given_up_leaves_the_active_cluster_if_there_is_one() -> None:
    failed = (revision(NEW_IMAGE, failed="ImageError"),)
    roles = assign_roles(world(NEW_IMAGE, OLD, NEW, active=OLD, revisions=failed), NEW_IMAGE.goal)
    assert names(roles.candidate, *roles.leaving) == ["demo-a", "demo-b"]
    assert names(assign_roles(world(NEW_IMAGE, NEW, revisions=failed), NEW_IMAGE.goal).candidate) == ["demo-b"]
