from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.actions import Announcement, Patch
from rayserve_operator.planning.observed import ObservedCluster, Silence
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels

from ..builders import (
    APP,
    NOTHING_DEPLOYED,
    NOW,
    OTHER_APP,
    actions_of,
    aim_at,
    announced,
    answer,
    cluster,
    cluster_config,
    group,
    head,
    in_words,
    pod,
    pods_of,
    revision,
    service_spec,
    stable_services,
    world,
)

WATCHING, RESTING = timedelta(seconds=0.5), timedelta(seconds=11)
FIRST = aim_at(service_spec())
NEW_APP = aim_at(service_spec(app=OTHER_APP))
NEW_IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
SERVING = cluster(routed=600)
NEXT = cluster("demo-b", NEW_IMAGE)
SERVING_NEXT = cluster("demo-b", NEW_IMAGE, routed=60)
UPGRADING = (revision(FIRST), revision(NEW_IMAGE, 2))


def plan(observed: Any, goal: Any) -> Any:
    return plan_service(observed, goal, NOW)


def words(observed: Any, goal: Any) -> list[str]:
    return in_words(plan(observed, goal))


def test_at_rest_there_is_nothing_to_do_and_ray_is_asked_now_and_then() -> None:
    result = plan(world(FIRST, SERVING, active=SERVING), FIRST)
    assert in_words(result) == []
    assert result.recheck_after == RESTING


def test_a_new_service_gets_its_revision_and_a_cluster_made_for_it() -> None:
    revised, made = words(world(FIRST, revisions=()), FIRST)
    assert revised == f"make ControllerRevision {FIRST.goal.revision}"
    assert made.startswith("make RayCluster demo-")


@pytest.mark.parametrize(
    ("stage", "fields", "expected"),
    [
        ("its pods are not there", {"pods": (), "serve": NOTHING_DEPLOYED}, []),
        ("its head has no address", {"pods": (head(phase="Pending"),), "serve": Silence("no head")}, []),
        ("Ray does not answer", {"serve": Silence("refused", NOW)}, []),
        ("nothing is deployed", {"serve": NOTHING_DEPLOYED}, ["submit app:x to demo-a"]),
        ("it runs something else", {"serve": answer(OTHER_APP)}, ["submit app:x to demo-a"]),
        ("the application comes up", {"serve": answer(status="DEPLOYING")}, []),
        (
            "the application failed",
            {"serve": answer(status="DEPLOY_FAILED")},
            ["note serve-tries on demo-a", "submit app:x to demo-a"],
        ),
        ("no pod is ready", {"pods": (head(), pod(ready=False))}, []),
        ("the pods are ready, and outside the Service", {"pods": (head(), pod(serve="false"))}, []),
        (
            "all is well",
            {},
            [
                "note routed-at, served-revision on demo-a",
                "confirm demo-a",
                "point demo-serve-svc at demo-a",
                "point demo-head-svc at demo-a",
            ],
        ),
        ("the head's proxy answers", {"pods": (head(),), "proxy": True}, ["note serve on demo-a-head"]),
    ],
)
def test_the_first_cluster_gets_traffic_only_when_it_serves(
    stage: str, fields: dict[str, Any], expected: list[str]
) -> None:
    assert words(world(FIRST, cluster(**fields)), FIRST) == expected, stage


def test_another_serve_config_goes_to_the_serving_cluster_in_place() -> None:
    observed = world(NEW_APP, SERVING, active=SERVING, revisions=(revision(FIRST), revision(NEW_APP, 2)))
    assert words(observed, NEW_APP) == ["note revision on demo-a", "submit app:y to demo-a"]


def test_an_edit_of_scaling_is_patched_in_place() -> None:
    more = aim_at(service_spec(cluster_config(group(minReplicas=1, maxReplicas=5))))
    observed = world(more, SERVING, active=SERVING)
    assert words(observed, more) == [
        "patch demo-a: /spec/workerGroupSpecs/0/minReplicas, /spec/workerGroupSpecs/0/maxReplicas"
    ]


def test_another_image_makes_a_new_cluster_and_leaves_the_serving_one_as_it_is() -> None:
    both = aim_at(service_spec(cluster_config(image="ray:2"), OTHER_APP))
    observed = world(both, SERVING, active=SERVING, revisions=(revision(FIRST), revision(both, 2)))
    [made] = words(observed, both)
    assert made.startswith("make RayCluster demo-")
    assert "demo-a" not in made


def test_the_serving_cluster_is_looked_after_while_another_is_made_ready() -> None:
    forgetful = cluster(routed=600, serve=NOTHING_DEPLOYED)
    pending = cluster("demo-b", NEW_IMAGE, serve=answer(status="DEPLOYING"))
    observed = world(NEW_IMAGE, forgetful, pending, active=forgetful, revisions=UPGRADING)
    assert words(observed, NEW_IMAGE) == ["submit app:x to demo-a"]
    assert plan(observed, NEW_IMAGE).recheck_after == WATCHING


def test_traffic_moves_in_one_step_after_a_fresh_look_and_nothing_is_retired_before_that_is_seen() -> None:
    observed = world(NEW_IMAGE, SERVING, NEXT, active=SERVING, revisions=UPGRADING)
    assert words(observed, NEW_IMAGE) == [
        "note routed-at, served-revision on demo-b",
        "confirm demo-b",
        "point demo-serve-svc at demo-b",
        "point demo-head-svc at demo-b",
    ]


def without_revision(found: ObservedCluster) -> ObservedCluster:
    """The cluster as if another operator had made it."""
    meta = found.cluster.meta
    notes = {key: value for key, value in meta.annotations.items() if key != labels.REVISION}
    return replace(found, cluster=replace(found.cluster, meta=replace(meta, annotations=notes)))


MADE_BY_KUBERAY = without_revision(cluster())


@pytest.mark.parametrize(
    ("old", "expected", "again"),
    [
        (cluster(routed=600), ["note retired-at on demo-a"], timedelta(seconds=0.5)),
        (cluster(routed=600, retired=20), [], RESTING),
        (cluster(routed=600, retired=42), [], timedelta(seconds=3)),
        (MADE_BY_KUBERAY, ["note retired-at on demo-a"], timedelta(seconds=0.5)),
        (
            cluster(),
            ["confirm demo-serve-svc", "note ended-at on demo-a", "delete demo-a-head", "delete demo-a-worker"],
            timedelta(seconds=0.5),
        ),
    ],
    ids=["just left", "early", "soon", "nobody knows", "never served"],
)
def test_a_cluster_that_may_have_served_is_kept_for_its_delay(old: Any, expected: list[str], again: timedelta) -> None:
    result = plan(world(NEW_IMAGE, old, SERVING_NEXT, active=SERVING_NEXT, revisions=UPGRADING), NEW_IMAGE)
    assert in_words(result) == expected
    assert result.recheck_after == again


def test_a_revert_takes_the_old_cluster_up_again() -> None:
    old = cluster(routed=600, retired=20)
    observed = world(FIRST, old, NEXT, active=NEXT, revisions=UPGRADING)
    assert words(observed, FIRST)[:2] == [
        f"patch {FIRST.goal.revision}: /revision, /metadata/annotations",
        "note not retired-at on demo-a",
    ]
    assert "point demo-serve-svc at demo-a" in words(observed, FIRST)


def test_a_superseded_cluster_goes_at_once() -> None:
    third = aim_at(service_spec(cluster_config(image="ray:3")))
    observed = world(third, SERVING, NEXT, active=SERVING, revisions=(*UPGRADING, revision(third, 3)))
    *ended, made = words(observed, third)
    assert ended == ["confirm demo-serve-svc", "note ended-at on demo-b", "delete demo-b-head", "delete demo-b-worker"]
    assert made.startswith("make RayCluster")


def test_a_hand_that_points_the_service_elsewhere_is_undone() -> None:
    observed = world(FIRST, SERVING, active=SERVING, selects="elsewhere")
    assert words(observed, FIRST) == ["point demo-serve-svc at demo-a"]


def test_without_a_stamp_the_one_that_serves_is_written_down_and_nothing_else_is_done() -> None:
    adopted = cluster(pods=pods_of("demo-a"))
    observed = world(NEW_IMAGE, adopted, active=adopted, stamp=None)
    assert words(observed, NEW_IMAGE) == ["note routed-at on demo-a", "point demo-serve-svc at demo-a"]


def test_a_service_that_somebody_else_made_is_left_alone() -> None:
    observed = world(FIRST, cluster(), active=cluster(), owner="somebody")
    assert not [done for done in words(observed, FIRST) if "serve-svc" in done]
    status = plan(observed, FIRST).status
    assert [c.status for c in status.conditions if c.type == "ServiceConflict"] == ["True"]


def test_a_name_that_pods_of_a_gone_cluster_still_bear_is_not_used_again() -> None:
    [_, first] = words(world(FIRST, revisions=()), FIRST)
    again = words(world(FIRST, ghosts=[first.rpartition(" ")[2]]), FIRST)
    assert again[0] == f"note attempt, started-at on {FIRST.goal.revision}"
    assert again[1] != first


def test_rays_own_spelling_of_the_config_counts_as_applied() -> None:
    spelled = answer(APP.replace("}]", ", runtime_env: {added: by Ray}}]"))
    note = {labels.SERVE_SPELLING: f"{FIRST.goal.serve.digest}:{spelled.deployed.digest}"}
    as_told = cluster(routed=600, serve=spelled)
    noted = cluster(routed=600, serve=spelled, notes=note)
    assert words(world(FIRST, as_told, active=as_told), FIRST) == ["submit app:x to demo-a"]
    assert words(world(FIRST, noted, active=noted), FIRST) == []


def test_an_invalid_spec_changes_no_scaling() -> None:
    more = aim_at(service_spec(cluster_config(group(minReplicas=1))))
    broken = type(more)(more.goal, problems=("something",))  # type: ignore[arg-type]
    assert words(world(more, SERVING, active=SERVING), broken) == []


def test_the_head_leaves_the_service_when_its_proxy_is_silent() -> None:
    silent = cluster(routed=600, proxy=False)
    assert words(world(FIRST, silent, active=silent), FIRST) == ["note serve on demo-a-head"]


def test_a_head_that_is_to_take_no_traffic_takes_none() -> None:
    excluded = aim_at(service_spec(excludeHeadPodFromServeSvc=True))
    assert words(world(excluded, SERVING, active=SERVING), excluded) == ["note serve on demo-a-head"]


@pytest.mark.parametrize(
    ("report", "workers", "comes"),
    [
        (answer(), (pod("demo-a-worker"),), True),
        (answer(status="DEPLOYING"), (pod("demo-a-worker"),), False),
        (answer(status="NOT_STARTED"), (pod("demo-a-worker"),), False),
        (NOTHING_DEPLOYED, (pod("demo-a-worker"),), False),
        (answer(status="DEPLOY_FAILED"), (pod("demo-a-worker"),), True),
        (answer(status="DEPLOYING"), (pod("demo-a-worker", ready=False),), True),
        (Silence("frozen", NOW), (pod("demo-a-worker"),), True),
    ],
    ids=["loaded", "loading", "about to load", "not sent yet", "failed", "nobody else serves", "Ray is silent"],
)
def test_a_new_head_comes_in_beside_workers_that_serve_when_its_applications_are_loaded(
    report: Any, workers: tuple[Any, ...], comes: bool
) -> None:
    fresh = cluster(routed=600, pods=(head(), *workers), proxy=True, serve=report)
    assert ("note serve on demo-a-head" in words(world(FIRST, fresh, active=fresh), FIRST)) is comes


def test_one_application_that_loads_is_enough_to_keep_a_new_head_out() -> None:
    two = aim_at(service_spec(app=f"{APP[:-1]}, {{name: other, import_path: 'app:z', route_prefix: /z}}]"))
    fresh = cluster(goal=two, routed=600, pods=(head(), pod("demo-a-worker")), proxy=True)
    assert "note serve on demo-a-head" not in words(world(two, fresh, active=fresh), two)


def test_a_new_head_comes_in_where_nobody_knows_what_it_should_load() -> None:
    pods = (head(), pod("demo-a-worker"))
    adopted = cluster(routed=600, pods=pods, proxy=True, assigned=None, serve=answer(status="DEPLOYING"))
    observed = world(NEW_IMAGE, adopted, NEXT, active=adopted, revisions=UPGRADING)
    assert "note serve on demo-a-head" in words(observed, NEW_IMAGE)


@pytest.mark.parametrize("workers", [(), (pod("demo-a-worker", ready=False),)], ids=["none", "not ready"])
def test_a_head_that_is_to_take_no_traffic_takes_it_until_a_worker_does(workers: tuple[Any, ...]) -> None:
    excluded = aim_at(service_spec(excludeHeadPodFromServeSvc=True))
    alone = cluster(routed=600, pods=(head(serve="true"), *workers))
    assert words(world(excluded, alone, active=alone), excluded) == []
    never_in = cluster("demo-b", excluded, pods=(head(), *workers), proxy=True)
    assert "note serve on demo-a-head" not in words(world(excluded, never_in), excluded)
    silent = cluster(routed=600, pods=(head(serve="true"), *workers), proxy=False)
    assert words(world(excluded, silent, active=silent), excluded) == ["note serve on demo-a-head"]


def test_a_suspension_gives_up_pods_then_clusters_and_is_over_when_all_are_gone() -> None:
    goal = aim_at(service_spec(suspend=True))
    begun = plan(world(goal, SERVING, active=SERVING), goal)
    assert (in_words(begun), begun.recheck_after) == ([], timedelta())
    going = plan(world(goal, SERVING, active=SERVING, status=begun.status), goal)
    assert in_words(going) == ["delete demo-serve-svc", "delete demo-head-svc", "patch demo-a: /spec/suspend"]
    empty = cluster(pods=(), serve=Silence("no head"))
    assert words(world(goal, empty, status=going.status), goal) == ["delete demo-a"]
    gone = plan(world(goal, status=going.status), goal)
    conditions = {condition.type: condition.status for condition in gone.status.conditions}
    assert in_words(gone) == []
    assert (conditions["Suspending"], conditions["Suspended"], conditions["Ready"]) == ("False", "True", "False")


def test_a_suspension_that_was_called_off_is_written_down_as_over_before_anything_is_made() -> None:
    suspended = aim_at(service_spec(suspend=True))
    begun = plan(world(suspended, SERVING, active=SERVING), suspended)
    over = plan(world(FIRST, status=begun.status), FIRST)
    assert (in_words(over), over.recheck_after) == ([], timedelta())
    assert words(world(FIRST, status=over.status), FIRST)[0].startswith("make RayCluster demo-")


def test_a_suspension_leaves_what_is_not_its_own_or_is_done_already() -> None:
    goal = aim_at(service_spec(suspend=True))
    begun = plan(world(goal, SERVING, active=SERVING), goal).status
    suspended = cluster(config=cluster_config(suspend=True))
    empty: dict[str, Any] = {"pods": (), "serve": Silence("no head")}
    found = (suspended, cluster("demo-b", **empty), cluster("demo-c", leaving=True, **empty))
    observed = world(goal, *found, active=SERVING, status=begun, owner="somebody")
    assert words(observed, goal) == ["delete demo-head-svc", "delete demo-b"]


def test_a_suspension_deletes_the_service_of_an_earlier_name_too() -> None:
    goal = aim_at(service_spec(suspend=True, serveService={"metadata": {"name": "mine"}}))
    begun = plan(world(goal, SERVING, active=SERVING), goal)
    [stray, _] = stable_services(FIRST, SERVING)
    going = plan(replace(world(goal, SERVING, active=SERVING, status=begun.status), strays=(stray,)), goal)
    assert {"delete mine", "delete demo-serve-svc"} <= set(in_words(going))


def test_a_suspension_tells_what_it_deletes_and_suspends_each_cluster() -> None:
    goal = aim_at(service_spec(suspend=True))
    begun = plan(world(goal, SERVING, active=SERVING), goal).status
    empty = cluster("demo-b", pods=(), serve=Silence("no head"))
    going = plan(world(goal, SERVING, empty, active=SERVING, status=begun), goal)
    assert announced(going) == [
        Announcement(f"Deleted{kind}", f"Deleted {kind} {name}: the service is suspended")
        for kind, name in (("Service", "demo-serve-svc"), ("Service", "demo-head-svc"), ("RayCluster", "demo-b"))
    ]
    [patch] = [action for action in actions_of(going) if isinstance(action, Patch)]
    assert patch.operations == ({"op": "add", "path": "/spec/suspend", "value": True},)


def test_a_service_that_is_on_its_way_out_is_left_to_the_garbage_collector() -> None:
    observed = world(NEW_IMAGE, SERVING, active=SERVING, status=plan(world(FIRST), FIRST).status)
    leaving = replace(observed.service, meta=replace(observed.service.meta, deleted_at=NOW))
    result = plan(replace(observed, service=leaving), NEW_IMAGE)
    assert (in_words(result), result.status, result.announcements) == ([], observed.service.status, ())


def recheck(goal: Any, *found: Any, **fields: Any) -> timedelta:
    wait: timedelta = plan(world(goal, *found, **fields), goal).recheck_after
    return wait


def test_ray_is_watched_while_its_applications_come_up() -> None:
    broken = cluster(routed=600, serve=answer(status="DEPLOYING"))
    assert recheck(FIRST, broken, active=broken) == WATCHING
    coming = cluster("demo-b", NEW_IMAGE, serve=answer(status="DEPLOYING"))
    assert recheck(NEW_IMAGE, SERVING, coming, active=SERVING, revisions=UPGRADING) == WATCHING


def test_a_cluster_that_cannot_take_the_traffic_that_it_is_fit_for_is_watched() -> None:
    assert recheck(FIRST, cluster(), active=cluster(), owner="somebody") == WATCHING


def test_a_cluster_of_which_nobody_knows_what_it_should_run_is_not_watched() -> None:
    adopted = cluster(routed=600, assigned=None, serve=answer(status="DEPLOYING"))
    failed = (revision(FIRST), revision(NEW_IMAGE, 2, failed="ImageError"))
    assert recheck(NEW_IMAGE, adopted, active=adopted, revisions=failed) == RESTING


def test_a_ray_that_cannot_be_asked_is_not_watched() -> None:
    starting = cluster(pods=(head(phase="Pending"),), serve=Silence("no head"))
    assert recheck(FIRST, starting) > RESTING


@pytest.mark.parametrize("pods", [(), (head(phase="Pending"),), (head(ended=True, started=False),)])
def test_applications_without_a_head_are_not_called_well_because_they_were(pods: tuple[Any, ...]) -> None:
    well = plan(world(FIRST, SERVING, active=SERVING), FIRST).status
    headless = cluster(routed=600, pods=(*pods, pod("demo-a-worker")), serve=Silence("not asked"))
    status = plan(world(FIRST, headless, active=headless, status=well), FIRST).status
    [before], [after] = (
        [(c.status, c.reason, c.message) for c in found.conditions if c.type == "ApplicationsHealthy"]
        for found in (well, status)
    )
    assert before == ("True", "AllApplicationsRunning", "")
    assert after == ("Unknown", "RayDoesNotAnswer", "demo-a has no head that could be asked")


def held(**fields: Any) -> Any:
    return aim_at(
        service_spec(cluster_config(group(image="ray:2", minReplicas=1), image="ray:2", **fields),
                     upgradeStrategy={"type": "None"})
    )  # fmt: skip


def test_what_works_in_place_is_done_beside_what_is_held_back() -> None:
    result = plan(world(held(), SERVING, active=SERVING, revisions=(revision(FIRST), revision(held(), 2))), held())
    assert "patch demo-a: /spec/workerGroupSpecs/0/minReplicas" in in_words(result)
    [told] = [c for c in result.status.conditions if c.type == "Reconciling"]
    assert (told.status, told.reason) == ("False", "Current")
    assert "upgradeStrategy.type None holds back the change of rayClusterConfig.headGroupSpec" in told.message


def test_but_not_the_numbers_of_another_owner() -> None:
    autoscaled = held(enableInTreeAutoscaling=True)
    observed = world(autoscaled, SERVING, active=SERVING, revisions=(revision(FIRST), revision(autoscaled, 2)))
    assert [said for said in words(observed, autoscaled) if said.startswith("patch demo-a")] == []


def test_what_is_refused_holds_back_only_what_needs_it() -> None:
    third = aim_at(service_spec(cluster_config(image="ray:3")))
    revisions = (*UPGRADING, revision(third, 3))
    drifted = cluster(routed=600, serve=NOTHING_DEPLOYED, proxy=False)
    observed = world(third, drifted, NEXT, active=drifted, selects="elsewhere", revisions=revisions)
    strands = [in_words(strand) for strand in plan(observed, third).strands]
    heads, traffic, ended, made, submitted = strands
    assert (heads, traffic) == (["note serve on demo-a-head"], ["point demo-serve-svc at demo-a"])
    assert ended[:2] == ["confirm demo-serve-svc", "note ended-at on demo-b"]
    assert made[0].startswith("make RayCluster")
    assert submitted == ["submit app:x to demo-a"]


def test_nothing_is_done_for_a_goal_that_cannot_be_written_down() -> None:
    drifted = cluster(routed=600, serve=NOTHING_DEPLOYED)
    observed = world(NEW_APP, drifted, active=drifted, revisions=(revision(FIRST),))
    [pursuit] = plan(observed, NEW_APP).strands
    assert in_words(pursuit)[0] == f"make ControllerRevision {NEW_APP.goal.revision}"
    assert in_words(pursuit)[-1] == "submit app:y to demo-a"
