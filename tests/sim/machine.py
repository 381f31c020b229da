"""An operator on the fake cluster, with everything around it under a test's control."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rayserve_operator.engine.executor import Executor
from rayserve_operator.engine.passes import Passes
from rayserve_operator.engine.recorder import Recorder
from rayserve_operator.engine.store import WATCHED, Key, Store
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.model.errors import OperatorError
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.changes import compare
from rayserve_operator.render.options import RenderOptions

from .cluster import Crash, FakeCluster

NAME = "demo"
DELAY = 60
SERVE_SERVICE = f"{NAME}-serve-svc"
SETTLING_ROUNDS = 250


class Machine:
    """The system as a whole; every write of the operator is held against the invariants."""

    def __init__(self, seed: int = 0) -> None:
        self.cluster = FakeCluster(check=self._check)
        self.chance = random.Random(seed)
        self.valid: list[tuple[RayServiceSpec, str]] = []
        self.pod_names: set[str] = set()
        self.left_traffic: dict[str, datetime] = {}
        self.passes_run = 0
        self.start()

    # The operator. -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new operator, which knows what a fresh list shows and nothing else."""
        self.cluster.is_dead = False
        self.woken: dict[Key, None] = {}
        self.due: dict[Key, datetime] = {}
        self.store = Store(self._wake)
        recorder = Recorder(self.cluster, self.cluster)
        tokens = Tokens(self.cluster)
        executor = Executor(self.cluster, self.cluster, self.store, tokens, self.chance)
        self.passes = Passes(
            self.cluster, self.cluster, self.cluster, self.store, tokens, executor, recorder, RenderOptions()
        )
        for kind in WATCHED:
            for manifest in self.cluster.named(kind):
                self.store.put(kind, manifest)
        self.delivered = len(self.cluster.events)

    def deliver(self, count: int) -> None:
        """Let the watch bring its next events."""
        for kind, event, manifest in self.cluster.events[self.delivered : self.delivered + count]:
            if event == "DELETED":
                self.store.remove(kind, manifest["metadata"]["uid"])
            else:
                self.store.put(kind, manifest)
        self.delivered = min(self.delivered + count, len(self.cluster.events))

    def run(self, index: int) -> None:
        """One pass of one of the objects that were woken."""
        if not self.woken:
            return
        key = list(self.woken)[index % len(self.woken)]
        del self.woken[key]
        self.passes_run += 1
        try:
            again = asyncio.run(self.passes.run(key))
        except OperatorError as error:
            again = error.first_retry
        except Crash:
            self.start()
            return
        if again is not None:
            self.due[key] = self.cluster.time + again

    def tick(self, seconds: float) -> None:
        """Let time pass, and wake what asked for that."""
        self.cluster.tick(seconds)
        for key, due in list(self.due.items()):
            if due <= self.cluster.time:
                del self.due[key]
                self.woken[key] = None

    def settle(self) -> None:
        """No more faults: let everything happen until nothing is left to do."""
        self.cluster.fault = None
        for _ in range(SETTLING_ROUNDS):
            self.deliver(len(self.cluster.events))
            for _ in range(len(self.woken)):
                self.run(0)
            self.cluster.step()
            self.tick(1)

    def _wake(self, key: Key) -> None:
        self.woken[key] = None

    # The user. -----------------------------------------------------------------------------------------------

    def edit(self, spec: Mapping[str, Any], *, is_valid: bool = True) -> None:
        """Apply a RayService."""
        old = self.cluster.objects.get((Kind.RAY_SERVICE, NAME), {})
        manifest = {"metadata": {**old.get("metadata", {}), "name": NAME}, "spec": dict(spec)}
        if "status" in old:
            manifest["status"] = old["status"]
        if is_valid:
            parsed = RayServiceSpec.model_validate(spec)
            self.valid.append((parsed, parse_serve_config(parsed.serve_config_v2).digest))
        self.cluster.put(Kind.RAY_SERVICE, manifest)

    # What is true. -------------------------------------------------------------------------------------------

    @property
    def selected(self) -> str | None:
        """The cluster that takes traffic."""
        service = self.cluster.objects.get((Kind.SERVICE, SERVE_SERVICE))
        return None if service is None else service["spec"]["selector"].get("ray.io/cluster")

    @property
    def clusters(self) -> dict[str, RayClusterSpec]:
        """The RayClusters that exist."""
        return {
            manifest["metadata"]["name"]: RayClusterSpec.model_validate(manifest["spec"])
            for manifest in self.cluster.named(Kind.RAY_CLUSTER)
        }

    @property
    def status(self) -> dict[str, Any]:
        """The RayService's status."""
        return dict(self.cluster.objects[Kind.RAY_SERVICE, NAME].get("status", {}))

    def condition(self, type_: str) -> str | None:
        """Status of a condition of the RayService."""
        found = (c["status"] for c in self.status.get("conditions", ()) if c["type"] == type_)
        return next(found, None)

    def _check(self, verb: str, kind: Kind, manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        name = metadata["name"]
        match verb, kind:
            case (("create" | "apply"), Kind.SERVICE) if name == SERVE_SERVICE:
                self._check_route(manifest["spec"]["selector"]["ray.io/cluster"])
            case "create", Kind.RAY_CLUSTER:
                spec = RayClusterSpec.model_validate(manifest["spec"])
                twins = [other for other, live in self.clusters.items() if not compare(live, spec).rebuild]
                assert not twins or name in self.clusters, f"{name} is a twin of {twins}"
            case "delete", Kind.RAY_CLUSTER:
                assert name != self.selected, f"{name} takes traffic and is deleted"
                if name in self.left_traffic:
                    drained = self.cluster.time - self.left_traffic[name]
                    assert drained >= timedelta(seconds=DELAY), f"{name} was given {drained} only"
            case "create", Kind.POD:
                self._check_pod(name, metadata)
            case _:
                pass
        for cluster, config in self.cluster.puts:
            self._check_config(cluster, config.digest)
        self.cluster.puts = []

    def _check_route(self, target: str) -> None:
        assert target in self.clusters, f"traffic goes to {target}, which does not exist"
        if target != self.selected:
            if self.selected is not None:
                assert self.cluster.apps_run(target) or self.selected not in self.clusters, f"{target} does not serve"
                self.left_traffic[self.selected] = self.cluster.time
            self.left_traffic.pop(target, None)

    def _check_pod(self, name: str, metadata: Mapping[str, Any]) -> None:
        if (Kind.POD, name) not in self.cluster.objects:
            assert name not in self.pod_names, f"{name} was the name of a pod before"
            if metadata["labels"]["ray.io/node-type"] == "head":
                cluster = metadata["labels"]["ray.io/cluster"]
                heads = [
                    pod["metadata"]["name"]
                    for pod in self.cluster.named(Kind.POD)
                    if pod["metadata"]["labels"]["ray.io/cluster"] == cluster
                    and pod["metadata"]["labels"]["ray.io/node-type"] == "head"
                    and pod["metadata"]["ownerReferences"] == metadata["ownerReferences"]
                    and pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")
                ]
                assert not heads, f"{cluster} has the head {heads} and gets another"
        self.pod_names.add(name)

    def _check_config(self, cluster: str, digest: str) -> None:
        live = self.clusters.get(cluster)
        if live is None:
            return
        belonging = [wanted for spec, wanted in self.valid if not compare(live, spec.ray_cluster_config).rebuild]
        assert digest in belonging, f"{cluster} was sent a Serve config of another cluster's revision"
