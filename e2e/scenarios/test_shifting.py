"""A new cluster takes the traffic in steps or when its user says so; a bad one gives it back.

With `PICTURES=FOLDER` the live view of a rollout in steps is drawn there.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.terminal import RAYSERVE

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.busy import AUTOSCALER
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import NEW, Mix
from scenarios.harness.rayservice import ROLLOUT, RayService, all_ready
from scenarios.harness.rollout import Run, rolled, under_load
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until
from scenarios.harness.watching import watched

SERVING = 4
"""Pods on each side that take traffic."""
STEPS = (20, 50)
INTERVAL = 20
"""Seconds for which each share is kept."""
_OPTIONS: Mapping[str, object] = {"steps": list(STEPS), "intervalSeconds": INTERVAL}
IN_STEPS = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": _OPTIONS}
SURGE = 30
"""Percent by which both clusters together may be above the capacity of one."""
WITHIN_SURGE = {**IN_STEPS, "clusterUpgradeOptions": {**_OPTIONS, "maxSurgePercent": SURGE}}
LIMITS = {"maxErrorPercent": 5, "maxLatencyPercent": 300, "minRequests": 10}
SAMPLED = 8.0
"""Seconds of answers by which a share is told."""
GIVEN_UP = 120.0

SAMPLE = manifests.with_deployment(
    manifests.sample("minimal"), "Echo", num_replicas=SERVING, max_replicas_per_node=1
)


def _of_four(manifest: Manifest, **strategy: object) -> Manifest:
    """The RayService with four workers that alone take traffic."""
    changed = manifests.with_workers(manifest, replicas=SERVING, maxReplicas=SERVING)
    changed = manifests.with_spec(changed, excludeHeadPodFromServeSvc=True)
    changed = manifests.with_spec(changed, rayClusterDeletionDelaySeconds=5)
    return manifests.with_strategy(changed, **strategy)


@pytest.fixture(scope="module")
def four(kube: Kube, namespace: str) -> RayService:
    """The minimal sample with four pods that take traffic, in steps."""
    service = RayService(kube, namespace, "minimal")
    service.apply(_of_four(SAMPLE, **IN_STEPS))
    service.wait_answer(GREET)
    until(
        lambda: len(service.workers()) == SERVING and all_ready(service.workers()),
        "four serve",
        ROLLOUT,
    )
    service.wait_ready()
    return service


@dataclass(frozen=True)
class Shares:
    """What was wanted of a new cluster, and what it took."""

    wanted: int
    in_pods: int
    observed: float

    def __str__(self) -> str:
        taken = f"{self.in_pods}% of the pods, {self.observed:.0f}% of the answers"
        return f"{self.wanted}% wanted: {taken}"


def _rayserve(service: RayService, *arguments: str) -> str:
    command = [str(RAYSERVE), "rollout", *arguments, "--namespace", service.namespace]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _pending(service: RayService) -> Mapping[str, object]:
    found: Mapping[str, object] = service.status.get("pendingServiceStatus") or {}
    return found


def _share(service: RayService) -> int:
    share = _pending(service).get("trafficRoutedPercent", 0)
    assert isinstance(share, int)
    return share


def _wait_share(service: RayService, wanted: int) -> None:
    until(lambda: _share(service) == wanted, f"{wanted}% of the pods", ROLLOUT, every=OFTEN)


def _observed(run: Run, old: str) -> float:
    """The share of answers to new connections that came from another cluster than the old one."""
    record = run.mix.kinds[NEW]
    before, watch = record.by_cluster, Stopwatch()
    until(lambda: watch.seconds > SAMPLED, "a sample of answers", SAMPLED + 5, every=OFTEN)
    given: Counter[str] = record.by_cluster - before
    return 100 * (given.total() - given[old]) / given.total()


def _look(service: RayService, wanted: int, folder: Path) -> None:
    """The live view tells the shares of both clusters."""
    with watched(service, folder) as view:
        shares = f"{wanted}%", f"{100 - wanted}%"
        until(lambda: all(share in view.now for share in shares), f"{shares} are shown", 30)
        if pictures := os.environ.get("PICTURES"):
            view.draw(Path(pictures) / "status-watch.svg")


def _waits(service: RayService, reason: str) -> Callable[[], bool]:
    return lambda: service.conditions.get("Reconciling", {}).get("reason") == reason


def _settle(service: RayService, manifest: Manifest) -> None:
    service.patch(manifest)
    service.wait_ready(ROLLOUT)
    service.wait_alone(ROLLOUT)


def test_traffic_moves_in_steps(four: RayService, tables: Tables, tmp_path: Path) -> None:
    """20%, 50%, and then all: what is wanted, is in pods, answers, and is shown to people."""
    old = four.active_cluster
    with under_load(tables, "in steps of 20% and 50%", Mix(four.url).with_long()) as run:
        watch = Stopwatch()
        four.patch(_of_four(rolled(SAMPLE), **IN_STEPS))
        for wanted in STEPS:
            _wait_share(four, wanted)
            if wanted == STEPS[0]:
                _look(four, wanted, tmp_path)
            run.steps[f"edit → {wanted}%"].append(watch.seconds)
            shares = Shares(wanted, _share(four), _observed(run, old))
            run.remarks.append(str(shares))
            assert abs(shares.observed - wanted) < 20
        until(lambda: four.active_cluster != old, "all the traffic", ROLLOUT, every=OFTEN)
        run.steps["edit → all"].append(watch.seconds)
        four.wait_alone(ROLLOUT)
        run.steps["edit → old pods gone"].append(watch.seconds)
        four.wait_ready()
    assert not any(
        "rayserve.ray.io/traffic" in pod["metadata"]["labels"] for pod in four.pods().values()
    )


def test_a_user_promotes(four: RayService, tables: Tables) -> None:
    """It waits at 20% until `rayserve rollout promote`, and `pause` holds it before."""
    old = four.active_cluster
    by_hand = {"type": "NewCluster", "autoPromotion": False, "pauseAtPercent": 20}
    with under_load(tables, "promoted by hand at 20%", Mix(four.url)) as run:
        four.patch(_of_four(rolled(SAMPLE), **by_hand))
        until(_waits(four, "AwaitingPromotion"), "it waits", ROLLOUT)
        _wait_share(four, 20)
        run.remarks.append(str(Shares(20, _share(four), _observed(run, old))))
        assert four.active_cluster == old
        watch = Stopwatch()
        told = _rayserve(four, "promote", "minimal")
        assert "goes on to take over" in told
        until(lambda: four.active_cluster != old, "promoted", 30, every=OFTEN)
        run.steps["promote → all the traffic"].append(watch.seconds)
        four.wait_alone(ROLLOUT)
        four.wait_ready()


@pytest.mark.parametrize(
    ("app", "words"), [("failing", "answers are errors"), ("slow", "in the mean")]
)
def test_a_bad_cluster_gives_the_traffic_back(
    four: RayService, tables: Tables, app: str, words: str
) -> None:
    """Errors, or answers that come late, and how many requests they touched."""
    old = four.active_cluster
    bad = manifests.with_import_path(rolled(SAMPLE), f"spoilt:{app}")
    title = f"a canary of 20% that is {app}, taken back by analysis"
    with under_load(tables, title, Mix(four.url), promised=False) as run:
        watch = Stopwatch()
        four.patch(_of_four(bad, **IN_STEPS, analysis=LIMITS))
        until(lambda: _share(four) > 0, "it takes a share", ROLLOUT, every=OFTEN)
        shared = Stopwatch()
        run.steps["edit → 20%"].append(watch.seconds)
        until(lambda: four.holds("Stalled"), "it is given up", GIVEN_UP, every=OFTEN)
        run.steps["20% → given up"].append(shared.seconds)
        until(lambda: four.clusters == [old], "the bad cluster is gone", ROLLOUT)
        given = run.mix.kinds[NEW].by_cluster
        touched = given.total() - given[old] + len(run.mix.kinds[NEW].failed)
        run.remarks.append(
            f"{touched} of {run.mix.kinds[NEW].sent} requests on new connections met it"
        )
    condition = four.conditions["Stalled"]
    assert (condition["reason"], words in condition["message"]) == ("AnalysisFailed", True)
    assert four.active_cluster == old
    _settle(four, _of_four(SAMPLE, **IN_STEPS))


def _within_surge(manifest: Manifest) -> Manifest:
    """The RayService with a worker for each replica that Ray scales, and a surge."""
    changed = manifests.with_deployment(manifest, "Echo", ray_actor_options={"num_cpus": 1})
    changed = _of_four(changed, **WITHIN_SURGE)
    changed = manifests.with_workers(changed, minReplicas=SERVING)
    cluster = changed["spec"]["rayClusterConfig"]
    return manifests.with_spec(
        changed, rayClusterConfig={**cluster, "autoscalerOptions": AUTOSCALER}
    )


@dataclass(frozen=True)
class Parts:
    """What a new cluster takes of the traffic, and both have of one capacity, in percent."""

    taken: int
    old: int
    new: int

    @classmethod
    def of(cls, service: RayService) -> "Parts":
        """As the status tells."""
        active, new = (
            service.status["activeServiceStatus"],
            _pending(service).get("targetCapacity", 0),
        )
        assert isinstance(new, int)
        return cls(_share(service), active.get("targetCapacity", 100), new)


@pytest.fixture
def surging(four: RayService) -> Iterator[RayService]:
    """The service whose two clusters have less than twice the capacity together."""
    _settle(four, _within_surge(SAMPLE))
    yield four
    _settle(four, _of_four(SAMPLE, **IN_STEPS))


def test_capacity_moves_ahead_of_the_traffic(surging: RayService, tables: Tables) -> None:
    """Never more than the surge, never less than the traffic, and nothing of it stays behind."""
    old, seen = surging.active_cluster, list[Parts]()

    def has_switched() -> bool:
        parts = Parts.of(surging)
        seen.extend([parts] if seen[-1:] != [parts] else [])
        return surging.active_cluster != old

    with under_load(tables, f"in steps within a surge of {SURGE}%", Mix(surging.url)) as run:
        watch = Stopwatch()
        surging.patch(_within_surge(rolled(SAMPLE)))
        until(has_switched, "all the traffic", 2 * ROLLOUT, every=OFTEN)
        run.steps["edit → all"].append(watch.seconds)
        run.remarks.extend(
            f"{one.taken}% of the traffic at {one.old}% and {one.new}% of the capacity"
            for one in seen
        )
        surging.wait_alone(ROLLOUT)
        surging.wait_ready()
    shifting = [one for one in seen if one.taken]
    assert len({one.taken for one in shifting}) >= len(STEPS)
    assert all(one.old + one.new <= 100 + SURGE for one in shifting)
    assert all(one.taken <= one.new for one in shifting)
    assert min(one.old for one in shifting) == SURGE
    assert surging.serve_report().get("target_capacity") is None
    assert [group["minReplicas"] for group in surging.worker_groups()] == [SERVING]


def test_traffic_returns_to_a_cluster_that_has_its_capacity_again(
    surging: RayService, tables: Tables
) -> None:
    """An edit back in the middle: the old cluster has its replicas before the traffic."""
    old = surging.active_cluster
    with under_load(tables, f"back from 50% within a surge of {SURGE}%", Mix(surging.url)) as run:
        surging.patch(_within_surge(rolled(SAMPLE)))
        until(lambda: Parts.of(surging).old < 100, "capacity is given up", 2 * ROLLOUT, every=OFTEN)
        _wait_share(surging, 50)
        watch = Stopwatch()
        surging.patch(_within_surge(SAMPLE))
        until(_waits(surging, "GivingTrafficBack"), "it gives the traffic back", 30, every=OFTEN)
        until(lambda: _share(surging) == 0, "all is back", ROLLOUT, every=OFTEN)
        assert len(surging.replicas("Echo", old)) == SERVING
        run.steps["edit back → all the traffic back"].append(watch.seconds)
        surging.wait_alone(ROLLOUT)
    assert surging.clusters == [old]
    assert surging.serve_report().get("target_capacity") is None
    assert [group["minReplicas"] for group in surging.worker_groups()] == [SERVING]


@pytest.fixture
def rolled_once(four: RayService) -> Iterator[tuple[RayService, str]]:
    """The service shortly after a switch, its old cluster still there, and that one's name."""
    patient = {**_of_four(rolled(SAMPLE), type="NewCluster")}
    patient = manifests.with_spec(patient, rayClusterDeletionDelaySeconds=120)
    old = four.active_cluster
    four.patch(patient)
    until(lambda: four.active_cluster != old, "the switch", ROLLOUT, every=OFTEN)
    yield four, old
    _settle(four, _of_four(SAMPLE, **IN_STEPS))


def test_undo_while_the_old_cluster_drains(
    rolled_once: tuple[RayService, str], tables: Tables
) -> None:
    """The old cluster is taken up again, and none is made."""
    service, old = rolled_once
    with under_load(tables, "undo while the old cluster drains", Mix(service.url)) as run:
        watch = Stopwatch()
        _rayserve(service, "undo", "minimal")
        until(lambda: service.active_cluster == old, "the way back", 60, every=OFTEN)
        run.steps["undo → all the traffic"].append(watch.seconds)
        assert len(service.clusters) == 2


def test_undo_after_the_old_cluster_is_gone(four: RayService, tables: Tables) -> None:
    """A cluster is made for the revision before, and takes over as any other does."""
    before, first = four.active_cluster, four.worker_groups()
    four.patch(_of_four(rolled(SAMPLE), type="NewCluster"))
    until(lambda: four.active_cluster != before, "the switch", ROLLOUT, every=OFTEN)
    four.wait_alone(ROLLOUT)
    old = four.active_cluster
    with under_load(tables, "undo after the old cluster is gone", Mix(four.url)) as run:
        watch = Stopwatch()
        _rayserve(four, "undo", "minimal")
        until(lambda: four.active_cluster != old, "the way back", ROLLOUT, every=OFTEN)
        run.steps["undo → all the traffic"].append(watch.seconds)
        four.wait_alone(ROLLOUT)
        run.steps["undo → old pods gone"].append(watch.seconds)
        four.wait_ready()
    assert [group["template"] for group in four.worker_groups()] == [
        group["template"] for group in first
    ]
