from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.observed import ObservedCluster, Silence
from rayserve_operator.planning.service.roles import assign_roles, needs_new_cluster

from ..builders import aim_at, answer, cluster, cluster_config, group, service_spec, world

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
    routed = [cluster("demo-a", routed=600), cluster("demo-b", NEW_IMAGE, routed=300)]
    assert names(assign_roles(world(FIRST, *routed), FIRST.goal).active) == ["demo-a"]


def test_where_the_service_never_was_and_nothing_was_routed_nothing_is_taken_for_active() -> None:
    roles = assign_roles(world(FIRST, cluster("demo-a", serve=answer())), FIRST.goal)
    assert names(roles.active, roles.candidate) == [None, "demo-a"]


def test_of_two_that_fit_the_one_that_could_serve_is_the_candidate() -> None:
    bare = cluster("demo-a", pods=())
    roles = assign_roles(world(FIRST, bare, cluster("demo-b"), active=NEW), FIRST.goal)
    assert names(roles.candidate) == ["demo-b"]


def test_upgrades_that_are_switched_off_leave_the_cluster() -> None:
    off = aim_at(service_spec(cluster_config(image="ray:2"), upgradeStrategy={"type": "None"}))
    roles = assign_roles(world(off, OLD, active=OLD), off.goal)
    assert names(roles.candidate, roles.pending) == ["demo-a", None]


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
    assert needs_new_cluster(adopted, other.goal) == ()
