"""`make bench-startup`: apply to first answer, in ratio to the same pods with no operator.

Both in the same run, by turns: a RayService is applied and the operator does the rest; then the
very pods and Services that come of it are created by hand, with the operator stopped, and the Serve
config is PUT as soon as Ray takes it. What the second takes is Kubernetes' and Ray's own time; the
rest is the operator's. A first start, which fills the caches, is not counted.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from localcluster import LocalClusterError
from localcluster.progress import Steps
from scenarios.harness import manifests, ray, session
from scenarios.harness.asking import GREET
from scenarios.harness.copies import as_created
from scenarios.harness.kube import Kube, KubectlError, Manifest
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.rayservice import START, RayService
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import NotInTimeError, Stopwatch, until

SAMPLE = manifests.sample("minimal")
NAME = SAMPLE["metadata"]["name"]
PAIRS = 3
GOAL = 1.2
OFTEN = 0.05
SOURCE = "first-start"
"""The namespace where the objects are taken from."""


@dataclass(frozen=True)
class Parts:
    """The objects that a RayService has become, ready to be created somewhere else."""

    services: Sequence[Manifest]
    pods: Sequence[Manifest]

    @classmethod
    def of(cls, service: RayService) -> "Parts":
        """Take them from a RayService that serves."""
        services = service.kube.list("services", service.namespace)
        return cls(
            services=[as_created(one) for one in services],
            pods=[as_created(pod) for pod in service.pods().values()],
        )

    def create(self, kube: Kube, namespace: str) -> None:
        """Create them in another namespace, whose name stands in their addresses too."""
        for plural, objects in (("services", self.services), ("pods", self.pods)):
            for one in objects:
                kube.create(plural, json.loads(json.dumps(one).replace(SOURCE, namespace)))


def with_operator(kube: Kube, namespace: str) -> float:
    """Seconds from `apply` to the first answer."""
    service = RayService(kube, namespace, NAME)
    watch = Stopwatch()
    service.apply(SAMPLE)
    service.wait_answer(GREET, every=OFTEN)
    return watch.seconds


def parts_of_first_start(kube: Kube) -> Parts:
    """What the RayService becomes."""
    with fresh_namespace(kube, SOURCE) as namespace:
        with_operator(kube, namespace)
        service = RayService(kube, namespace, NAME)
        service.wait_ready()
        return Parts.of(service)


def by_hand(kube: Kube, namespace: str, parts: Parts) -> float:
    """Seconds from the first create to the first answer, with no operator."""
    service = RayService(kube, namespace, NAME)
    config = manifests.serve_config(SAMPLE)
    watch = Stopwatch()
    parts.create(kube, namespace)
    until(lambda: ray.takes(_head(kube, namespace), config), "Ray takes it", START, every=OFTEN)
    service.wait_answer(GREET, every=OFTEN)
    return watch.seconds


def _head(kube: Kube, namespace: str) -> str:
    [head] = kube.list("pods", namespace, "ray.io/node-type=head")
    address: str = head["status"]["podIP"]
    return address


def measure(kube: Kube, steps: Steps) -> list[tuple[float, float]]:
    """Pairs of seconds, with the operator and by hand, by turns."""
    release = OperatorRelease(kube)
    with steps.step("installing the operator"):
        release.install()
    with steps.step("a first start"):
        parts = parts_of_first_start(kube)
    pairs = []
    for number in range(1, PAIRS + 1):
        with steps.step(f"pair {number} of {PAIRS}: with the operator"):
            release.scale(1)
            with fresh_namespace(kube, f"with-operator-{number}") as namespace:
                operated = with_operator(kube, namespace)
        with steps.step(f"pair {number} of {PAIRS}: by hand"):
            release.scale(0)
            with fresh_namespace(kube, f"by-hand-{number}") as namespace:
                bare = by_hand(kube, namespace, parts)
        pairs.append((operated, bare))
    release.scale(1)
    return pairs


def _print_table(pairs: Sequence[tuple[float, float]]) -> float:
    """Print the pairs and return the ratio of the medians."""
    table = Table(title="apply → first answer through the Service", title_justify="left")
    for column in ("", "with the operator", "by hand", "ratio"):
        table.add_column(column, justify="right")
    for number, pair in enumerate(pairs, 1):
        table.add_row(f"pair {number}", *_cells(*pair))
    operated, bare = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    table.add_section()
    table.add_row("median", *_cells(operated, bare), style="bold")
    Console().print("", table)
    return float(operated / bare)


def _cells(operated: float, bare: float) -> tuple[Any, ...]:
    return f"{operated:.1f} s", f"{bare:.1f} s", f"{operated / bare:.2f}"


def main() -> None:
    """Run the benchmark, outside or inside the cluster."""
    if not session.is_inside():
        session.main_inside(["-m", "scenarios.bench_startup"])
    try:
        with Steps() as steps:
            pairs = measure(Kube(), steps)
    except KeyboardInterrupt:
        sys.exit(130)
    except (NotInTimeError, KubectlError, LocalClusterError) as error:
        sys.exit(f"✗ {error}")
    ratio = _print_table(pairs)
    if ratio > GOAL:
        sys.exit(f"✗ the ratio is {ratio:.3f}; the goal is {GOAL}")
    print(f"✓ the ratio is {ratio:.3f}; the goal is at most {GOAL}")


if __name__ == "__main__":
    main()
