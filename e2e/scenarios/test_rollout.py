"""Rollouts under load lose no request: again and again, and with all that may come in between.

`ROUNDS` says how often each kind of rollout is gone through, under one load throughout. With
`COMPARE=1` the end of the old cluster is compared with what a plain deletion of it would do.
"""

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import HELD, HELD_AT_ONCE, SHORT, Mix
from scenarios.harness.phases import Phase, killing
from scenarios.harness.ray import answer
from scenarios.harness.rayservice import ROLLOUT, SERVE_PORT, RayService, all_ready
from scenarios.harness.release import OperatorRelease
from scenarios.harness.rollout import ROUNDS, Rollout, edit_in_place, rolled, under_load
from scenarios.harness.table import Tables
from scenarios.harness.waiting import Stopwatch, until

COMPARES = bool(os.environ.get("COMPARE"))

PAIRS = max(3, ROUNDS)
"""Of an edit in place and a blue/green rollout."""
HELD_BACK = 15
"""Seconds that a worker is not Ready although it serves."""

SAMPLE = manifests.with_deployment(
    manifests.sample("minimal"),
    "Echo",
    num_replicas=2,
    max_ongoing_requests=100,
    # A replica that is replaced in place lets its longest request end.
    graceful_shutdown_timeout_s=90,
)
READY_LATE = f"""
trap exit TERM
until wget -q -O /dev/null localhost:{SERVE_PORT}/-/healthz; do sleep 1 & wait $!; done
sleep {HELD_BACK} & wait $!
touch /tmp/ready
while :; do sleep 1 & wait $!; done
"""


@pytest.fixture(scope="module")
def echo(kube: Kube, namespace: str) -> RayService:
    """The minimal sample with two replicas, serving from its head and its worker."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


@pytest.mark.ci
def test_rollout_survives_an_operator_killed(
    echo: RayService, operator: OperatorRelease, tables: Tables
) -> None:
    """Killed in a random phase, the operator goes on; no request is cut, short as the delay is."""
    manifest = manifests.with_spec(rolled(SAMPLE), rayClusterDeletionDelaySeconds=5)
    phase = random.SystemRandom().choice(list(Phase))
    print(f"the operator is killed: {phase}")
    mix = Mix(echo.url).with_long(SHORT)
    with under_load(tables, "operator killed, deletion delay of 5 s", mix) as run:
        _killed_in([phase], operator, Rollout(echo, manifest)).run(run)
    assert len(echo.workers()) == 1
    assert len(echo.heads()) == 1


def test_rollouts_by_turns(echo: RayService, tables: Tables) -> None:
    """In place, blue/green, in place and so on, with all defaults and one load throughout."""
    manifest = _in_place(echo, SAMPLE)
    with under_load(tables, "in place and blue/green by turns", Mix(echo.url).with_long()) as run:
        for number in range(1, PAIRS + 1):
            # Every second edit in place replaces the replicas.
            options = {"num_cpus": 0.4 if number % 2 == 0 else 0.5}
            manifest = manifests.with_user_config(manifest, "Echo", greeting=f"number {number}")
            manifest = manifests.with_deployment(manifest, "Echo", ray_actor_options=options)
            run.steps["edit in place → done"].append(edit_in_place(echo, manifest))
            manifest = rolled(manifest)
            Rollout(echo, manifest).run(run)


def test_rollout_with_traffic_to_workers_alone(echo: RayService, tables: Tables) -> None:
    """The head takes no traffic, two workers do."""
    manifest = _with_two_serving_workers(_in_place(echo, SAMPLE))
    echo.patch(manifest)
    until(lambda: len(echo.workers()) == 2 and all_ready(echo.workers()), "two serve", ROLLOUT)
    echo.wait_ready()
    with under_load(tables, "excludeHeadPodFromServeSvc", Mix(echo.url).with_long()) as run:
        for _ in range(ROUNDS):
            new = Rollout(echo, rolled(manifest)).run(run)
            assert len(echo.workers(new)) == 2


def test_rollout_waits_for_a_worker_that_is_ready_late(echo: RayService, tables: Tables) -> None:
    """Traffic moves only when the new worker is Ready, long after Ray serves on it."""
    held_back: list[float] = []

    def await_worker() -> None:
        old, watch = echo.active_cluster, Stopwatch()
        until(lambda: _serving_workers(echo, old), "Ray serves on the new worker", ROLLOUT)
        held_back.append(-watch.seconds)

    def look_at_worker() -> None:
        new = echo.workers(echo.active_cluster)
        assert all_ready(new), f"traffic moved before the worker was Ready: {new}"
        held_back[-1] += run.steps["edit → switch"][-1]

    with under_load(tables, "new worker Ready 15 s late", Mix(echo.url).with_long()) as run:
        for _ in range(ROUNDS):
            manifest = _with_a_late_worker(rolled(SAMPLE))
            Rollout(echo, manifest, await_worker, look_at_worker).run(run)
    assert min(held_back) > HELD_BACK - 2, held_back


def test_rollout_lets_requests_of_three_minutes_end(echo: RayService, tables: Tables) -> None:
    """What the old cluster has begun it finishes, three minutes later."""
    mix = Mix(echo.url).with_long().with_held()
    held = mix.kinds[HELD]
    with under_load(tables, "requests of 3 minutes at the switch", mix) as run:
        for _ in range(ROUNDS):
            old, before = echo.active_cluster, held.by_cluster
            mix.hold()
            Rollout(echo, rolled(SAMPLE), within=ROLLOUT + 180).run(run)
            assert held.by_cluster - before == {old: HELD_AT_ONCE}, held.explain()


def test_rollout_with_the_operator_killed(
    echo: RayService, operator: OperatorRelease, tables: Tables
) -> None:
    """Killed once in each phase, the operator goes on where it was."""
    with under_load(tables, "operator killed in each phase", Mix(echo.url).with_long()) as run:
        for _ in range(ROUNDS):
            # A container killed often waits before it is started again, a new one does not.
            operator.restart()
            _killed_in(Phase, operator, Rollout(echo, rolled(SAMPLE))).run(run)


@pytest.mark.skipif(not COMPARES, reason="COMPARE=1 runs it, for the table alone")
def test_rollout_with_the_old_cluster_simply_deleted(echo: RayService, tables: Tables) -> None:
    """What a plain deletion right after the switch loses, with no more than Ray's own drain."""
    title = "for comparison: the old RayCluster deleted right after the switch"
    with under_load(tables, title, Mix(echo.url).with_long(), promised=False) as run:
        for _ in range(ROUNDS):
            old = echo.active_cluster
            delete = partial(echo.kube.delete, "rayclusters", echo.namespace, old)
            Rollout(echo, rolled(SAMPLE), after_switch=delete).run(run)


def _in_place(service: RayService, manifest: Manifest) -> Manifest:
    """The manifest with the pods that the service has now, so that it needs no new cluster."""
    cluster = service.object["spec"]["rayClusterConfig"]
    return manifests.with_spec(manifest, rayClusterConfig=cluster)


def _killed_in(phases: Iterable[Phase], operator: OperatorRelease, rollout: Rollout) -> Rollout:
    """The rollout, with the operator killed in phases of it."""
    service, old = rollout.service, rollout.service.active_cluster
    kills = {phase: killing(operator, service, old, phase) for phase in phases}

    def killed(*, after_switch: bool) -> Callable[[], None]:
        def kill() -> None:
            for phase, kill_once in kills.items():
                if phase.is_after_switch == after_switch:
                    kill_once()

        return kill

    before, after = killed(after_switch=False), killed(after_switch=True)
    return replace(rollout, before_switch=before, after_switch=after)


def _with_two_serving_workers(manifest: Manifest) -> Manifest:
    changed = manifests.with_workers(manifest, replicas=2)
    changed = manifests.with_deployment(changed, "Echo", max_replicas_per_node=1)
    return manifests.with_spec(changed, excludeHeadPodFromServeSvc=True)


def _with_a_late_worker(manifest: Manifest) -> Manifest:
    """The worker with a container beside Ray's, which says for a while that it is not Ready."""
    [group] = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    spec = group["template"]["spec"]
    [worker] = spec["containers"]
    late = {
        **{key: worker[key] for key in ("image", "imagePullPolicy")},
        "name": "late",
        "command": ["bash", "-c", READY_LATE],
        "readinessProbe": {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1},
    }
    template = {**group["template"], "spec": {**spec, "containers": [worker, late]}}
    return manifests.with_workers(manifest, template=template)


def _serving_workers(service: RayService, old: str) -> list[str]:
    """The workers of a new cluster on which Ray's own proxy answers."""
    return [
        name
        for cluster in {*service.clusters} - {old}
        for name, pod in service.workers(cluster).items()
        if _is_healthy(pod["status"].get("podIP"))
    ]


def _is_healthy(address: str | None) -> bool:
    return bool(address and answer(f"http://{address}:{SERVE_PORT}/-/routes"))
