"""Rollouts under load: what they are watched for, and what is told of them."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from scenarios.harness import manifests
from scenarios.harness.kube import Manifest
from scenarios.harness.mix import Mix
from scenarios.harness.rayservice import ROLLOUT, RayService
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until

ROUNDS = int(os.environ.get("ROUNDS") or 1)
"""How often each kind of rollout is gone through."""

ROUND = "round"
"""What the line about a round begins with."""

_colours = count(1)


def rolled(manifest: Manifest) -> Manifest:
    """The RayService with an environment variable like no other: a new cluster."""
    return manifests.with_env(manifest, "COLOUR", f"colour-{next(_colours)}")


@dataclass
class Run:
    """A scenario as it goes on: its load, and the seconds that its steps took in each round."""

    mix: Mix
    steps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rounds: int = 0
    remarks: list[str] = field(default_factory=list)
    """What else is to be told."""

    def end_round(self) -> None:
        """Count a round, and say what it was like."""
        self.rounds += 1
        seconds = ", ".join(f"{step} {taken[-1]:.1f} s" for step, taken in self.steps.items())
        lost = sum(len(record.failed) for record in self.mix.promised.values())
        print(f"{ROUND} {self.rounds}: {seconds}; {lost} requests lost so far", flush=True)


@contextmanager
def under_load(tables: Tables, title: str, mix: Mix, *, promised: bool = True) -> Iterator[Run]:
    """Run a scenario under load; its table is told however it ends.

    Raises AssertionError where a request is lost that may not be, unless nothing was promised.
    """
    run = Run(mix)
    try:
        with mix.running():
            yield run
    finally:
        tables.add(title, mix.kinds, run.steps, run.rounds, run.remarks)
    if promised:
        mix.assert_none_lost()


def _do_nothing() -> None:
    """Disturb nothing."""


@dataclass(frozen=True)
class Rollout:
    """One blue/green rollout."""

    service: RayService
    manifest: Manifest
    """What the RayService is to be."""
    before_switch: Callable[[], None] = _do_nothing
    """What happens as the new cluster comes up."""
    after_switch: Callable[[], None] = _do_nothing
    """What happens once traffic goes there."""
    within: float = ROLLOUT
    """Seconds after the switch by which the old pods are gone."""

    def run(self, run: Run) -> str:
        """Roll, wait until the old pods are gone, and return the name of the new cluster."""
        service, old = self.service, self.service.active_cluster
        watch = Stopwatch()
        service.patch(self.manifest)
        self.before_switch()
        until(lambda: service.active_cluster != old, f"{old} is left", ROLLOUT, every=OFTEN)
        run.steps["edit → switch"].append(watch.seconds)
        new, switched = service.active_cluster, Stopwatch()
        self.after_switch()
        service.wait_alone(self.within)
        run.steps["switch → old pods gone"].append(switched.seconds)
        before = run.mix.by_cluster[new]
        until(lambda: run.mix.by_cluster[new] > before + 20, "the new cluster answers", 30)
        service.wait_ready()
        run.end_round()
        return new


def edit_in_place(service: RayService, manifest: Manifest) -> float:
    """Edit the Serve config, wait until nothing is left to do, and return the seconds it took."""
    cluster, pods = service.active_cluster, service.pods().keys()
    watch = Stopwatch()
    service.patch(manifest)
    service.wait_ready(ROLLOUT)
    seconds = watch.seconds
    assert service.clusters == [cluster]
    assert service.pods().keys() == pods
    return seconds
