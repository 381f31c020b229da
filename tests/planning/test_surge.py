"""How capacity moves from the old cluster to the new one where both together may not have twice as much."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.actions import Annotate, Announcement, Apply, Kind, Patch, Plan, SubmitServe
from rayserve_operator.planning.observed import ObservedCluster, ObservedService, Silence
from rayserve_operator.planning.service import capacity, share, surge
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.service.goal import Aim
from rayserve_operator.planning.service.planner import plan_service
from rayserve_operator.planning.service.roles import assign_roles
from rayserve_operator.render import labels

from ..builders import (
    APP,
    NAME,
    NOTHING_DEPLOYED,
    NOW,
    OTHER_APP,
    actions_of,
    ago,
    aim_at,
    answer,
    cluster_config,
    group,
    in_words,
    pod,
    revision,
    service_spec,
    side,
    world,
)

INTERVAL = 60


def aim(image: str = "ray:2", app: str = APP, strategy: Any = None, least: int = 0, **options: Any) -> Aim:
    """A goal in steps of 20% and 50%, with a surge of 30%, but for what is given; least are the minReplicas."""
    given = {"steps": [20, 50], "intervalSeconds": INTERVAL, "maxSurgePercent": 30} | options
    in_steps = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": given}
    workers = group(image=image, minReplicas=least, maxReplicas=9)
    config = cluster_config(workers, image=image, enableInTreeAutoscaling=True)
    return aim_at(service_spec(config, app, upgradeStrategy=in_steps | (strategy or {})))


OLD, NEW, OTHER = aim("ray:1"), aim(), aim("ray:3")
State = tuple[int | None, int, int]
"""The share that is noted, and the parts of the capacity that the old and the new cluster are asked for."""


SIDES = {"demo-a": side("demo-a", OLD, routed=600), "demo-b": side("demo-b", NEW, created=300)}
PODS = {
    (found.meta.name, takes): pod(found.meta.name, name, traffic=takes)
    for name, made in SIDES.items()
    for found in made.pods[1:]
    for takes in (False, True)
}


def report(name: str, config: ServeConfig, **deployments: Any) -> ServeStatus:
    """What the Ray of a cluster says that runs this config."""
    proxies = [f"ip-{found.meta.name}" for found in SIDES[name].pods[1:]]
    return answer(json.dumps(dict(config.document)), proxies=proxies, **deployments)


def noted(percent: int, since: float = 0) -> str:
    return json.dumps({"percent": percent, "since": ago(since)})


@dataclass
class Rollout:
    """Both clusters of a rollout, and what the plans of one pass after the other make of them."""

    goal: Aim
    now: Any = NOW
    failed: str | None = None
    notes: dict[str, dict[str, str]] = field(default_factory=lambda: {"demo-a": {}, "demo-b": {}})
    deployed: dict[str, ServeConfig] = field(default_factory=lambda: {"demo-a": OLD.goal.serve})
    taking: frozenset[str] = frozenset()
    is_shared: bool = False
    has_switched: bool = False
    moved: int = 0
    """The share that the traffic has followed."""

    def cluster(self, name: str) -> ObservedCluster:
        made = SIDES[name]
        meta = replace(made.cluster.meta, annotations={**made.cluster.meta.annotations, **self.notes[name]})
        pods = tuple(PODS[found.meta.name, found.meta.name in self.taking] for found in made.pods[1:])
        config = self.deployed.get(name)
        serve = NOTHING_DEPLOYED if config is None else report(name, config)
        return replace(made, cluster=replace(made.cluster, meta=meta), pods=(made.pods[0], *pods), serve=serve)

    def observe(self) -> ObservedService:
        old, new = self.cluster("demo-a"), self.cluster("demo-b")
        revisions = (revision(OLD), revision(self.goal, 2, failed=self.failed))
        return world(self.goal, old, new, active=old, revisions=revisions, shared=self.is_shared)

    def step(self) -> Plan[Any]:
        """A pass, after which everything is as it was decided."""
        plan = plan_service(self.observe(), self.goal, self.now)
        for action in actions_of(plan):
            self._take(action)
        percent = self.state[0] or 0
        self.moved = percent if self.taking == self.takers(percent) or not self.is_shared else self.moved
        return plan

    def takers(self, percent: int) -> frozenset[str]:
        """The pods that are to take the traffic by this share."""
        return share.pods_of(NAME, self.cluster("demo-a"), self.cluster("demo-b"), percent)

    def _take(self, action: Any) -> None:
        match action:
            case Annotate(kind=Kind.RAY_CLUSTER):
                changed = self.notes[action.name] | dict(action.annotations or {})
                self.notes[action.name] = {key: value for key, value in changed.items() if value is not None}
            case Annotate(kind=Kind.POD):
                takes = (action.labels or {})[labels.TRAFFIC] is not None
                self.taking = self.taking | {action.name} if takes else self.taking - {action.name}
            case SubmitServe():
                self.deployed[action.cluster] = action.config
            case Apply(kind=Kind.SERVICE) if action.manifest["metadata"]["name"] == "demo-serve-svc":
                selector = action.manifest["spec"]["selector"]
                self.is_shared = labels.TRAFFIC in selector
                self.has_switched = selector.get(labels.CLUSTER) == "demo-b"
            case _:
                pass

    @property
    def state(self) -> State:
        old, new = map(self.cluster, self.notes)
        taken = share.share_of(new)
        return (None if taken is None else taken.percent), capacity.percent_of(old), capacity.percent_of(new)

    def asked(self, name: str) -> float:
        """What Ray was last sent, in percent."""
        config = self.deployed.get(name)
        return 0 if config is None else config.document.get("target_capacity", 100)

    def states(self, passes: int = 60) -> list[State]:
        """All states that it comes through until nothing more happens."""
        seen: list[State] = []
        for _ in range(passes):
            self.step()
            seen += [self.state] if seen[-1:] != [self.state] else []
            self.now += timedelta(seconds=INTERVAL / 4)
            if self.has_switched:
                break
        return seen


def test_the_capacity_moves_ahead_of_the_traffic_and_leaves_behind_it() -> None:
    rollout = Rollout(NEW)
    assert rollout.states() == [
        (None, 100, 20),
        (0, 100, 20),
        (20, 100, 20),
        (20, 100, 30),
        (20, 80, 30),
        (20, 80, 50),
        (50, 80, 50),
        (50, 50, 50),
        (50, 50, 80),
        (80, 50, 80),
        (80, 30, 80),
        (80, 30, 100),
    ]
    assert rollout.has_switched
    assert rollout.deployed["demo-b"] == NEW.goal.serve


def begun(state: State, goal: Aim = NEW, **fields: Any) -> Rollout:
    """A rollout that has come so far."""
    rollout = Rollout(goal, **fields)
    percent, old, new = state
    rollout.notes["demo-a"] = {} if old == 100 else {labels.CAPACITY: noted(old)}
    taken = {} if percent is None else {labels.SHARE: noted(percent), labels.ROUTED_AT: ago(60)}
    rollout.notes["demo-b"] = {labels.CAPACITY: noted(new), **taken}
    rollout.deployed = {
        "demo-a": capacity.in_part(OLD.goal.serve, old), "demo-b": capacity.in_part(NEW.goal.serve, new)
    }  # fmt: skip
    rollout.taking = rollout.takers(percent or 0)
    rollout.is_shared = percent is not None
    return rollout


@pytest.mark.parametrize(("steps", "surge_percent"), [([20, 50], 30), ([60], 25), ([20, 50], 100)])
def test_the_parts_to_come_are_those_that_come(steps: list[int], surge_percent: int) -> None:
    rollout = Rollout(aim(steps=steps, maxSurgePercent=surge_percent))
    to_come = list(surge.parts_to_come(course_of(rollout)))
    seen = [(old, new) for _, old, new in rollout.states(200)]
    assert set(to_come) <= set(seen)
    assert all(any(old <= part.old and new <= part.new for part in to_come) for old, new in seen)


def test_of_a_rollout_under_way_only_the_rest_is_to_come() -> None:
    assert list(surge.parts_to_come(course_of(begun((50, 80, 50))))) == [(80, 50), (50, 80), (50, 80), (30, 100)]


def course_of(rollout: Rollout) -> Course:
    return Course(rollout.observe(), rollout.goal.goal, rollout.now)


def notes_in(plan: Plan[Any]) -> dict[str, Any]:
    """What is noted on each cluster."""
    return {action.name: action.annotations for action in actions_of(plan) if isinstance(action, Annotate)}


def test_before_a_rollout_the_old_one_comes_to_all_of_its_capacity_again() -> None:
    goal, old = aim(steps=[50]), begun((None, 80, 20)).cluster("demo-a")
    parts = list(surge.parts_to_come(Course(world(goal, old, active=old), goal.goal, NOW)))
    assert parts == [(100, 30), (100, 30), (100, 30), (80, 50), (80, 50), (50, 80), (50, 80), (30, 100)]


def test_who_takes_over_from_nobody_is_asked_for_all_at_once() -> None:
    in_place, old, first = aim("ray:1", OTHER_APP), SIDES["demo-a"], SIDES["demo-b"]
    for goal, observed in ((NEW, world(NEW, first)), (in_place, world(in_place, old, active=old))):
        assert list(surge.parts_to_come(Course(observed, goal.goal, NOW))) == [(100, 100)]
    left_alone = begun((None, 80, 20)).cluster("demo-b")
    assert "note not capacity on demo-b" in in_words(plan_service(world(NEW, left_alone), NEW, NOW))


def test_the_old_one_has_its_capacity_before_the_traffic_returns() -> None:
    back = begun((80, 50, 80), failed="AnalysisFailed")
    assert back.states() == [
        (50, 50, 80),
        (50, 50, 50),
        (50, 80, 50),
        (20, 80, 50),
        (20, 80, 20),
        (20, 100, 20),
        (None, 100, 20),
    ]
    assert (back.is_shared, back.taking) == (False, frozenset())
    assert back.deployed["demo-a"] == OLD.goal.serve
    assert labels.CAPACITY not in back.notes["demo-a"]


def test_where_nothing_was_taken_from_the_old_one_the_traffic_returns_at_once() -> None:
    back = begun((20, 100, 30), failed="AnalysisFailed")
    assert "point demo-serve-svc at demo-a" in in_words(back.step())


RECREATED = aim_at(
    service_spec(cluster_config(image="ray:3", enableInTreeAutoscaling=True), upgradeStrategy={"type": "Recreate"})
)


@pytest.mark.parametrize("goal", [OLD, OTHER, aim(app=OTHER_APP)])
def test_whoever_changes_his_mind_goes_back_first(goal: Aim) -> None:
    back = begun((50, 80, 50), goal)
    plan = back.step()
    assert in_words(plan)[-1] == "note share on demo-b"
    assert back.state == (20, 80, 50)
    found = {c.type: (c.status, c.reason, c.message) for c in plan.status.conditions}
    assert found["Reconciling"][:2] == ("True", "GivingTrafficBack")
    words = "demo-b gives its traffic back to demo-a"
    assert found["UpgradeInProgress"] == ("True", "BothActivePendingClustersExist", words)


def test_whoever_has_no_room_for_two_any_more_has_all_the_traffic_back_first() -> None:
    back = begun((50, 80, 50), RECREATED)
    assert not Course(back.observe(), back.goal.goal, back.now).makes_room
    assert in_words(back.step()) == ["note capacity on demo-a"]
    assert in_words(back.step()) == ["submit app:x to demo-a"]
    assert in_words(back.step()) == ["note not share on demo-b"]
    assert "point demo-serve-svc at no_cluster" in in_words(back.step())


def retreating(rollout: Rollout) -> str | None:
    """The cluster that gives its traffic back."""
    retreat = assign_roles(rollout.observe(), rollout.goal.goal).retreat
    return None if retreat is None else retreat.pending.name


def test_who_gives_traffic_back() -> None:
    assert retreating(begun((50, 80, 50), OLD)) == "demo-b"
    assert retreating(begun((1, 80, 50), OLD)) == "demo-b"
    assert retreating(begun((50, 80, 50), failed="AnalysisFailed")) == "demo-b"
    assert retreating(begun((50, 80, 50))) is None
    assert retreating(begun((50, 100, 50), OLD)) is None
    assert retreating(begun((0, 80, 50), OLD)) is None
    ended = begun((50, 80, 50), OLD)
    ended.notes["demo-b"][labels.ENDED_AT] = ago(1)
    ended.notes["demo-a"][labels.SHARE] = noted(50)
    assert retreating(ended) is None


def test_while_traffic_is_given_back_nobody_else_is_to_take_over() -> None:
    back = begun((50, 80, 50), OLD)
    roles = assign_roles(back.observe(), OLD.goal)
    assert (roles.candidate, roles.pending, roles.leaving) == (None, None, ())
    assert [found.name for found in roles.watched] == ["demo-a", "demo-b"]


def told(rollout: Rollout) -> dict[str, tuple[str, str]]:
    return {c.type: (c.reason, c.message) for c in rollout.step().status.conditions}


def test_what_a_cluster_waits_for_with_its_share_is_told() -> None:
    back = begun((50, 50, 80), OLD)
    found = told(back)
    assert (
        found["Reconciling"][1] == "demo-b takes 50% of the traffic (4 of 8 pods) until demo-a has the capacity for it"
    )
    assert found["UpgradeInProgress"][1] == "demo-b gives its traffic back to demo-a"
    on = begun((20, 80, 30))
    on.now += timedelta(seconds=INTERVAL)
    assert told(on)["Reconciling"] == (
        "MovingCapacity",
        "demo-b takes 20% of the traffic (1 of 5 pods) and is to have the capacity for 50%",
    )


def test_the_parts_are_told() -> None:
    status = begun((20, 80, 30)).step().status
    assert status.active_service_status.target_capacity == 80
    assert status.pending_service_status.target_capacity == 30


def seen(rollout: Rollout, name: str, **fields: Any) -> ObservedService:
    """What is observed where one of the clusters is different in these fields."""
    observed = rollout.observe()
    found = tuple(replace(one, **fields) if one.name == name else one for one in observed.clusters)
    return replace(observed, clusters=found)


def growing(rollout: Rollout, name: str) -> ObservedService:
    """What is observed while a deployment of a cluster gets more replicas."""
    serve = report(name, rollout.deployed[name], D={"status": "UPSCALING", "replicas": [{"state": "RUNNING"}]})
    return seen(rollout, name, serve=serve)


SILENT = Silence("frozen", NOW)


@pytest.mark.parametrize("state", [(20, 80, 50), (20, 100, 30)])
def test_a_share_and_what_the_old_one_gives_up_for_it_wait_for_the_replicas(state: State) -> None:
    on = begun(state)
    late = NOW + timedelta(seconds=INTERVAL)
    result = plan_service(growing(on, "demo-b"), NEW, late)
    assert in_words(result) == ["note warm-since on demo-b"]
    reconciling = {c.type: (c.reason, c.message) for c in result.status.conditions}["Reconciling"]
    words = "cluster demo-b: deployment D of app gets more replicas"
    assert reconciling == ("MatchingCapacity", words)


def test_traffic_returns_when_the_old_one_has_its_replicas_or_has_had_its_time() -> None:
    back = begun((50, 80, 50), failed="AnalysisFailed")
    warm_up = timedelta(seconds=300)
    moment = timedelta(seconds=0.1)
    assert in_words(plan_service(growing(back, "demo-a"), NEW, NOW + warm_up - moment)) == []
    assert in_words(plan_service(growing(back, "demo-a"), NEW, NOW + warm_up)) == ["note share on demo-b"]
    for unknown in ({"serve": SILENT}, {"assigned": None}):
        assert in_words(plan_service(seen(back, "demo-a", **unknown), NEW, NOW)) == []


@pytest.mark.parametrize(
    ("share_since", "old_since", "new_since", "expected"),
    [
        (3000, 3000, 3000, ["note share on demo-b"]),
        (10, 3000, 3000, []),
        (3000, 10, 3000, []),
        (3000, 3000, 10, []),
    ],
)
def test_the_time_to_come_back_counts_from_the_last_change(
    share_since: float, old_since: float, new_since: float, expected: list[str]
) -> None:
    back = begun((50, 80, 50), failed="AnalysisFailed")
    back.notes["demo-a"][labels.CAPACITY] = noted(80, old_since)
    back.notes["demo-b"] |= {labels.SHARE: noted(50, share_since), labels.CAPACITY: noted(50, new_since)}
    assert in_words(plan_service(growing(back, "demo-a"), NEW, NOW)) == expected


def test_one_that_has_all_of_its_capacity_gives_up_what_is_above_its_share() -> None:
    back = begun((50, 80, 100), failed="AnalysisFailed")
    del back.notes["demo-b"][labels.CAPACITY]
    assert in_words(back.step()) == ["note capacity on demo-b"]
    assert back.state == (50, 80, 50)


def test_the_old_one_gets_more_when_the_other_was_told_to_have_less_or_cannot_be() -> None:
    back = begun((50, 50, 50), failed="AnalysisFailed")
    back.deployed["demo-b"] = capacity.in_part(NEW.goal.serve, 80)
    late = plan_service(back.observe(), NEW, NOW + timedelta(seconds=300))
    for found in (late, plan_service(seen(back, "demo-b", serve=SILENT), NEW, NOW)):
        assert in_words(found) == ["note capacity on demo-a"]
    assert in_words(back.step()) == ["submit app:x to demo-b"]
    assert in_words(back.step()) == ["note capacity on demo-a"]


def test_a_share_goes_back_only_from_where_it_is_or_after_its_time() -> None:
    back = begun((50, 80, 50), failed="AnalysisFailed")
    back.taking -= {"demo-a-0"}
    late = plan_service(back.observe(), NEW, NOW + timedelta(seconds=300))
    assert in_words(late) == ["note traffic on demo-a-0", "note share on demo-b"]
    assert in_words(back.step()) == ["note traffic on demo-a-0"]
    assert back.state == (50, 80, 50)


def test_a_cluster_none_of_whose_pods_serves_has_nothing_to_give_back() -> None:
    back = begun((50, 80, 50), failed="AnalysisFailed")
    assert "note not capacity on demo-a" in in_words(plan_service(seen(back, "demo-b", pods=()), NEW, NOW))


def test_more_is_asked_for_only_when_the_old_one_was_told_to_have_less() -> None:
    on = begun((20, 80, 30))
    on.deployed["demo-a"] = OLD.goal.serve
    result = on.step()
    assert [action.cluster for action in actions_of(result) if isinstance(action, SubmitServe)] == ["demo-a"]
    assert on.state == (20, 80, 30)
    on.step()
    assert on.state == (20, 80, 50)


@pytest.mark.parametrize("unknown", [{"serve": SILENT}, {"assigned": None}])
def test_while_nothing_is_known_of_the_old_one_nothing_moves(unknown: dict[str, Any]) -> None:
    for state in ((50, 50, 80), (20, 80, 30)):
        assert in_words(plan_service(seen(begun(state), "demo-a", **unknown), NEW, NOW)) == []


def test_with_more_capacity_a_cluster_has_all_the_time_again_to_match_it() -> None:
    on = begun((20, 80, 30))
    on.notes["demo-b"][labels.WARM_SINCE] = ago(200)
    assert in_words(on.step()) == ["note capacity, not warm-since on demo-b"]


def test_a_new_cluster_beside_one_of_which_nobody_knows_is_asked_for_no_more_than_the_surge() -> None:
    on = begun((None, 80, 20), OTHER)
    on.notes["demo-b"] = {}
    on.deployed["demo-a"] = OLD.goal.serve
    on.goal = NEW
    on.step()
    assert on.state == (None, 100, 20)
    by_large_steps = begun((None, 80, 20), aim(steps=[50]))
    by_large_steps.notes["demo-b"] = {}
    by_large_steps.deployed["demo-a"] = OLD.goal.serve
    by_large_steps.step()
    assert by_large_steps.state == (None, 100, 30)


@pytest.mark.parametrize("hold", [{"autoPromotion": False, "pauseAtPercent": 20}, {"autoPromotion": True}])
def test_nothing_is_taken_from_the_old_one_before_it_is_time(hold: dict[str, Any]) -> None:
    on = begun((20, 100, 30), aim(strategy=hold))
    on.now += timedelta(seconds=INTERVAL - 1 if hold["autoPromotion"] else 2 * INTERVAL)
    on.step()
    assert on.state == (20, 100, 30)


def test_nothing_is_taken_from_the_old_one_for_a_goal_that_is_yet_to_be_noted() -> None:
    again = replace(begun((20, 100, 30)).observe(), revisions=(revision(NEW), revision(OLD, 2)))
    renumbered = f"patch {NEW.goal.revision}: /revision, /metadata/annotations"
    found = in_words(plan_service(again, NEW, NOW + timedelta(seconds=INTERVAL)))
    assert found == [renumbered, "note not share on demo-b"]


def test_nothing_is_taken_from_the_old_one_for_a_step_that_the_surge_allows() -> None:
    on = begun((0, 100, 30), aim(steps=[50]))
    assert in_words(on.step()) == ["note share on demo-b"]
    assert on.state == (30, 100, 30)


def test_a_full_promotion_goes_on_as_soon_as_the_capacity_is_there() -> None:
    on = begun((None, 100, 20))
    on.notes["demo-b"][labels.PROMOTE] = "full"
    on.is_shared = False
    seen: list[int | None] = []
    for _ in range(60):
        on.step()
        seen += [on.state[0]] if seen[-1:] != [on.state[0]] else []
        on.now += timedelta(seconds=2)
        if on.has_switched:
            break
    assert seen == [None, 0, 30, 60, 90]
    assert on.has_switched


def test_with_another_surge_it_goes_on_from_where_it_is() -> None:
    narrow = begun((50, 80, 50), aim(maxSurgePercent=10))
    assert narrow.states(9) == [(50, 80, 50), (50, 50, 50), (50, 50, 60), (60, 50, 60)]
    ahead = begun((20, 80, 50), aim(maxSurgePercent=10))
    ahead.step()
    assert ahead.state == (20, 80, 30)
    wide = begun((50, 50, 60), aim(steps=[60]))
    assert wide.states(5) == [(50, 50, 60), (60, 50, 60)]
    whole = begun((50, 80, 50), aim(maxSurgePercent=100))
    whole.step()
    assert whole.state == (50, 100, 100)
    assert labels.CAPACITY not in whole.notes["demo-b"]


@pytest.mark.parametrize(
    ("options", "autoscaling", "surge"),
    [({}, True, 30), ({}, False, 100), ({"maxSurgePercent": None}, True, 100), ({"maxSurgePercent": 0}, True, 1)],
)
def test_the_surge_of_a_spec(options: dict[str, Any], autoscaling: bool, surge: int) -> None:
    spec = aim(**options).goal.spec
    config = spec.ray_cluster_config.model_copy(update={"enable_in_tree_autoscaling": autoscaling})
    assert spec.model_copy(update={"ray_cluster_config": config}).surge == surge


def with_minima(image: str, least: int = 3, **fields: Any) -> Aim:
    return aim(image, least=least, **fields)


def plan_with_minima(
    goal: Aim, old: dict[str, Any] | None, new: dict[str, Any] | None, least: tuple[int, int] = (3, 1)
) -> Plan[Any]:
    """What happens where the old and the new cluster have these notes and minima of their worker group."""
    earlier = with_minima("ray:1")
    found = []
    for name, aimed, notes, minimum in (("demo-a", earlier, old, least[0]), ("demo-b", goal, new, least[1])):
        if notes is not None:
            made = side(name, aimed, notes=notes, **({"routed": 600} if name == "demo-a" else {}))
            spec = capacity.held_down(made.cluster.spec, {"cpu": minimum}, 100)
            found.append(replace(made, cluster=replace(made.cluster, spec=spec)))
    revisions = (revision(earlier), revision(goal, 2))
    active = None if old is None else found[0]
    return plan_service(world(goal, *found, active=active, revisions=revisions), goal, NOW)


@pytest.mark.parametrize(
    ("options", "old", "size", "note"),
    [
        ({}, {}, (1, 1, 9), noted(20)),
        ({"steps": [50]}, {}, (2, 1, 9), noted(30)),
        ({"maxSurgePercent": 100}, {}, (4, 3, 9), None),
        ({}, None, (1, 3, 9), None),
    ],
    ids=["for its first share", "as far as the surge allows", "where both may have all", "where there is no other"],
)
def test_a_new_cluster_is_made_in_part(
    options: dict[str, Any], old: dict[str, Any] | None, size: tuple[int, int, int], note: str | None
) -> None:
    [made] = actions_of(plan_with_minima(with_minima("ray:2", **options), old, None))
    [workers] = made.manifest["spec"]["workerGroupSpecs"]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == size
    assert made.manifest["metadata"]["annotations"].get(labels.CAPACITY) == note


def test_the_minima_of_the_new_one_follow_its_part() -> None:
    def patched(percent: int, least: int) -> list[Any]:
        notes = {labels.CAPACITY: noted(percent)}
        found = actions_of(plan_with_minima(with_minima("ray:2"), {}, notes, (3, least)))
        return [operation["value"] for action in found if isinstance(action, Patch) for operation in action.operations]

    assert patched(20, 1) == []
    assert patched(50, 1) == ["cpu", 2]
    assert patched(100, 2) == ["cpu", 3]


def test_the_minima_of_the_new_one_are_not_written_down_beside_the_goal() -> None:
    beside = plan_with_minima(with_minima("ray:2"), {}, {}, (3, 3))
    assert notes_in(beside)["demo-b"][labels.CAPACITY] == noted(20)


def held(percent: int) -> dict[str, str]:
    return {labels.CAPACITY: json.dumps({"percent": percent, "since": ago(0), "minima": {"cpu": 3}}, sort_keys=True)}


def test_the_minima_of_the_old_one_go_down_with_its_part_and_come_back() -> None:
    goal, new = with_minima("ray:2"), {labels.CAPACITY: noted(50), labels.SHARE: noted(20)}
    lowered = plan_with_minima(goal, held(60), new, (3, 2))
    [patch] = [action for action in actions_of(lowered) if isinstance(action, Patch)]
    assert (patch.kind, patch.name, patch.operations[-1]["value"]) == (Kind.RAY_CLUSTER, "demo-a", 2)
    words = "Changed workerGroupSpecs[cpu].minReplicas of demo-a, which is to have 60% of its capacity"
    assert patch.announce == Announcement("UpdatedRayCluster", words)
    alone = plan_with_minima(with_minima("ray:2"), held(60), None, (2, 1))
    assert notes_in(alone)["demo-a"] == held(100)
    whole = in_words(plan_with_minima(with_minima("ray:2"), held(100), None, (3, 1)))
    assert "note not capacity on demo-a" in whole


def test_where_the_goal_says_the_minima_nobody_else_does() -> None:
    in_place, kept = with_minima("ray:1", 2), with_minima("ray:2", 2, strategy={"type": "None"})
    for goal in (in_place, kept):
        assert notes_in(plan_with_minima(goal, held(60), None, (2, 1)))["demo-a"][labels.CAPACITY] is None


def test_a_rollout_notes_the_minima_that_it_holds_down() -> None:
    goal = with_minima("ray:2")
    notes = {labels.CAPACITY: noted(30), labels.SHARE: noted(20, INTERVAL), labels.ROUTED_AT: ago(60)}
    old, new = side("demo-a", with_minima("ray:1"), 4, routed=600), side("demo-b", goal, 1, notes=notes)
    new = replace(new, serve=report("demo-b", capacity.in_part(goal.goal.serve, 30)))
    revisions = (revision(with_minima("ray:1")), revision(goal, 2))
    result = plan_service(world(goal, old, new, active=old, revisions=revisions, shared=True), goal, NOW)
    assert notes_in(result)["demo-a"] == held(80)


def test_only_steps_have_a_surge() -> None:
    assert aim(strategy={"type": "NewCluster"}).goal.spec.surge == 100


@settings(max_examples=10, deadline=None)
@given(
    steps=st.lists(st.integers(1, 99), max_size=4, unique=True),
    surge=st.integers(10, 100),
    abort=st.one_of(st.none(), st.integers(1, 60)),
)
def test_at_any_time_the_parts_are_within_the_surge_and_enough_for_the_traffic(
    steps: list[int], surge: int, abort: int | None
) -> None:
    goal = aim(steps=steps or [100], maxSurgePercent=surge)
    rollout, most = Rollout(goal), 100 + surge
    for number in range(300):
        rollout.failed = "AnalysisFailed" if abort is not None and number >= abort else None
        result = rollout.step()
        percent, old, new = rollout.state
        assert old + new <= most
        assert rollout.asked("demo-a") + rollout.asked("demo-b") <= most
        if rollout.has_switched:
            break
        assert rollout.asked("demo-a") >= 100 - rollout.moved
        assert max(rollout.moved, percent or 0) <= rollout.asked("demo-b") or rollout.failed
        rollout.now += timedelta(seconds=INTERVAL)
        if rollout.failed and percent is None and not actions_of(result):
            break
    left = rollout.deployed["demo-b" if rollout.has_switched else "demo-a"]
    assert "target_capacity" not in left.document
    assert rollout.has_switched is (rollout.failed is None)
