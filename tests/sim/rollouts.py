"""Small rollouts, each with the end that it must come to, and what may befall any single write of them.

The blows are the three kinds that the authors of Sieve found most controllers to be weak against: a view that is out of
date, a change that is never seen, and a crash between two writes; and beside them what a network does to a request.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

from .client import Fault, Meddling
from .manifests import Json, merged, name_of, uid_of
from .rayservice import ServiceStory, spec
from .rules import DELAY, NAME, SERVE_SERVICE
from .virtual_time import wait

FIRST = 25.0
"""Long enough for a first start without trouble."""
UNDER_WAY = 150.0
"""Long enough for a rollout to end, well or not, whatever one blow has done to it."""
RELISTED = 350.0
"""Long enough for the regular listing of all there is, which alone shows that the last object of a kind is gone."""
HELD = 5.0
"""Seconds for which a watch is held up, or cut."""

GROWING = spec(scaling=(1, 3, None))
HASTY = {"progressDeadlineSeconds": 90}
STRICT = {"warmUpTimeoutSeconds": 30, "onWarmUpTimeout": "Rollback"}
LENIENT = {"warmUpTimeoutSeconds": 30}
STEPS: Json = {
    "type": "NewClusterWithIncrementalUpgrade",
    "clusterUpgradeOptions": {"steps": [20, 50], "intervalSeconds": 5},
}
SURGE = STEPS | {"clusterUpgradeOptions": STEPS["clusterUpgradeOptions"] | {"maxSurgePercent": 30}}
BY_ROUTE = STEPS | {"clusterUpgradeOptions": STEPS["clusterUpgradeOptions"] | {"gatewayClassName": "any"}}
WATCHED = STEPS | {"analysis": {"smokeRequests": [{"path": "/smoke"}], "maxErrorPercent": 5, "maxLatencyPercent": 200}}
TWO = (("cpu", 2, 1, 3),)
IMPATIENT = {"drainTimeoutSeconds": 100}
ALONE = {"type": "Recreate"}


@dataclass(frozen=True)
class Rollout:
    """What the user writes, one spec after the other, and how it ends."""

    edits: tuple[tuple[float, Json], ...]
    """Specs, and the seconds until each."""
    before: tuple[Json, ...] = (spec(),)
    """What was reached before, without trouble."""
    reason: str | None = None
    """Why the last spec is given up, if it is."""
    served: int = 0
    """Which of all specs, the first ones included, serves in the end where the last one is given up."""
    demand: int = 1
    longest_request: float = 3.0
    clusters: int = 2
    """RayClusters that are made for it in all."""
    is_by_comparison: bool = False
    """Whether it is given up for what the old cluster has more, so it may succeed where that one loses its head."""
    needs_all_tries: bool = False
    """Whether it is given up, rightly, if Ray refuses its config once more."""

    @property
    def leaves_alone(self) -> bool:
        """Whether what serves must not be touched at all."""
        makes_room = self.edits[-1][1].get("upgradeStrategy", {}).get("type") == "Recreate"
        return self.reason is not None and self.clusters > 1 and not self.served and not makes_room


def edit(wanted: Json, after: float = 0.0) -> tuple[float, Json]:
    return after, wanted


def _surging(image: str, code: str = "x") -> Json:
    """A spec by which both clusters together have 130% of the capacity at most."""
    return spec(image=image, code=code, replicas=4, groups=(("cpu", 2, 2, 3),), autoscaling=True, strategy=SURGE)


ROLLOUTS = {
    "first start": Rollout((edit(spec()),), before=(), clusters=1),
    "first start at the third try": Rollout((edit(spec(code="flaky2")),), before=(), clusters=1),
    "in place": Rollout((edit(spec(code="y")),), clusters=1),
    "in place at the second try": Rollout((edit(spec(code="flaky1")),), clusters=1),
    "blue/green": Rollout((edit(spec(image="b", code="y")),)),
    "blue/green at the third try": Rollout((edit(spec(image="b", code="flaky2")),), needs_all_tries=True),
    "in steps": Rollout(
        (edit(spec(image="b", code="y", groups=TWO, strategy=STEPS)),), (spec(groups=TWO, strategy=STEPS),)
    ),
    "in steps, and reverted": Rollout(
        (edit(spec(image="b", groups=TWO, strategy=STEPS)), edit(spec(groups=TWO, strategy=STEPS), 14.0)),
        (spec(groups=TWO, strategy=STEPS),),
    ),
    "in steps, with another cluster in the middle": Rollout(
        (
            edit(spec(image="b", groups=TWO, strategy=STEPS)),
            edit(spec(image="c", groups=TWO, strategy=STEPS), 14.0),
        ),
        (spec(groups=TWO, strategy=STEPS),),
        clusters=3,
    ),
    "in steps, within a surge": Rollout(
        (edit(_surging("b", "y")),),
        (_surging("a"),),
    ),
    "in steps, within a surge, and reverted": Rollout(
        (edit(_surging("b")), edit(_surging("a"), 30.0)),
        (_surging("a"),),
    ),
    "in steps, by a route": Rollout(
        (edit(spec(image="b", code="y", groups=TWO, strategy=BY_ROUTE)),), (spec(groups=TWO, strategy=BY_ROUTE),)
    ),
    "in steps, by a route, and reverted": Rollout(
        (edit(spec(image="b", groups=TWO, strategy=BY_ROUTE)), edit(spec(groups=TWO, strategy=BY_ROUTE), 14.0)),
        (spec(groups=TWO, strategy=BY_ROUTE),),
    ),
    "in steps, by a route, with errors": Rollout(
        (edit(spec(image="b", code="faulty", groups=TWO, strategy=WATCHED | BY_ROUTE)),),
        (spec(groups=TWO, strategy=WATCHED | BY_ROUTE),),
        reason="AnalysisFailed",
        is_by_comparison=True,
    ),
    "in steps, watched": Rollout(
        (edit(spec(image="b", code="y", groups=TWO, strategy=WATCHED)),), (spec(groups=TWO, strategy=WATCHED),)
    ),
    "in steps, with errors": Rollout(
        (edit(spec(image="b", code="faulty", groups=TWO, strategy=WATCHED)),),
        (spec(groups=TWO, strategy=WATCHED),),
        reason="AnalysisFailed",
        is_by_comparison=True,
    ),
    "in steps, slowly": Rollout(
        (edit(spec(image="b", code="slow", groups=TWO, strategy=WATCHED)),),
        (spec(groups=TWO, strategy=WATCHED),),
        reason="AnalysisFailed",
        is_by_comparison=True,
    ),
    "in steps, with smoke": Rollout(
        (edit(spec(image="b", code="smoking", groups=TWO, strategy=WATCHED)),),
        (spec(groups=TWO, strategy=WATCHED),),
        reason="AnalysisFailed",
    ),
    "in steps, with a config that fails in the middle": Rollout(
        (
            edit(spec(image="b", groups=TWO, strategy=STEPS)),
            edit(spec(image="b", code="bad", groups=TWO, strategy=STEPS), 14.0),
        ),
        (spec(groups=TWO, strategy=STEPS),),
        reason="DeployFailed",
    ),
    "blue/green with long requests": Rollout((edit(spec(image="b")),), longest_request=DELAY + 20),
    "blue/green with endless requests": Rollout((edit(spec(image="b", strategy=IMPATIENT)),), longest_request=1e9),
    "blue/green, autoscaled": Rollout((edit(spec(image="b", scaling=(1, 3, None))),), (GROWING,), demand=3),
    "blue/green, autoscaled from two": Rollout(
        (edit(spec(image="b", scaling=(1, 3, 2))),), (spec(scaling=(1, 3, 2)),), demand=3
    ),
    "blue/green into less room": Rollout(
        (edit(spec(image="cramped", scaling=(1, 3, None), strategy=LENIENT)),), (GROWING,), demand=3
    ),
    "recreated": Rollout((edit(spec(image="b", code="y", strategy=ALONE)),), (spec(strategy=ALONE),)),
    "recreated, and reverted at once": Rollout(
        (edit(spec(image="b", strategy=ALONE)), edit(spec(strategy=ALONE), 20.0)), (spec(strategy=ALONE),), clusters=1
    ),
    "recreated, and reverted in the middle": Rollout(
        (edit(spec(image="b", strategy=ALONE)), edit(spec(strategy=ALONE), 70.0)), (spec(strategy=ALONE),), clusters=3
    ),
    "recreated where no second one fits": Rollout(
        (edit(spec(image="huge")), edit(spec(image="b", strategy=ALONE), 10.0)), clusters=3
    ),
    "recreated with an image that is missing": Rollout(
        (edit(spec(image="missing", strategy=ALONE)),), (spec(strategy=ALONE),), reason="ImageError", clusters=3
    ),
    "recreated with a config that fails": Rollout(
        (edit(spec(image="b", code="bad", strategy=ALONE)),), (spec(strategy=ALONE),), reason="DeployFailed", clusters=3
    ),
    "recreated with pods that crash, and mended": Rollout(
        (edit(spec(image="crashing", strategy=ALONE)), edit(spec(image="b", strategy=ALONE), 110.0)),
        (spec(strategy=ALONE),),
        clusters=4,
    ),
    "a revert in the middle": Rollout((edit(spec(image="b")), edit(spec(), 2.0))),
    "another cluster in the middle": Rollout((edit(spec(image="b")), edit(spec(image="c"), 2.0)), clusters=3),
    "another config in the middle": Rollout((edit(spec(image="b")), edit(spec(image="b", code="y"), 3.0))),
    "an image that is missing": Rollout((edit(spec(image="missing")),), reason="ImageError"),
    "a worker's image that is missing": Rollout((edit(spec(worker_image="missing")),), reason="ImageError"),
    "a crash loop": Rollout((edit(spec(image="crashing")),), reason="CrashLoop"),
    "a crash loop of autoscaled pods": Rollout(
        (edit(spec(image="crashing", autoscaling=True)),), (spec(autoscaling=True),), reason="CrashLoop"
    ),
    "no room for the pods": Rollout((edit(spec(image="huge", strategy=HASTY)),), reason="ProgressDeadlineExceeded"),
    "no room for the replicas": Rollout(
        (edit(spec(image="cramped", scaling=(1, 3, None), strategy=STRICT)),),
        (GROWING,),
        reason="WarmUpTimeout",
        demand=3,
        is_by_comparison=True,
    ),
    "a config that fails on the new cluster": Rollout((edit(spec(image="b", code="bad")),), reason="DeployFailed"),
    "a config that is refused by the new cluster": Rollout(
        (edit(spec(image="b", code="refused", front="f")),), reason="DeployFailed"
    ),
    "a config that fails in place": Rollout((edit(spec(code="bad")),), reason="DeployFailed", clusters=1),
    "a config that is refused in place": Rollout(
        (edit(spec(code="refused", front="f")),), reason="DeployFailed", clusters=1
    ),
    "a config that fails in place, autoscaled": Rollout(
        (edit(spec(code="bad", scaling=(1, 3, None))),), (GROWING,), reason="DeployFailed", demand=3, clusters=1
    ),
    "back while the old cluster leaves": Rollout((edit(spec(image="b")), edit(spec(), 20.0))),
    "back and forth while the old cluster leaves": Rollout(
        (edit(spec(image="b")), edit(spec(), 20.0), edit(spec(image="b"), 20.0))
    ),
    "in place while the old cluster leaves": Rollout(
        (
            edit(spec(image="b", scaling=(1, 3, None))),
            edit(spec(image="b", code="y", scaling=(2, 4, 2)), 20.0),
        ),
        (GROWING,),
        demand=3,
    ),
    "a config that fails in place while the old cluster leaves": Rollout(
        (edit(spec(image="b")), edit(spec(image="b", code="bad"), 20.0)), reason="DeployFailed", served=1
    ),
    "a config that fails in place, and is mended": Rollout(
        (edit(spec(code="bad")), edit(spec(code="y"), 25.0)), clusters=1
    ),
    "a config that fails in place, and is reverted at once": Rollout(
        (edit(spec(code="bad")), edit(spec(), 4.0)), clusters=1
    ),
    "given up, and mended": Rollout((edit(spec(image="b", code="bad")), edit(spec(image="b"), 25.0)), clusters=3),
    "given up, and reverted": Rollout((edit(spec(image="b", code="bad")), edit(spec(), 25.0))),
    "given up, reverted, and tried again": Rollout(
        (edit(spec(image="b", code="bad")), edit(spec(), 25.0), edit(spec(image="b", code="bad"), 25.0)),
        reason="DeployFailed",
        clusters=3,
    ),
}


@dataclass(frozen=True)
class Blow:
    """What befalls one write."""

    name: str
    make: Callable[[ServiceStory, Rollout], Fault | Meddling]
    is_harmless: bool = True
    """Whether it leaves all objects as they are."""

    @override
    def __str__(self) -> str:
        return self.name


def _fault(fault: Fault) -> Blow:
    return Blow(fault.name, lambda *_: fault)


def _stale(kind: Kind) -> Blow:
    """The view of a kind is out of date from this write on."""

    def make(story: ServiceStory, _: Rollout) -> Meddling:
        def hold() -> None:
            story.impatient_until(HELD)
            story.world.hold(kind, HELD)

        return hold

    return Blow(f"stale {kind}", make)


def _unseen(kind: Kind, what: str, choose: Callable[[ServiceStory, Rollout], Json | None]) -> Blow:
    """An object of the kind vanishes or changes, while the watch of its kind is cut."""

    def make(story: ServiceStory, rollout: Rollout) -> Meddling:
        def meddle() -> None:
            story.impatient_until(HELD)
            story.world.cut(kind, HELD)
            found = choose(story, rollout)
            if found is not None:
                story.lives[-1].tell(f"    {what} {kind} {name_of(found)}")
                MEDDLING[what](story, kind, found)

        return meddle

    return Blow(f"{what} {kind} ({choose.__name__.strip('_').replace('_', ' ')})", make, is_harmless=False)


def _newest(kind: Kind) -> Callable[[ServiceStory, Rollout], Json | None]:
    def newest(story: ServiceStory, _: Rollout) -> Json | None:
        return next(reversed(story.world.all(kind)), None)

    return newest


def _oldest(kind: Kind) -> Callable[[ServiceStory, Rollout], Json | None]:
    def oldest(story: ServiceStory, _: Rollout) -> Json | None:
        return next(iter(story.world.all(kind)), None)

    return oldest


def _newest_cluster(story: ServiceStory, rollout: Rollout) -> Json | None:
    """Not the one that serves, where the last spec is given up: what is to serve in the end would be gone."""
    clusters, service = story.world.all(Kind.RAY_CLUSTER), story.world.find(Kind.SERVICE, SERVE_SERVICE)
    serving = (service or {"metadata": {}})["metadata"].get("annotations", {}).get(labels.ACTIVE_CLUSTER)
    may_go = [cluster for cluster in clusters if rollout.reason is None or name_of(cluster) != serving]
    return may_go[-1] if may_go else None


def _goals_revision(story: ServiceStory, rollout: Rollout) -> Json | None:
    """Not the only one, which what serves is known by."""
    revisions = sorted(story.world.all(Kind.REVISION), key=lambda found: int(found["revision"]))
    return revisions[-1] if len(revisions) > 1 or (revisions and rollout.reason is None) else None


def _serve_service(story: ServiceStory, _: Rollout) -> Json | None:
    return story.world.find(Kind.SERVICE, SERVE_SERVICE)


def _service(story: ServiceStory, _: Rollout) -> Json | None:
    return story.world.find(Kind.RAY_SERVICE, NAME)


def _vanish(story: ServiceStory, kind: Kind, found: Json) -> None:
    if kind is Kind.POD:
        story.world.gone(kind, name_of(found))
    else:
        story.world.end(kind, name_of(found))


def _relabel(story: ServiceStory, kind: Kind, found: Json) -> None:
    story.world.put(kind, merged(found, {"metadata": {"labels": {labels.CLUSTER: "quarantine"}}}))


def _annotate(story: ServiceStory, kind: Kind, found: Json) -> None:
    story.world.put(kind, merged(found, {"metadata": {"annotations": {"someone": "was here"}}}))


def _fail(story: ServiceStory, _: Kind, found: Json) -> None:
    story.world.fail(found)


MEDDLING: dict[str, Callable[[ServiceStory, Kind, Json], None]] = {
    "vanished": _vanish,
    "relabelled": _relabel,
    "changed": _annotate,
    "failed": _fail,
}

BLOWS = (
    *(_fault(fault) for fault in Fault),
    *(_stale(kind) for kind in (Kind.RAY_SERVICE, Kind.RAY_CLUSTER, Kind.POD, Kind.SERVICE, Kind.REVISION)),
    _unseen(Kind.POD, "vanished", _newest(Kind.POD)),
    _unseen(Kind.POD, "vanished", _oldest(Kind.POD)),
    _unseen(Kind.POD, "failed", _oldest(Kind.POD)),
    _unseen(Kind.POD, "relabelled", _newest(Kind.POD)),
    _unseen(Kind.RAY_CLUSTER, "vanished", _newest_cluster),
    _unseen(Kind.RAY_CLUSTER, "changed", _newest_cluster),
    _unseen(Kind.REVISION, "vanished", _goals_revision),
    _unseen(Kind.REVISION, "changed", _goals_revision),
    _unseen(Kind.SERVICE, "vanished", _serve_service),
    _unseen(Kind.SERVICE, "changed", _serve_service),
    _unseen(Kind.RAY_SERVICE, "changed", _service),
)


@dataclass
class Outcome:
    """What a rollout came to."""

    writes: int
    """How many there were, if nothing befell them."""
    checks: dict[str, int] = field(default_factory=dict)


async def roll_out(rollout: Rollout, at: int | None = None, blow: Blow | None = None) -> Outcome:
    """Let a rollout happen, with a blow at one of its writes, and see that it ends as it must."""
    async with ServiceStory() as story:
        story.world.demand, story.world.longest_request = rollout.demand, rollout.longest_request
        for wanted in rollout.before:
            story.edit(wanted)
            await story.settle(FIRST)
            story.assert_reached()
        untouched = what_serves(story)
        begun = story.network.sent
        if at is not None and blow is not None:
            story.network.fault = (at, blow.make(story, rollout))
            if blow.is_harmless:
                story.impatient_until(UNDER_WAY)
        for pause, wanted in rollout.edits:
            await wait(pause)
            await story.perform("edit", wanted)
        await wait(UNDER_WAY)
        sent = story.network.sent - begun
        story.world.demand = 1
        is_harmless = blow is None or blow.is_harmless
        await story.settle(UNDER_WAY if is_harmless else RELISTED)
        may_succeed = rollout.is_by_comparison and not is_harmless
        if rollout.reason is None or (may_succeed and story.condition("Stalled") != "True"):
            story.assert_reached()
        else:
            story.assert_given_up(rollout.reason, story.rules.wishes[rollout.served])
        if is_harmless:
            made = story.network.writes["create RayCluster"]
            assert made <= rollout.clusters, f"{made} clusters were made"
        if rollout.leaves_alone and is_harmless:
            assert what_serves(story) == untouched
        await story.assert_stays(UNDER_WAY)
        return Outcome(sent, dict(story.rules.count))


def what_serves(story: ServiceStory) -> dict[str, Any]:
    """The pods of the clusters, and how often Ray there was sent a config."""
    heads = {uid: serve.puts for uid, serve in story.world.heads.items()}
    return heads | {uid_of(pod): None for pod in story.world.all(Kind.POD) if uid_of(pod) not in heads}


def states(name: str, writes: int, sample: int | None) -> list[tuple[int, Blow]]:
    """Every write with every blow, or the same few of them always."""
    is_allowed = {False: BLOWS, True: [blow for blow in BLOWS if blow.name != Fault.REFUSED.name]}
    found = [(at, blow) for at in range(writes) for blow in is_allowed[ROLLOUTS[name].needs_all_tries]]
    return found if sample is None or sample >= len(found) else random.Random(name).sample(found, sample)
