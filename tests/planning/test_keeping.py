"""Revisions, the names of new clusters, and what is written down on clusters."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.problems import Problem
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Annotate, Announcement, Create, Kind, Patch
from rayserve_operator.planning.observed import ObservedService, RevisionView, Silence
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.keeping import makes_untried_pods
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels, names

from ..builders import (
    NAME,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
    announced,
    answer,
    cluster,
    cluster_config,
    group,
    in_words,
    revision,
    service_meta,
    service_spec,
    world,
)

FIRST = aim_at(service_spec())
EDIT = aim_at(service_spec(app=OTHER_APP))
IMAGE = aim_at(service_spec(cluster_config(image="ray:2")))
SERVING = cluster(routed=600)


def plan(observed: ObservedService, goal: Aim = FIRST) -> Any:
    return plan_service(observed, goal, NOW)


def actions(result: Any, kind: type) -> list[Any]:
    return [action for action in actions_of(result) if isinstance(action, kind)]


def manifests(result: Any, kind: Kind) -> list[Any]:
    return [made.manifest for made in actions(result, Create) if made.kind is kind]


def noted(result: Any, name: str) -> dict[str, str | None]:
    [note] = [action for action in actions(result, Annotate) if action.name == name]
    return dict(note.annotations)


def named(goal: Aim, attempt: int) -> str:
    """The name of the goal's cluster at this attempt."""
    return names.ray_cluster_name(NAME, service_meta().uid, goal.goal.part_digest, attempt)


# Revisions. ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("found", "number"), [((), 1), ((revision(FIRST, 4), revision(EDIT, 7)), 8)])
def test_a_new_goal_gets_a_revision_of_the_highest_number(found: tuple[RevisionView, ...], number: int) -> None:
    [made] = manifests(plan(world(IMAGE, SERVING, active=SERVING, revisions=found), IMAGE), Kind.REVISION)
    assert made["revision"] == number
    assert made["metadata"]["annotations"] == {
        labels.PART: IMAGE.goal.part_digest,
        labels.ATTEMPT: "1",
        labels.STARTED_AT: ago(0),
    }


def test_an_old_goal_that_is_the_goal_again_has_its_revision_raised_as_it_was_seen() -> None:
    old = revision(FIRST, 1, failed="ImageError")
    notes = {**old.meta.annotations, "example.com/of-users": "kept"}
    reverted = (replace(old, meta=replace(old.meta, annotations=notes)), revision(IMAGE, 2))
    [raised] = actions(plan(world(FIRST, SERVING, active=SERVING, revisions=reverted)), Patch)
    part, attempt = FIRST.goal.part_digest, "1"
    kept = {"example.com/of-users": "kept"}
    begun = {labels.PART: part, labels.ATTEMPT: attempt, labels.STARTED_AT: ago(0)}
    assert raised.operations == (
        {"op": "test", "path": "/metadata/resourceVersion", "value": "3"},
        {"op": "replace", "path": "/revision", "value": 3},
        {"op": "add", "path": "/metadata/annotations", "value": {**kept, **begun}},
    )


def test_a_goal_whose_beginning_a_hand_has_taken_away_begins_anew() -> None:
    old = revision(FIRST)
    notes = {key: value for key, value in old.meta.annotations.items() if key != labels.STARTED_AT}
    timeless = replace(old, meta=replace(old.meta, annotations=notes))
    [raised] = actions(plan(world(FIRST, SERVING, active=SERVING, revisions=(timeless,))), Patch)
    assert raised.operations[-1]["value"][labels.STARTED_AT] == ago(0)


# New clusters. ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revisions", "attempt"),
    [
        ((), 1),
        ((revision(IMAGE, 5, attempt=4),), 1),
        ((revision(EDIT, 1, attempt=3),), 3),
        ((revision(EDIT, 1, attempt=3), revision(IMAGE, 2)), 4),
        ((revision(EDIT, 1, attempt=3), revision(FIRST, 2, attempt=2), revision(IMAGE, 3, attempt=9)), 4),
        ((revision(IMAGE, 1, attempt=9), revision(EDIT, 2, attempt=3)), 3),
    ],
    ids=[
        "the first of all",
        "the first of this cluster part",
        "another Serve config alone",
        "the part is wanted again",
        "the part was wanted more than once",
        "the newest revision counts",
    ],
)
def test_a_cluster_is_named_after_the_attempt_at_its_part(revisions: tuple[RevisionView, ...], attempt: int) -> None:
    result = plan(world(FIRST, revisions=revisions))
    [made] = manifests(result, Kind.RAY_CLUSTER)
    assert made["metadata"]["name"] == named(FIRST, attempt)


def test_an_attempt_goes_on_while_a_cluster_of_it_is_left() -> None:
    def attempt(*revisions: RevisionView) -> str:
        [made] = manifests(plan(world(EDIT, SERVING, active=SERVING, revisions=revisions), EDIT), Kind.REVISION)
        found: str = made["metadata"]["annotations"][labels.ATTEMPT]
        return found

    assert attempt(revision(FIRST, 1, attempt=3), revision(IMAGE, 2)) == "3"
    assert attempt(revision(IMAGE, 2)) == "1"


def test_a_cluster_says_what_it_was_made_for() -> None:
    options = aim_at(service_spec(app="{proxy_location: HeadOnly, applications: []}"))
    [made] = manifests(plan(world(options, revisions=()), options), Kind.RAY_CLUSTER)
    notes = made["metadata"]["annotations"]
    assert notes[labels.REVISION] == options.goal.revision
    assert json.loads(notes[labels.SERVE_OPTIONS]) == {"proxy_location": "HeadOnly"}


def test_a_name_that_is_taken_is_passed_over_and_the_attempt_written_down() -> None:
    result = plan(world(FIRST, ghosts=[named(FIRST, 1), named(FIRST, 2)]))
    [made] = manifests(result, Kind.RAY_CLUSTER)
    assert made["metadata"]["name"] == named(FIRST, 3)
    assert noted(result, FIRST.goal.revision) == {labels.ATTEMPT: "3", labels.STARTED_AT: ago(0)}


def test_a_name_that_is_taken_is_passed_over_before_there_is_a_revision() -> None:
    [revised, made] = in_words(plan(world(FIRST, ghosts=[named(FIRST, 1)], revisions=())))
    assert revised.startswith("make ControllerRevision")
    assert made == f"make RayCluster {named(FIRST, 2)}"


def told_of_new(goal: Aim, *found: Any, active: Any = None) -> str:
    [told] = announced(plan(world(goal, *found, active=active), goal))
    assert told.reason == "CreatedRayCluster"
    start = f"Created RayCluster {named(goal, 1)}: "
    assert told.message.startswith(start)
    return told.message.removeprefix(start)


def test_it_is_told_why_a_cluster_is_made() -> None:
    assert told_of_new(FIRST) == "the service has none"
    path = "template.spec.containers[0].image"
    changed = f"rayClusterConfig.headGroupSpec.{path}, rayClusterConfig.workerGroupSpecs[cpu].{path}"
    silent = cluster(routed=600, serve=Silence("frozen", NOW))
    for active in (SERVING, silent):
        assert told_of_new(IMAGE, active, active=active) == f"demo-a cannot take the change of {changed} in place"


def test_it_is_told_which_deployments_a_new_cluster_starts_with_fewer_replicas_of() -> None:
    scaled = {
        "status": "HEALTHY",
        "replicas": [{"state": "RUNNING"}, {"state": "RUNNING"}],
        "deployment_config": {"autoscaling_config": {}},
    }
    active = cluster(routed=600, serve=answer(D=scaled, E=scaled))
    assert told_of_new(IMAGE, active, active=active).partition("; ")[2] == (
        "D, E start with as many replicas as their code says, not as demo-a has now: give them an autoscaling_config"
        " in serveConfigV2 for that"
    )


# What is kept up to date. -------------------------------------------------------------------------------------------


def test_a_change_in_place_is_told() -> None:
    more = aim_at(service_spec(cluster_config(group(minReplicas=1, maxReplicas=5))))
    groups = "workerGroupSpecs[cpu]"
    words = f"Changed {groups}.minReplicas, {groups}.maxReplicas of demo-a in place"
    assert announced(plan(world(more, SERVING, active=SERVING), more)) == [Announcement("UpdatedRayCluster", words)]


def test_nothing_is_changed_in_place_where_the_cluster_is_not_as_wanted() -> None:
    config = cluster_config(group(image="ray:2", minReplicas=1), image="ray:2")
    failed = aim_at(service_spec(config))
    revisions = (revision(FIRST), revision(failed, 2, failed="ImageError"))
    assert actions(plan(world(failed, SERVING, active=SERVING, revisions=revisions), failed), Patch) == []


def test_what_users_note_for_the_clusters_is_taken_over() -> None:
    result = plan(world(FIRST, SERVING, active=SERVING, notes={labels.DISRUPTION_BUDGET: "false"}))
    assert noted(result, "demo-a") == {labels.DISRUPTION_BUDGET: "false"}


def test_a_config_that_runs_already_is_written_down_as_given_and_as_proven() -> None:
    running = cluster(routed=600, serve=answer(OTHER_APP))
    revisions = (revision(FIRST), revision(EDIT, 2))
    result = plan(world(EDIT, running, active=running, revisions=revisions), EDIT)
    assert noted(result, "demo-a") == {labels.REVISION: EDIT.goal.revision, labels.SERVED: EDIT.goal.revision}


@pytest.mark.parametrize(
    ("present", "served", "expected"),
    [
        (EDIT.goal.revision, FIRST.goal.revision, FIRST.goal.revision),
        (EDIT.goal.revision, None, None),
        ("another", FIRST.goal.revision, FIRST.goal.revision),
    ],
    ids=["it failed here", "nothing has ever been proven", "another one was on its way"],
)
def test_what_was_given_up_is_rolled_back_to_what_is_known_to_run(
    present: str, served: str | None, expected: str | None
) -> None:
    notes = {labels.ROUTED_AT: ago(600), labels.REVISION: present, **({labels.SERVED: served} if served else {})}
    active = cluster(notes=notes)
    revisions = (revision(FIRST), revision(EDIT, 2, failed="DeployFailed"))
    result = plan(world(EDIT, active, active=active, revisions=revisions), EDIT)
    changed = {key: value for a in actions(result, Annotate) for key, value in (a.annotations or {}).items()}
    assert changed.get(labels.REVISION) == expected
    assert (labels.REVISION in changed) == (expected is not None)


# Floors; see test_capacity.py for what they are. --------------------------------------------------------------------


def scaled_app(**scaling: int) -> str:
    deployment = {"name": "D", "autoscaling_config": {"min_replicas": 1, "max_replicas": 5, **scaling}}
    return json.dumps({"applications": [{"name": "app", "import_path": "app:x", "deployments": [deployment]}]})


def floors_afterwards(active: Any, *others: Any, goal: Aim) -> Any:
    """The floors that the active cluster has after a pass."""
    observed = world(goal, *others, active, active=active, revisions=(revision(goal, 2),))
    changed: dict[str, Any] = dict(active.cluster.meta.annotations)
    for note in actions(plan(observed, goal), Annotate):
        if note.name == active.name:
            changed.update(note.annotations or {})
    written = changed[labels.FLOORS]
    return None if written is None else json.loads(written)


FLOORS = {"app": {"D": 3}}
ON_FLOORS = {labels.FLOORS: json.dumps(FLOORS)}


def test_floors_stay_while_a_cluster_drains_though_the_next_rollout_begins() -> None:
    goal = aim_at(service_spec(cluster_config(image="ray:2"), scaled_app()))
    active = cluster("demo-b", aim_at(service_spec(app=scaled_app())), routed=60, notes=ON_FLOORS)
    assert floors_afterwards(active, cluster(routed=600, retired=20), goal=goal) == FLOORS


@pytest.mark.parametrize(
    ("assigned", "wanted", "lifted"),
    [
        (scaled_app(initial_replicas=2), scaled_app(), {"app": {"D": 0}}),
        (scaled_app(), scaled_app(initial_replicas=2), None),
        (None, scaled_app(initial_replicas=2), {"app": {"D": 0}}),
        (None, scaled_app(), None),
    ],
)
def test_floors_are_lifted_by_the_config_that_the_cluster_has(assigned: str | None, wanted: str, lifted: Any) -> None:
    config = None if assigned is None else parse_serve_config(assigned)
    goal = aim_at(service_spec(cluster_config(image="ray:2"), wanted))
    active = cluster("demo-b", routed=60, notes=ON_FLOORS, assigned=config)
    assert floors_afterwards(active, goal=goal) == lifted


@pytest.mark.parametrize(
    ("strategy", "serve"),
    [("Proceed", Silence("frozen", NOW)), ("Rollback", answer(scaled_app(), "DEPLOY_FAILED"))],
    ids=["nobody knows what runs", "they must be matched"],
)
def test_floors_are_not_lowered_though_the_warm_up_is_over_where(strategy: Any, serve: Any) -> None:
    upgrade = {"onWarmUpTimeout": strategy}
    goal = aim_at(service_spec(cluster_config(image="ray:2"), scaled_app(), upgradeStrategy=upgrade))
    over = {**ON_FLOORS, labels.WARM_SINCE: ago(999)}
    pending = cluster("demo-b", goal, notes=over, serve=serve)
    result = plan(world(goal, SERVING, pending, active=SERVING, revisions=(revision(goal, 2),)), goal)
    assert all(labels.FLOORS not in (note.annotations or {}) for note in actions(result, Annotate))


SUSPENDED = aim_at(service_spec(suspend=True))
PROBLEM = Problem("spec", "is bad", "mend it")


@pytest.mark.parametrize(
    ("observed", "aim", "are_tried"),
    [
        (world(FIRST, revisions=()), FIRST, True),
        (world(FIRST, SERVING, active=SERVING), IMAGE, True),
        (world(FIRST), FIRST, False),
        (world(FIRST, SERVING, active=SERVING), EDIT, False),
        (world(FIRST, SERVING, active=SERVING, revisions=()), IMAGE, False),
        (world(FIRST, SERVING, active=SERVING), replace(IMAGE, problems=(PROBLEM,)), False),
        (world(SUSPENDED, revisions=()), SUSPENDED, False),
    ],
    ids=["first-start", "new-cluster", "begun", "in-place", "nothing-to-fall-back-on", "last-valid", "suspended"],
)
def test_only_pods_of_a_new_revision_are_tried(observed: ObservedService, aim: Aim, are_tried: bool) -> None:
    assert makes_untried_pods(observed, aim) is are_tried


def test_what_is_on_its_way_out_makes_no_pods() -> None:
    first = world(FIRST, revisions=())
    meta = replace(first.service.meta, deleted_at=NOW)
    assert not makes_untried_pods(replace(first, service=replace(first.service, meta=meta)), FIRST)
