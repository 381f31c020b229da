"""`make demo`: what the operator does, on a real node with real Ray, in a few minutes.

`KEEP=1` leaves the cluster up to look around in; `NAME` takes one by its name.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from localcluster import LocalClusterError
from localcluster.progress import Steps
from scenarios.harness import manifests, namespaces, session
from scenarios.harness.asking import SEARCH
from scenarios.harness.kube import Kube, KubectlError
from scenarios.harness.load import Load
from scenarios.harness.rayservice import ROLLOUT, START, RayService, all_ready
from scenarios.harness.release import NAMESPACE as OPERATOR_NAMESPACE
from scenarios.harness.release import OperatorRelease
from scenarios.harness.waiting import NotInTimeError, Stopwatch, until

NAMESPACE = "demo"
SAMPLE = "pipeline-cpu-gpu"
QUIET = 5.0
"""Seconds of load before and after a change, to see that it is the change that matters."""
WIDTH = 120
"""Columns of the closing table where there is no terminal, as in a log."""

INTRODUCTION = """
rayserve-operator: you describe a Ray cluster and the Serve applications on it in one RayService;
the operator makes it so, and keeps it so. Everything below is real: the Kubernetes node, the
operator from its own image and chart, Ray, and the requests.
"""


@dataclass(frozen=True)
class Line:
    """One line of the closing table."""

    step: str
    happened: str
    seconds: float
    load: Load | None = None


@dataclass
class Demo:
    """The story, step by step."""

    kube: Kube
    steps: Steps
    lines: list[Line] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.manifest = manifests.sample(SAMPLE)
        self.service = RayService(self.kube, NAMESPACE, self.manifest["metadata"]["name"])

    def run(self) -> None:
        """Tell the whole story. Raises NotInTimeError where it comes to a halt."""
        self._look_at_the_node()
        self._install_the_operator()
        self._serve()
        self._update_in_place()
        self._roll()

    @property
    def failures(self) -> int:
        """How many requests have failed."""
        return sum(len(line.load.failed) for line in self.lines if line.load)

    def _look_at_the_node(self) -> None:
        cluster = session.local_cluster()
        seconds = (cluster.state or {}).get("seconds", 0.0) if cluster else 0.0
        [node, *_] = self.kube.list("nodes")
        version = node["status"]["nodeInfo"]["kubeletVersion"]
        gpus = node["status"]["allocatable"].get("nvidia.com/gpu", "0")
        happened = f"Kubernetes {version}, one node, {gpus} GPUs (pretended)"
        self.steps.note(f"✓ {happened}")
        self.lines.append(Line("A node comes up", happened, seconds))

    def _install_the_operator(self) -> None:
        self._title("The operator is installed", "helm upgrade --install rayserve charts/…")
        watch = Stopwatch()
        with self.steps.step(
            "helm installs the CRDs and the operator, and waits until it is ready"
        ):
            OperatorRelease(self.kube).install()
        happened = f"by its Helm chart, in namespace {OPERATOR_NAMESPACE}"
        self.lines.append(Line("The operator is installed", happened, watch.seconds))

    def _serve(self) -> None:
        self._title(
            "A RayService is applied",
            f"kubectl apply -n {NAMESPACE} -f manifests/samples/{SAMPLE}.yaml",
        )
        namespaces.recreate(self.kube, NAMESPACE)
        watch = Stopwatch()
        with self.steps.step("a head, a CPU worker and a GPU worker start; then the applications"):
            self.service.apply(self.manifest)
            answer = self._until(lambda: self.service.ask(SEARCH), "the first answer", START)
            seconds = watch.seconds
            self._until(lambda: all_ready(self.service.workers()), "all workers are ready", START)
        for name, pod in sorted(self.service.pods().items()):
            self.steps.note(f"    pod {name}: {pod['metadata']['labels']['ray.io/group']}")
        self._show(answer)
        pods = len(self.service.pods())
        happened = f"{pods} Ray pods; a prediction comes back through the Service"
        self.lines.append(Line("A RayService is applied", happened, seconds))

    def _update_in_place(self) -> None:
        self._title(
            "serveConfigV2 is edited: the Ranker's model toy-1 becomes toy-2",
            f"kubectl edit -n {NAMESPACE} rayservice {self.service.name}",
        )
        before = self.service.pods().keys()
        self.manifest = manifests.with_user_config(self.manifest, "Ranker", model="toy-2")
        with self._load() as load:
            watch = Stopwatch()
            self.service.patch(self.manifest)
            new = self._until(self._answer_of_model("toy-2"), "the new model answers", 60, 0.02)
            seconds = watch.seconds
            self._wait_for(QUIET)
        self._show(new)
        same = "the same pods" if self.service.pods().keys() == before else "OTHER PODS"
        happened = f"a new answer in {seconds:.2f} s, from {same}"
        self.lines.append(Line("An edit in place", happened, seconds, load))

    def _roll(self) -> None:
        self._title(
            "rayClusterConfig is edited: an environment variable in the pod templates",
            "no running pod can take it: a second cluster comes up beside the first (blue/green)",
        )
        old = self.service.active_cluster
        self.manifest = manifests.with_env(self.manifest, "COLOUR", "green")
        with self._load() as load:
            watch = Stopwatch()
            with self.steps.step("the new cluster starts, and traffic moves once it serves"):
                self.service.patch(self.manifest)
                self._until(lambda: self.service.active_cluster != old, "the switch", ROLLOUT)
                switched = watch.seconds
            new = self.service.active_cluster
            delay = self.manifest["spec"]["rayClusterDeletionDelaySeconds"]
            with self.steps.step("the old cluster leaves", f"after its delay of {delay} s"):
                self._until(lambda: self.service.clusters == [new], "the old one leaves", ROLLOUT)
            self._wait_for(QUIET)
        shares = ", ".join(f"{name} {count}" for name, count in load.by_cluster.items())
        self.steps.note(f"    answers by cluster: {shares}")
        happened = f"{old} → {new}; the old one removed after {watch.seconds:.0f} s"
        self.lines.append(Line("A blue/green rollout", happened, switched, load))

    @contextmanager
    def _load(self) -> Iterator[Load]:
        load = Load(self.service.url, SEARCH)
        self.steps.note(
            f"    {load.rate:g} requests a second, each on a new connection, from here on"
        )
        with load.running():
            self._wait_for(QUIET)
            yield load

    def _answer_of_model(self, model: str) -> Callable[[], Any]:
        def ask() -> Any:
            answer = self.service.ask(SEARCH)
            return answer if answer and answer["model"] == model else None

        return ask

    def _until(self, probe: Callable[[], Any], what: str, within: float, every: float = 0.1) -> Any:
        """Wait, and tell meanwhile what the operator says about the RayService."""

        def look() -> Any:
            found = probe()
            if not found:
                self._tell_events()
            return found

        answer = until(look, what, within, every=every)
        self._tell_events()
        return answer

    def _wait_for(self, seconds: float) -> None:
        watch = Stopwatch()
        self._until(lambda: watch.seconds >= seconds, "the load has run", seconds + 5)

    def _tell_events(self) -> None:
        for event in self.service.events:
            if event["metadata"]["uid"] not in self._told:
                self._told.add(event["metadata"]["uid"])
                self.steps.note(f"    operator: {event['message']}")

    def _title(self, title: str, explanation: str) -> None:
        self.steps.note(f"\n{title}\n  {explanation}")

    def _show(self, answer: Any) -> None:
        asked = f"POST {SEARCH.path} {json.dumps(SEARCH.body)}"
        best = answer["results"][0]
        self.steps.note(f"    {asked}\n    → model {answer['model']}: {json.dumps(best)}")


def _print_table(lines: list[Line]) -> None:
    table = Table(title="What happened", title_justify="left", title_style="bold")
    for column in ("step", "what happened"):
        table.add_column(column, overflow="fold")
    for column in ("seconds", "requests", "failed", "slowest"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in lines:
        load = line.load
        counts = (str(load.sent), str(len(load.failed)), f"{load.longest:.2f} s") if load else ()
        table.add_row(line.step, line.happened, f"{line.seconds:.2f}", *counts)
    Console(width=None if sys.stdout.isatty() else WIDTH).print("", table)


def _print_next(service: RayService) -> None:
    name = os.environ[session.INSIDE]
    if session.is_kept() and session.local_cluster():
        print(
            f"\nThe cluster {name} stays up. Look around:\n"
            f"  make cluster-shell NAME={name}            a shell in its network, with kubectl\n"
            f"    kubectl -n {NAMESPACE} get rayservices,rayclusters,pods\n"
            f"    kubectl -n {NAMESPACE} edit rayservice {service.name}\n"
            f"  make cluster-down NAME={name}             ends it, and nothing stays"
        )
    else:
        print("\nNext: `KEEP=1 make demo` leaves the cluster up to look around in.")
    print("On your own cluster: README.md says how to install the operator there.")


def main() -> None:
    """Run the demo, outside or inside the cluster."""
    if not session.is_inside():
        print(INTRODUCTION, flush=True)
        session.main_inside(["-m", "scenarios.demo"])
    try:
        with Steps() as steps:
            demo = Demo(Kube(), steps)
            demo.run()
    except KeyboardInterrupt:
        sys.exit(130)
    except (NotInTimeError, KubectlError, LocalClusterError) as error:
        sys.exit(f"✗ {error}")
    _print_table(demo.lines)
    _print_next(demo.service)
    if demo.failures:
        sys.exit(f"✗ {demo.failures} requests failed")


if __name__ == "__main__":
    main()
