"""`make bench-admission`: what reviews cost who applies, and the operator.

Clients create and edit RayServices as `kubectl apply --dry-run=server` does, so that nothing comes of them: the API
server asks a webhook all the same, as long as that declares no side effects. By turns they do so in a namespace where
the webhook is asked, and in one where it is not; the difference is its price.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
import urllib3
from rich.console import Console
from rich.markdown import Markdown

from benchmarks.admission.costs import (
    Applied,
    Buckets,
    Cost,
    Latency,
    Memory,
    buckets_of,
    counts_since,
    lines,
    quantile,
)
from benchmarks.admission.kinds import EDITED, Kind, edited, kinds, ray_service
from benchmarks.api import Api
from benchmarks.pages import placed
from benchmarks.processes import Consumption, consumption
from localcluster import ClusterSpec
from localcluster.progress import Steps
from scenarios.harness import manifests, reviews, session
from scenarios.harness.kube import ApiError, Kube, KubectlError, Manifest, kubectl
from scenarios.harness.namespaces import fresh_namespace
from scenarios.harness.process import HEALTH_PORT, OperatorProcess
from scenarios.harness.table import commit
from scenarios.harness.waiting import NotInTimeError, until

REVIEWED, PLAIN = "reviewed", "plain"
"""The namespaces: with the webhook, and without."""
CLIENTS = 50
ROUND = 1000
"""Requests in one of the namespaces before it is the other's turn."""
TOLD = 5
"""Wrong answers whose words are kept."""
USER_AGENT = "rayserve-bench"
_ENDED = (NotInTimeError, ApiError, KubectlError, RuntimeError)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    count: Annotated[int, typer.Option("--reviews", help="How many reviews.", min=1)] = 10_000,
    out: Annotated[Path | None, typer.Option(help="File for the results, as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Page of the docs that has a place for them.", exists=True)] = None,
) -> None:
    """Measure what the admission webhook costs."""
    if not session.is_inside():
        session.main_inside(
            ["-m", "benchmarks.admission", *sys.argv[1:]], control_plane=ClusterSpec(control_plane_only=True)
        )
    try:
        with Steps() as steps, closing(Kube()) as kube, _operator(kube, steps) as operator:
            cost = asyncio.run(measure(count, operator, steps))
    except _ENDED as error:
        sys.exit(f"✗ {error}")
    told = "\n".join(lines(cost))
    Console().print(Markdown(told))
    for words in cost.first_wrong:
        Console().print(words, style="red", markup=False)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(dataclasses.asdict(cost), indent=1, ensure_ascii=False) + "\n")
    if page:
        page.write_text(placed(page.read_text(), "make bench-admission", told))


@contextmanager
def _operator(kube: Kube, steps: Steps) -> Iterator[OperatorProcess]:
    """An operator that reviews what is applied in one namespace, and nothing in the other."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh_namespace(kube, PLAIN),
        fresh_namespace(kube, REVIEWED),
    ):
        with steps.step("CRDs and accounts"):
            kubectl("apply", "--server-side", "-f", str(manifests.CRDS))
            kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(manifests.CRDS))
            # Without its account no pod can be tried.
            until(lambda: kube.find("serviceaccounts", REVIEWED, "default") is not None, "the account", 30)
        kubeconfig = Path(os.environ["KUBECONFIG"])
        operator = OperatorProcess(REVIEWED, kubeconfig, Path(folder, "log"), reviews.settings(REVIEWED))
        with reviews.reviewed(kube, REVIEWED, operator):
            for namespace in (REVIEWED, PLAIN):
                kube.create("rayservices", edited(namespace))
            yield operator


@dataclass(slots=True)
class Run:
    """What is known so far."""

    api: Api
    operator: OperatorProcess
    took: defaultdict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each request, by kind and namespace."""
    wrong: list[str] = field(default_factory=list)

    async def apply(self, count: int, namespace: str) -> None:
        """Have so many requests sent, each as soon as one of the clients is free."""
        sorts, good = kinds(), ray_service("made", namespace)
        turns = iter([sorts[number % len(sorts)] for number in range(count)])

        async def client() -> None:
            for kind in turns:
                began = time.monotonic()
                words = await self._sent(kind, good)
                self.took[kind.title, namespace].append(time.monotonic() - began)
                if namespace == REVIEWED and not kind.is_answered_by(words):
                    self.wrong.append(f"{kind.title}: {words}")

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())

    async def _sent(self, kind: Kind, good: Manifest) -> str | None:
        """With which words it was refused; None if it was not."""
        try:
            if kind.is_edit:
                namespace = good["metadata"]["namespace"]
                await self.api.merge("rayservices", namespace, EDITED, {"spec": kind.spec}, dry_run=True)
            else:
                await self.api.create("rayservices", manifests.with_spec(good, **kind.spec), dry_run=True)
        except ApiError as error:
            return error.message
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__} {error}"
        return None

    def used(self) -> Consumption:
        """What the operator has used."""
        return consumption(self.operator.pid)


async def measure(count: int, operator: OperatorProcess, steps: Steps) -> Cost:
    """Apply in both namespaces by turns, and look at the operator after each turn."""
    began, load = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), os.getloadavg()[0]
    async with Api.connected(USER_AGENT) as api:
        run = Run(api, operator)
        before, buckets = run.used(), _buckets()
        memory, spent = [_memory(0, before)], 0.0
        for done in range(0, count, ROUND):
            turn = min(ROUND, count - done)
            with steps.step(f"reviews {done + 1} to {done + turn}, and as many requests without any"):
                start = run.used().cpu_seconds
                await run.apply(turn, REVIEWED)
                used = run.used()
                await run.apply(turn, PLAIN)
            spent += used.cpu_seconds - start
            memory.append(_memory(done + turn, used))
        counted = counts_since(buckets, _buckets())
    return Cost(
        began=began,
        commit=commit(),
        cores=os.cpu_count() or 1,
        load=load,
        clients=CLIENTS,
        bytes=len(json.dumps(ray_service("made", REVIEWED))),
        applied=[_applied(kind.title, run) for kind in kinds()],
        review_p50=quantile(counted, 0.5),
        review_p99=quantile(counted, 0.99),
        memory=memory,
        cpu_seconds=spent,
        wrong=len(run.wrong),
        first_wrong=run.wrong[:TOLD],
    )


def _applied(title: str, run: Run) -> Applied:
    return Applied(title, Latency.of(run.took[title, REVIEWED]), Latency.of(run.took[title, PLAIN]))


def _memory(after: int, used: Consumption) -> Memory:
    return Memory(after, used.rss_kb / 1024, used.peak_kb / 1024)


def _buckets() -> Buckets:
    response = urllib3.request("GET", f"http://127.0.0.1:{HEALTH_PORT}/metrics")
    return buckets_of(response.data.decode())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        app()
