"""How a new cluster comes to the capacity of the old one before traffic goes to it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.serve import ApplicationState, DeploymentState
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.observed import Silence
from rayserve_operator.planning.service import capacity
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.render import labels

from ..builders import (
    APP,
    NOW,
    actions_of,
    ago,
    aim_at,
    answer,
    cluster,
    cluster_config,
    group,
    head,
    in_words,
    pod,
    revision,
    service_spec,
    steps_of,
    world,
)


def apps(*applications: dict[str, Any]) -> str:
    return json.dumps({"applications": applications})


def app(**scaling: Any) -> str:
    """A config with a deployment D that Serve scales as given."""
    scaled = {"name": "D", "autoscaling_config": scaling}
    return apps({"name": "app", "import_path": "app:x", "deployments": [scaled]})


def deployment(name: str, min_replicas: int = 1, **scaling: int) -> dict[str, Any]:
    return {"name": name, "autoscaling_config": {"min_replicas": min_replicas, "max_replicas": 5, **scaling}}


def report(text: str, running: int, status: str = "RUNNING", of_deployment: str = "HEALTHY", **fields: Any) -> Any:
    """What a Ray says that runs so many replicas of D, on one node if its address is given."""
    placed = {"node_ip": fields.pop("node_ip", None)}
    replicas = [*({"state": "RUNNING", **placed} for _ in range(running)), {"state": "STARTING"}]
    state = {"status": of_deployment, "replicas": replicas, "deployment_config": {"autoscaling_config": {}}}
    return answer(text, status, D=state, **fields)


def state(running: int, status: str = "HEALTHY") -> DeploymentState:
    return DeploymentState(status, "", running, is_autoscaled=True)


def on_floors(text: str, floors: Any) -> str:
    return json.dumps(capacity.on_floors(parse_serve_config(text), floors).document)


SCALED = app(min_replicas=1, max_replicas=5)
ON_THREE = {"app": {"D": 3}}
NOTED = {labels.FLOORS: json.dumps(ON_THREE)}


@pytest.mark.parametrize(
    ("scaling", "live", "noted", "floor"),
    [
        ({"min_replicas": 1, "max_replicas": 5}, 3, 0, 3),
        ({"min_replicas": 1, "max_replicas": 5}, 9, 0, 5),
        ({"min_replicas": 1, "max_replicas": 5}, 1, 0, None),
        ({"min_replicas": 3, "max_replicas": 5}, 3, 0, None),
        ({"min_replicas": 0, "initial_replicas": 4, "max_replicas": 5}, 4, 0, None),
        ({"min_replicas": 0, "max_replicas": 5}, 1, 0, 1),
        ({"min_replicas": 0, "max_replicas": 5}, 0, 0, None),
        ({"max_replicas": "auto"}, 30, 0, 30),
        ({}, 3, 0, None),
        ({"min_replicas": 1, "max_replicas": 5}, 2, 4, 4),
        ({"min_replicas": None, "max_replicas": "5"}, 3, 0, 3),
        ({"max_replicas": 5}, 2, 0, 2),
        ({"max_replicas": "auto"}, 200, 0, 100),
        ({"max_replicas": "many"}, 3, 0, None),
        ({"max_replicas": "inf"}, 3, 0, None),
    ],
)
def test_a_floor_is_what_runs_now_within_the_configs_own_bounds(
    scaling: dict[str, Any], live: int, noted: int, floor: int | None
) -> None:
    text = app(**scaling)
    earlier = {"app": {"D": noted}} if noted else {}
    needed = capacity.floors_needed(parse_serve_config(text), report(text, live), earlier)
    assert needed == ({"app": {"D": floor}} if floor else {})


def test_auto_has_no_bound_of_one() -> None:
    text = app(target_ongoing_requests=3).replace('"D"', '"D", "num_replicas": "auto"')
    assert capacity.floors_needed(parse_serve_config(text), report(text, 3), {}) == ON_THREE
    assert '"min_replicas": 3, "initial_replicas": 3' in on_floors(text, ON_THREE)


def at_percent(text: str, running: int, percent: Any) -> tuple[str, Any]:
    """The config at so much of its capacity, and what a Ray says that runs so many replicas by it."""
    told = report(text, running)
    return json.dumps(json.loads(text) | {"target_capacity": percent}), replace(
        told, deployed=replace(told.deployed, target_capacity=percent)
    )


def at_half(text: str, running: int) -> tuple[str, Any]:
    return at_percent(text, running, 50)


@pytest.mark.parametrize("percent", [None, "much", 100])
def test_without_a_number_serve_makes_all_of_them(percent: Any) -> None:
    text, told = at_percent(app(max_replicas=500), 200, percent)
    assert capacity.floors_needed(parse_serve_config(text), told, {}) == {"app": {"D": 200}}
    assert capacity.shortfall(told, {"app": {"D": 200}}) == []


def test_the_smallest_share_is_a_hundredth() -> None:
    text, told = at_percent(app(max_replicas=500), 2, 1)
    assert capacity.floors_needed(parse_serve_config(text), told, {}) == {"app": {"D": 200}}


def test_a_floor_is_a_number_of_the_config_of_which_serve_makes_its_share() -> None:
    text, told = at_half(SCALED, 2)
    assert capacity.floors_needed(parse_serve_config(text), told, {}) == {"app": {"D": 4}}
    assert capacity.floors_needed(parse_serve_config(text), at_half(SCALED, 4)[1], {}) == {"app": {"D": 5}}
    assert capacity.floors_reached(parse_serve_config(text), told, {"app": {"D": 5}}) == {"app": {"D": 4}}
    assert capacity.shortfall(told, {"app": {"D": 4}}) == []
    assert "2 of the 3 replicas" in capacity.shortfall(told, {"app": {"D": 5}})[0]
    nothing = json.dumps(json.loads(SCALED) | {"target_capacity": 0})
    assert capacity.floors_needed(parse_serve_config(nothing), told, {}) == {"app": {"D": 2}}


def test_a_floor_raises_two_numbers_and_nothing_else() -> None:
    assert on_floors(SCALED, ON_THREE) == app(min_replicas=3, max_replicas=5, initial_replicas=3)
    assert on_floors(SCALED, {}) == SCALED
    assert on_floors(SCALED, {"other": {"D": 3}}) == SCALED
    assert on_floors(app(min_replicas=4, max_replicas=5), ON_THREE) == app(min_replicas=4, max_replicas=5)
    assert on_floors(app(min_replicas=1, max_replicas=2), ON_THREE) == app(
        min_replicas=2, max_replicas=2, initial_replicas=2
    )


def test_only_what_has_a_floor_and_is_scaled_by_the_config_is_raised() -> None:
    scaled, other, plain = deployment("D"), deployment("E"), {"name": "F", "num_replicas": 2}
    raised = deployment("D", min_replicas=3, initial_replicas=3)
    floors = {"default": {"D": 3, "F": 3}}
    unnamed = {"import_path": "app:x"}
    assert on_floors(apps({**unnamed, "deployments": [scaled, other, plain]}), floors) == apps(
        {**unnamed, "deployments": [raised, other, plain]}
    )
    assert on_floors(apps(unnamed), floors) == apps(unnamed)
    assert on_floors(app(min_replicas=4, max_replicas=5), {"app": {"D": 1}}) == app(min_replicas=4, max_replicas=5)


def test_floors_that_are_not_what_was_written_down_count_as_none() -> None:
    spoilt = cluster(notes={labels.FLOORS: json.dumps({"app": 3, "other": {"D": 3, "E": "many"}})})
    assert capacity.floors_of(spoilt) == {"other": {"D": 3}}


def test_a_deployment_of_a_fixed_size_gets_no_floor() -> None:
    fixed = apps({"name": "app", "import_path": "app:x", "deployments": [{"name": "D", "num_replicas": 2}]})
    assert capacity.floors_needed(parse_serve_config(fixed), report(fixed, 3), {}) == {}


def test_floors_are_lowered_to_what_runs_and_no_new_ones_are_made() -> None:
    config = parse_serve_config(
        apps(
            {"name": "app", "import_path": "app:x", "deployments": [deployment("D", 0), deployment("E", 0)]},
            {"name": "other", "import_path": "app:y", "route_prefix": "/y", "deployments": [deployment("D", 0)]},
        )
    )
    one_runs = report(SCALED, 1)
    assert capacity.floors_reached(config, one_runs, {"app": {"D": 3}}) == {"app": {"D": 1}}
    assert capacity.floors_reached(config, one_runs, {"app": {"E": 3}}) == {"app": {"E": 0}}
    assert capacity.floors_reached(config, one_runs, {"other": {"D": 3}}) == {"other": {"D": 0}}


def test_what_runs_nowhere_misses_its_whole_floor() -> None:
    assert capacity.shortfall(report(SCALED, 1), {"app": {"E": 2}, "other": {"D": 2}}) == [
        f"deployment {name} has 0 of the 2 replicas that the serving cluster has" for name in ("E", "D")
    ]


@pytest.mark.parametrize(
    ("status", "deployments", "floors", "is_short"),
    [
        ("DEPLOYING", {"D": state(1, "UPDATING")}, {"D": 2}, True),
        ("DEPLOYING", {"D": state(1, "UPDATING"), "E": state(1)}, {"D": 2, "E": 0}, True),
        ("RUNNING", {"D": state(1, "UPDATING")}, {"D": 2}, False),
        ("DEPLOYING", {"D": state(1)}, {"D": 0}, False),
        ("DEPLOYING", {}, {"D": 2}, False),
        ("DEPLOYING", {"D": state(2, "UPDATING")}, {"D": 2}, False),
        ("DEPLOYING", {"D": state(0, "UPDATING")}, {"D": 2}, False),
        ("DEPLOYING", {"D": state(1, "UPDATING"), "E": state(1, "UPDATING")}, {"D": 2}, False),
    ],
    ids=[
        "short of a replica",
        "another deployment is well",
        "it is not being deployed",
        "there is no floor",
        "nothing is known of its deployments",
        "it has its replicas",
        "nothing of it runs",
        "another deployment is not well",
    ],
)
def test_an_application_is_only_short_if_nothing_but_replicas_is_missing(
    status: str, deployments: dict[str, DeploymentState], floors: dict[str, int], is_short: bool
) -> None:
    found = ApplicationState(status, "", deployments, "declarative", None)
    assert capacity.only_short(found, floors) is is_short


def test_once_lifted_only_the_users_initial_replicas_is_left_out() -> None:
    initial = app(min_replicas=1, initial_replicas=2, max_replicas=5)
    assert capacity.floors_lifted(parse_serve_config(SCALED), ON_THREE) == {}
    assert capacity.floors_lifted(parse_serve_config(initial), ON_THREE) == {"app": {"D": 0}}
    assert capacity.floors_lifted(parse_serve_config(initial), {"app": {"E": 3}}) == {}
    assert on_floors(initial, {"app": {"D": 0}}) == SCALED


def test_deployments_that_their_code_scales_are_named() -> None:
    plain = json.dumps({"applications": [{"name": "app", "import_path": "app:x"}]})
    assert capacity.beyond_reach(parse_serve_config(plain), report(plain, 3)) == ("D",)
    assert capacity.beyond_reach(parse_serve_config(plain), report(plain, 2)) == ("D",)
    assert capacity.beyond_reach(parse_serve_config(plain), report(plain, 1)) == ()
    of_fixed_size = {"status": "HEALTHY", "replicas": [{"state": "RUNNING"}] * 3}
    assert capacity.beyond_reach(parse_serve_config(plain), answer(plain, D=of_fixed_size)) == ()
    assert capacity.beyond_reach(parse_serve_config(SCALED), report(SCALED, 3)) == ()


def test_a_part_of_a_config_counts_from_what_the_user_asks_for() -> None:
    def asked(text: str, percent: int) -> Any:
        return capacity.in_part(parse_serve_config(text), percent).document.get("target_capacity")

    assert [asked(SCALED, percent) for percent in (1, 99, 100)] == [1, 99, None]
    assert [asked(at_half(SCALED, 0)[0], percent) for percent in (10, 99, 100)] == [5, 49.5, 50]


def test_of_any_replicas_one_is_left_in_the_smallest_part() -> None:
    assert "0 of the 1 replicas" in capacity.shortfall(at_percent(SCALED, 0, 1)[1], {"app": {"D": 3}})[0]
    assert capacity.shortfall(at_percent(SCALED, 0, 1)[1], {"app": {"D": 0}}) == []
    assert capacity.shortfall(at_percent(SCALED, 0, 0)[1], {"app": {"D": 3}}) == []


PORTION = {"percent": 40, "since": ago(9)}


@pytest.mark.parametrize(
    ("note", "percent"),
    [
        (PORTION, 40),
        (PORTION | {"percent": 1}, 1),
        (PORTION | {"percent": 100, "minima": {"cpu": 2}}, 100),
        (PORTION | {"percent": 0}, None),
        (PORTION | {"percent": 101}, None),
        (PORTION | {"percent": "all"}, None),
        (PORTION | {"percent": None}, None),
        (PORTION | {"minima": 3}, None),
        (PORTION | {"minima": {"cpu": "few"}}, None),
        (PORTION | {"since": "2030-01-01T00:00:00"}, None),
        ({"percent": 40}, None),
        ({}, None),
    ],
)
def test_the_part_of_a_cluster_is_what_is_noted_unless_that_was_spoilt(note: Any, percent: int | None) -> None:
    noted = cluster(notes={labels.CAPACITY: json.dumps(note, sort_keys=True)})
    portion = capacity.portion_of(noted)
    assert (None if portion is None else portion.percent) == percent
    assert capacity.percent_of(noted) == (100 if percent is None else percent)
    assert portion is None or json.loads(portion.written) == note


def test_a_spec_that_is_not_held_down_is_the_same_object() -> None:
    spec = RayClusterSpec.model_validate(cluster_config(group(minReplicas=3)))
    assert capacity.held_down(spec, capacity.minima_of(spec), 100) is spec
    assert capacity.held_down(spec, {"cpu": 3}, 50) is not spec


def test_only_groups_that_have_a_minimum_are_held_down() -> None:
    config = cluster_config(group(minReplicas=3), group("idle", minReplicas=0))
    assert capacity.minima_of(RayClusterSpec.model_validate(config)) == {"cpu": 3}


def test_deployments_that_get_more_replicas_are_named() -> None:
    growing = report(SCALED, 1, of_deployment="UPSCALING")
    assert capacity.growing(growing) == ["deployment D of app gets more replicas"]
    assert capacity.growing(report(SCALED, 1)) == []


# In a rollout. -----------------------------------------------------------------------------------------------------


def goal(image: str = "ray:2", text: str = SCALED, **strategy: Any) -> Aim:
    groups = [group(image=image, minReplicas=1, maxReplicas=4)]
    config = cluster_config(*groups, image=image, enableInTreeAutoscaling=True)
    return aim_at(service_spec(config, text, upgradeStrategy=strategy))


OLD, NEW = goal("ray:1"), goal()
REVISIONS = (revision(OLD), revision(NEW, 2))


def workers(name: str, count: int, **fields: Any) -> tuple[Any, ...]:
    found = tuple(pod(f"{name}-worker-{number}", name, **fields) for number in range(count))
    return (head(name, serve="true"), *found)


def serving(running: int = 3, **fields: Any) -> Any:
    fields.setdefault("serve", report(SCALED, running))
    return cluster("demo-a", OLD, routed=600, pods=workers("demo-a", running), **fields)


def pending(running: int, text: str = SCALED, count: int = 3, **fields: Any) -> Any:
    fields.setdefault("serve", report(on_floors(text, ON_THREE), running, proxies=["ip-demo-b-head"]))
    return cluster("demo-b", fields.pop("aim", NEW), pods=workers("demo-b", count), **fields)


def plan(old: Any, new: Any, aim: Aim = NEW) -> Any:
    revisions = (revision(OLD), revision(aim, 2))
    found = [old] if new is None else [old, new]
    return plan_service(world(aim, *found, active=old, revisions=revisions), aim, NOW)


def stage(result: Any) -> tuple[str, str]:
    [reconciling] = [c for c in result.status.conditions if c.type == "Reconciling"]
    return reconciling.reason, reconciling.message


def noted(result: Any, key: str) -> Any:
    notes = [a.annotations or {} for a in actions_of(result) if hasattr(a, "annotations")]
    return next((note[key] for note in notes if key in note), None)


def test_worker_groups_start_as_large_as_they_are_now() -> None:
    def replicas(live: int) -> int:
        old = cluster("demo-a", OLD, routed=600, pods=workers("demo-a", live), serve=report(SCALED, 3))
        [made] = actions_of(plan(old, None))
        found: int = made.manifest["spec"]["workerGroupSpecs"][0]["replicas"]
        return found

    assert [replicas(live) for live in (0, 3, 9)] == [1, 3, 4]


def test_only_pods_of_a_worker_group_count_for_its_size() -> None:
    name, gpus = "headgroup", group("gpu", replicas=2)
    groups = [group(name, maxReplicas=9), gpus]
    spec = RayClusterSpec.model_validate(cluster_config(*groups, enableInTreeAutoscaling=True))
    pods = (head(), pod("one", group=name), pod("leaves", group=name, leaving=True), pod("other", group="gpu"))
    old = cluster(config=cluster_config(group(name)), pods=pods)
    assert [found.replicas for found in capacity.sized(spec, old).worker_group_specs] == [1, 2]


def test_groups_start_as_the_spec_says_where_nothing_serves_or_nothing_scales_them() -> None:
    fixed = RayClusterSpec.model_validate(cluster_config(group(replicas=3)))
    scaled = RayClusterSpec.model_validate(cluster_config(group(replicas=3), enableInTreeAutoscaling=True))
    assert capacity.sized(fixed, cluster()) == fixed
    assert capacity.sized(scaled, None) == scaled


def test_a_new_cluster_gets_its_floors_before_its_config() -> None:
    silent = pending(0, serve=report("{applications: []}", 0))
    first = plan(serving(), silent)
    assert in_words(first) == ["note replica-floors on demo-b"]
    assert json.loads(noted(first, labels.FLOORS)) == ON_THREE
    [step] = steps_of(plan(serving(), pending(0, serve=report("{applications: []}", 0), notes=NOTED)))
    assert json.dumps(step[0].config.document) == on_floors(SCALED, ON_THREE)


def test_one_that_is_asked_for_a_part_sets_no_floor() -> None:
    silent = pending(0, serve=report("{applications: []}", 0))
    part = {labels.CAPACITY: json.dumps(PORTION)}
    assert "note replica-floors on demo-b" not in in_words(plan(serving(notes=part), silent))


def test_traffic_waits_for_the_floors_and_says_so() -> None:
    text = on_floors(SCALED, ON_THREE)
    for status, of_deployment in (("DEPLOYING", "UPDATING"), ("RUNNING", "HEALTHY")):
        short = pending(2, serve=report(text, 2, status, of_deployment), notes=NOTED)
        result = plan(serving(), short)
        assert in_words(result) == ["note warm-since on demo-b"]
        assert stage(result)[0] == "MatchingCapacity"
        assert "deployment D has 2 of the 3 replicas" in stage(result)[1]
    matched = plan(serving(), pending(3, notes=NOTED))
    assert "point demo-serve-svc at demo-b" in in_words(matched)


def test_an_application_that_does_not_run_for_another_reason_does_not_wait_for_capacity() -> None:
    text = on_floors(SCALED, ON_THREE)
    for running, of_deployment in ((0, "UPDATING"), (3, "UPDATING")):
        result = plan(serving(), pending(0, serve=report(text, running, "DEPLOYING", of_deployment), notes=NOTED))
        assert stage(result)[0] == "Warming"


def test_when_the_warm_up_is_over_traffic_goes_to_what_there_is() -> None:
    over = {**NOTED, labels.WARM_SINCE: ago(300)}
    text = on_floors(SCALED, ON_THREE)
    lowered = plan(serving(), pending(2, serve=report(text, 2, "DEPLOYING", "UPDATING"), notes=over))
    assert json.loads(noted(lowered, labels.FLOORS)) == {"app": {"D": 2}}
    on_two = {**over, labels.FLOORS: json.dumps({"app": {"D": 2}})}
    settled = pending(2, serve=report(on_floors(SCALED, {"app": {"D": 2}}), 2), notes=on_two)
    assert "point demo-serve-svc at demo-b" in in_words(plan(serving(), settled))
    to_one = plan(serving(), pending(1, serve=report(text, 1, "DEPLOYING", "UPDATING"), notes=over))
    assert json.loads(noted(to_one, labels.FLOORS)) == {"app": {"D": 1}}, "Serve goes down again only by an order"
    ordered = json.loads(on_floors(SCALED, {"app": {"D": 1}}))["applications"][0]["deployments"][0]
    assert ordered["autoscaling_config"]["initial_replicas"] == 1
    early = {**NOTED, labels.WARM_SINCE: ago(299)}
    assert in_words(plan(serving(), pending(2, notes=early))) == []


def test_or_the_rollout_is_given_up_where_the_user_says_so() -> None:
    strict = goal(onWarmUpTimeout="Rollback", warmUpTimeoutSeconds=120)
    over = {**NOTED, labels.WARM_SINCE: ago(120)}
    result = plan(serving(), pending(2, notes=over, aim=strict), strict)
    [step] = steps_of(result)
    record = json.loads(step[0].annotations[labels.FAILED])
    words = "cluster demo-b: deployment D has 2 of the 3 replicas that the serving cluster has"
    assert (record["reason"], record["message"]) == ("WarmUpTimeout", words)


def test_a_new_cluster_that_is_given_another_config_has_all_its_time_to_match_again() -> None:
    text = SCALED.replace("app:x", "app:y")
    aim, over = goal(text=text), {**NOTED, labels.WARM_SINCE: ago(300)}
    assert in_words(plan(serving(), pending(1, notes=over), aim))[0] == "note revision, not warm-since on demo-b"
    runs = in_words(plan(serving(), pending(1, text=text, notes=over), aim))
    assert runs == ["note revision, warm-since on demo-b"]


def test_floors_stay_until_the_old_cluster_has_gone() -> None:
    new = cluster("demo-b", NEW, routed=60, notes=NOTED, serve=report(on_floors(SCALED, ON_THREE), 3))
    leaving = cluster("demo-a", OLD, routed=600, retired=50, ongoing=1)

    def after(*found: Any, active: Any = new) -> Any:
        return plan_service(world(NEW, *found, active=active, revisions=REVISIONS), NEW, NOW)

    assert in_words(after(leaving, new)) == []
    assert in_words(after(new)) == ["note not replica-floors on demo-b"]
    lifted = cluster("demo-b", NEW, routed=60, serve=report(on_floors(SCALED, ON_THREE), 3))
    [step] = steps_of(after(lifted, active=lifted))
    assert json.dumps(step[0].config.document) == SCALED


def test_a_serving_cluster_that_does_not_tell_sets_no_floor() -> None:
    result = plan(serving(serve=Silence("frozen", NOW)), pending(1, serve=report(SCALED, 1)))
    assert "point demo-serve-svc at demo-b" in in_words(result)


def test_two_pods_must_take_traffic_where_two_do_now_if_there_can_be_two() -> None:
    ready, starting = workers("demo-b", 1), (head("demo-b", serve="true"), pod("demo-b-w", "demo-b", ready=False))
    one = cluster("demo-b", NEW, pods=starting, serve=report(SCALED, 1, node_ip="ip-demo-b-w"))
    two = cluster("demo-b", NEW, pods=ready, serve=report(SCALED, 1))
    old = cluster("demo-a", OLD, routed=600, serve=report(SCALED, 1))
    assert stage(plan(old, one)) == ("MatchingCapacity", "cluster demo-b: 1 of 2 pods take traffic")
    assert "point demo-serve-svc at demo-b" in in_words(plan(old, two))


def test_where_only_the_head_has_a_proxy_its_pod_is_enough() -> None:
    aim = aim_at(service_spec(cluster_config(image="ray:2"), app=f"{{proxy_location: HeadOnly, {APP}}}"))
    pods = (head("demo-b", serve="true"), pod("demo-b-worker", "demo-b", serve="false"))
    old = cluster("demo-a", OLD, routed=600)
    assert "point demo-serve-svc at demo-b" in in_words(plan(old, cluster("demo-b", aim, pods=pods), aim))


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"proxies": ["ip-demo-b-head", "ip-demo-b-worker-0"]}, None),
        (
            {"proxies": ["ip-demo-b-worker-0"], "answering": []},
            "the Serve proxy of demo-b-worker-0 does not take traffic",
        ),
        (
            {"proxies": ["ip-demo-b-head"], "starting": ["ip-demo-b-worker-0"]},
            "the Serve proxy of demo-b-worker-0 starts",
        ),
    ],
)
def test_every_pod_that_would_take_traffic_has_answered(fields: dict[str, Any], missing: str | None) -> None:
    given = {"answering": fields.pop("answering")} if "answering" in fields else {}
    new = cluster("demo-b", NEW, pods=workers("demo-b", 1), serve=report(SCALED, 1, **fields), **given)
    result = plan(cluster("demo-a", OLD, routed=600, serve=report(SCALED, 1)), new)
    assert ("point demo-serve-svc at demo-b" in in_words(result)) is (missing is None)
    assert (missing or "") in stage(result)[1]
