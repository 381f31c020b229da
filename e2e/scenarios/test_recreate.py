"""Where two clusters do not fit: the old one goes first, and if the new one fails it comes back."""

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import NEW, Mix
from scenarios.harness.rayservice import ROLLOUT, RayService
from scenarios.harness.rollout import Run, rolled, under_load
from scenarios.harness.sampler import sampling
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until

NOBODY = "no_cluster"
"""What the Service selects while no cluster takes traffic."""
DELAY = 5
"""`rayClusterDeletionDelaySeconds`: of the downtime, all but this and the drain is the start."""
GIVEN_UP = 300.0


def _alone(manifest: Manifest) -> Manifest:
    """The RayService that has one cluster at a time."""
    changed = manifests.with_spec(manifest, rayClusterDeletionDelaySeconds=DELAY)
    return manifests.with_strategy(changed, type="Recreate")


SAMPLE = _alone(manifests.sample("minimal"))


@pytest.fixture(scope="module")
def alone(kube: Kube, namespace: str) -> RayService:
    """The minimal sample, serving."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


def _wait_stopped(service: RayService) -> None:
    until(lambda: service.active_cluster == NOBODY, "no cluster takes traffic", 60, every=OFTEN)
    until(
        lambda: service.conditions.get("Ready", {}).get("reason") == "Recreating",
        "the downtime is told",
        30,
        every=OFTEN,
    )


def _remark_lost(run: Run) -> None:
    """Tell how long new connections had no good answer, and whether they were refused or held."""
    lost = run.mix.kinds[NEW].failed
    if lost:
        seconds = lost[-1].began - lost[0].began
        slowest = max(request.seconds for request in lost)
        run.remarks.append(
            f"new connections had no good answer for {seconds:.1f} s; {len(lost)} were lost, "
            f"the slowest of these after {slowest:.2f} s"
        )


def test_the_old_cluster_makes_room(alone: RayService, tables: Tables) -> None:
    """Never are there two clusters, and the downtime is told."""
    old = alone.active_cluster
    with (
        under_load(tables, "recreated", Mix(alone.url), promised=False) as run,
        sampling(lambda: alone.clusters) as samples,
    ):
        watch = Stopwatch()
        alone.patch(rolled(SAMPLE))
        _wait_stopped(alone)
        run.steps["edit → no traffic"].append(watch.seconds)
        stopped = Stopwatch()
        until(lambda: old not in alone.clusters, f"{old} is gone", ROLLOUT, every=OFTEN)
        run.steps["no traffic → old cluster gone"].append(stopped.seconds)
        alone.wait_answer(GREET, ROLLOUT)
        run.steps["no traffic → first answer"].append(stopped.seconds)
        alone.wait_ready()
        alone.wait_alone()
        _remark_lost(run)
    assert alone.active_cluster != old
    assert all(len(seen) <= 1 for seen in samples), samples
    told = {(event["reason"], event["type"]) for event in alone.events}
    assert {("StoppedTraffic", "Warning"), ("Recreating", "Warning")} <= told


def test_the_last_good_revision_comes_back(alone: RayService, tables: Tables) -> None:
    """A new cluster that cannot deploy its applications is replaced by one like the old."""
    old = alone.active_cluster
    revision = alone.annotations(old)["rayserve.ray.io/revision"]
    bad = manifests.with_import_path(rolled(SAMPLE), "no_such_module:app")
    with under_load(tables, "recreated, and come back", Mix(alone.url), promised=False) as run:
        watch = Stopwatch()
        alone.patch(bad)
        _wait_stopped(alone)
        stopped = Stopwatch()
        until(lambda: alone.holds("Stalled"), "it is given up", GIVEN_UP, every=OFTEN)
        run.steps["edit → Stalled"].append(watch.seconds)
        alone.wait_answer(GREET, ROLLOUT)
        run.steps["no traffic → first answer"].append(stopped.seconds)
        until(lambda: alone.holds("Ready"), "it is Ready", 30)
        alone.wait_alone()
        _remark_lost(run)
    condition = alone.conditions["Stalled"]
    assert (condition["reason"], "no_such_module" in condition["message"]) == ("DeployFailed", True)
    assert alone.active_cluster != old
    assert alone.annotations(alone.active_cluster)["rayserve.ray.io/revision"] == revision


def test_going_back_while_the_old_cluster_is_drained(alone: RayService, tables: Tables) -> None:
    """The old cluster is taken up again, and none is made."""
    alone.patch(SAMPLE)
    alone.wait_ready(ROLLOUT)
    alone.wait_alone()
    old, patient = (
        alone.active_cluster,
        manifests.with_spec(SAMPLE, rayClusterDeletionDelaySeconds=120),
    )
    title = "recreated, and reverted at once"
    with under_load(tables, title, Mix(alone.url), promised=False) as run:
        alone.patch(rolled(patient))
        _wait_stopped(alone)
        watch = Stopwatch()
        alone.patch(patient)
        until(lambda: alone.active_cluster == old, "the way back", 60, every=OFTEN)
        run.steps["revert → all the traffic"].append(watch.seconds)
        alone.wait_ready()
        _remark_lost(run)
    assert alone.clusters == [old]
