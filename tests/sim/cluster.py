"""A fake Kubernetes with Ray on it, for simulations: versions, preconditions, garbage collection, faults.

Nothing in it waits. Time, the kubelet, Ray and the watches move only when a test moves them.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

import jsonpatch

from rayserve_operator.engine.ports import Listing, Manifest
from rayserve_operator.engine.store import WATCHED
from rayserve_operator.model.errors import AlreadyExists, NotFound, OutcomeUnknown, Superseded, Unavailable
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.actions import Kind

NAMESPACE = "default"
Answer = TypeVar("Answer")

START = datetime(2030, 1, 1, tzinfo=UTC)
STOPPING_STEPS = 2
DEPLOYING_STEPS = 2


class Crash(BaseException):
    """The operator's process ends here."""


class Fault(Enum):
    """What may befall a write."""

    CRASH_BEFORE = "the operator dies before the write"
    CRASH_AFTER = "the operator dies after the write, before its answer"
    LOST_ANSWER = "the write takes effect, and its answer is lost"
    UNAVAILABLE = "the write does not take effect"


@dataclass
class Pod:
    """What the kubelet and Ray know of a pod beyond its manifest."""

    stage: int = 0
    stopping: int = 0


@dataclass
class Head:
    """The Ray that lives in a head pod."""

    config: ServeConfig | None = None
    deploying: int = 0


@dataclass
class FakeCluster:
    """Kube, Ray and Clock of the engine in one."""

    check: Callable[[str, Kind, Manifest], None]
    """Sees every write of the operator before it takes effect; invariants are asserted there."""
    objects: dict[tuple[Kind, str], dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[Kind, str, dict[str, Any]]] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    puts: list[tuple[str, ServeConfig]] = field(default_factory=list)
    time: datetime = START
    fault: tuple[int, Fault] | None = None
    """Which write from now on is befallen by what."""
    is_dead: bool = False
    """Whether the operator has crashed; then it reaches nothing any more."""
    _counter: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def now(self) -> datetime:
        return self.time

    # What users, controllers and tests do. ------------------------------------------------------------------

    def put(self, kind: Kind, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace an object by someone else's hand."""
        name = manifest["metadata"]["name"]
        old = self.objects.get((kind, name))
        new = copy.deepcopy(dict(manifest))
        metadata = new["metadata"]
        generation = old["metadata"]["generation"] if old else 0
        metadata.update(
            namespace=NAMESPACE,
            uid=old["metadata"]["uid"] if old else f"uid-{next(self._counter)}",
            generation=generation + (1 if old is None or old.get("spec") != new.get("spec") else 0),
            creationTimestamp=old["metadata"]["creationTimestamp"] if old else self.time.isoformat(),
        )
        if old is not None:
            same = {**metadata, "resourceVersion": old["metadata"]["resourceVersion"]}
            if old == {**new, "metadata": same}:
                return copy.deepcopy(old)
        metadata["resourceVersion"] = str(next(self._counter))
        self.objects[kind, name] = new
        if kind is Kind.POD:
            self.pods.setdefault(metadata["uid"], Pod())
        self._tell(kind, "MODIFIED" if old else "ADDED", new)
        return copy.deepcopy(new)

    def remove(self, kind: Kind, name: str) -> None:
        """Delete an object by someone else's hand; a pod takes its time."""
        found = self.objects.get((kind, name))
        if found is None:
            return
        if kind is Kind.POD and "deletionTimestamp" not in found["metadata"]:
            self.put(kind, {**found, "metadata": {**found["metadata"], "deletionTimestamp": self.time.isoformat()}})
        elif kind is not Kind.POD:
            self._gone(kind, name)

    def step(self) -> None:
        """Let the garbage collector, the kubelet and Ray do one thing each."""
        self._collect_garbage()
        for (kind, name), manifest in list(self.objects.items()):
            if kind is Kind.POD:
                self._run_pod(name, manifest)
        for head in self.heads.values():
            head.deploying = max(0, head.deploying - 1)

    def named(self, kind: Kind) -> list[dict[str, Any]]:
        """All objects of a kind, oldest first."""
        return [manifest for (found, _), manifest in self.objects.items() if found is kind]

    def apps_run(self, cluster: str) -> bool:
        """Whether Ray on this cluster runs all that it was given."""
        head = self._head_of(cluster)
        return head is not None and head.config is not None and not head.deploying and bool(self._workers_up(cluster))

    # Kube. ---------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        self._alive()
        return copy.deepcopy(self._found(kind, name))

    async def everything(self, kind: Kind) -> AsyncIterator[Manifest]:
        for manifest in self.named(kind):
            yield copy.deepcopy(manifest)

    async def living(self, kind: Kind) -> Listing:
        return Listing(frozenset(m["metadata"]["uid"] for m in self.named(kind)), str(next(self._counter)))

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        def effect() -> dict[str, Any]:
            if (kind, manifest["metadata"]["name"]) in self.objects:
                raise AlreadyExists(manifest["metadata"]["name"])
            return self.put(kind, manifest)

        return self._write("create", kind, manifest, effect)

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]

        def effect() -> dict[str, Any]:
            old = self.objects.get((kind, name))
            expected = manifest["metadata"].get("resourceVersion")
            if expected is not None and (old is None or old["metadata"]["resourceVersion"] != expected):
                raise Superseded(name)
            return self.put(kind, _merged(old or {}, manifest))

        return self._write("apply", kind, manifest, effect)

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest]) -> Manifest:
        def effect() -> dict[str, Any]:
            try:
                return self.put(kind, jsonpatch.apply_patch(self._found(kind, name), list(operations)))
            except jsonpatch.JsonPatchTestFailed as error:
                raise Superseded(name) from error

        return self._write("patch", kind, self._found(kind, name), effect)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        def effect() -> dict[str, Any]:
            found = self._found(kind, name)
            if patch["metadata"].get("uid", found["metadata"]["uid"]) != found["metadata"]["uid"]:
                raise Superseded(name)
            return self.put(kind, _merged(found, patch))

        return self._write("merge", kind, self._found(kind, name), effect)

    async def write_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> Manifest:
        found = self._found(kind, name)
        return self._write("status", kind, found, lambda: self.put(kind, {**found, "status": dict(status)}))

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str | None) -> Manifest | None:
        found = self._found(kind, name)

        def effect() -> dict[str, Any] | None:
            metadata = found["metadata"]
            if metadata["uid"] != uid or (version and metadata["resourceVersion"] != version):
                raise Superseded(name)
            self.remove(kind, name)
            return copy.deepcopy(self.objects.get((kind, name)))

        return self._write("delete", kind, found, effect)

    # Ray. ----------------------------------------------------------------------------------------------------

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        self._alive()
        pod, head = self._reachable(address.partition(":")[0])
        if head.config is None:
            return ServeStatus.parse({"controller_info": {}, "applications": {}})
        cluster = pod["metadata"]["labels"]["ray.io/cluster"]
        state = "RUNNING" if self.apps_run(cluster) else "DEPLOYING"
        applications = {
            app["name"]: {"status": state, "source": "declarative", "deployed_app_config": copy.deepcopy(app)}
            for app in head.config.document["applications"]
        }
        addresses = [pod["status"]["podIP"], *self._workers_up(cluster)]
        proxies = {ip: {"node_ip": ip, "status": "HEALTHY"} for ip in addresses}
        return ServeStatus.parse({"controller_info": {"a": 1}, "applications": applications, "proxies": proxies})

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        self._alive()
        pod, head = self._reachable(address.partition(":")[0])
        self.puts.append((pod["metadata"]["labels"]["ray.io/cluster"], config))
        head.config, head.deploying = config, DEPLOYING_STEPS

    async def proxy_answers(self, host: str, port: int) -> bool:
        try:
            return self._reachable(host)[1].config is not None
        except Unavailable:
            return False

    # Inside. -------------------------------------------------------------------------------------------------

    def _write(self, verb: str, kind: Kind, manifest: Manifest, effect: Callable[[], Answer]) -> Answer:
        self._alive()
        if kind is Kind.EVENT:
            return effect()
        fault = self._strikes()
        if fault is Fault.CRASH_BEFORE:
            self.is_dead = True
            raise Crash
        if fault is Fault.UNAVAILABLE:
            raise Unavailable(f"{verb} {kind}")
        self.check(verb, kind, manifest)
        answer = effect()
        self.writes[f"{verb} {kind}"] += 1
        if fault is Fault.CRASH_AFTER:
            self.is_dead = True
            raise Crash
        if fault is Fault.LOST_ANSWER:
            raise OutcomeUnknown(f"{verb} {kind}")
        return answer

    def _strikes(self) -> Fault | None:
        if self.fault is None:
            return None
        left, fault = self.fault
        self.fault = None if left == 0 else (left - 1, fault)
        return fault if left == 0 else None

    def _alive(self) -> None:
        if self.is_dead:
            raise Crash

    def _found(self, kind: Kind, name: str) -> dict[str, Any]:
        found = self.objects.get((kind, name))
        if found is None:
            raise NotFound(f"{kind} {name}")
        return found

    def _tell(self, kind: Kind, event: str, manifest: Mapping[str, Any]) -> None:
        if kind in WATCHED:
            self.events.append((kind, event, copy.deepcopy(dict(manifest))))

    def _gone(self, kind: Kind, name: str) -> None:
        manifest = self.objects.pop((kind, name))
        self.heads.pop(manifest["metadata"]["uid"], None)
        self._tell(kind, "DELETED", manifest)

    def _collect_garbage(self) -> None:
        living = {manifest["metadata"]["uid"] for manifest in self.objects.values()}
        for (kind, name), manifest in list(self.objects.items()):
            owners = manifest["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in living for owner in owners):
                self.remove(kind, name)

    def _run_pod(self, name: str, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        pod = self.pods[metadata["uid"]]
        if "deletionTimestamp" in metadata:
            pod.stopping += 1
            if pod.stopping >= STOPPING_STEPS:
                self._gone(Kind.POD, name)
            return
        pod.stage += 1
        is_head = metadata["labels"]["ray.io/node-type"] == "head"
        if pod.stage == 1:
            return
        if is_head:
            self.heads.setdefault(metadata["uid"], Head())
        started = pod.stage > 2
        head = self._head_of(metadata["labels"]["ray.io/cluster"])
        ready = started and (is_head or (head is not None and head.config is not None and not head.deploying))
        status = {
            "phase": "Running",
            "podIP": f"ip-{metadata['uid']}",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {
                    "name": manifest["spec"]["containers"][0]["name"],
                    "started": started,
                    "ready": ready,
                    "state": {"running": {}},
                }
            ],
        }
        if manifest.get("status") != status:
            self.put(Kind.POD, {**manifest, "status": status})

    def _head_of(self, cluster: str) -> Head | None:
        for manifest in self.named(Kind.POD):
            metadata = manifest["metadata"]
            if metadata["labels"].get("ray.io/cluster") == cluster and metadata["uid"] in self.heads:
                return self.heads[metadata["uid"]]
        return None

    def _workers_up(self, cluster: str) -> list[str]:
        return [
            manifest["status"]["podIP"]
            for manifest in self.named(Kind.POD)
            if manifest["metadata"]["labels"].get("ray.io/cluster") == cluster
            and manifest["metadata"]["labels"]["ray.io/node-type"] == "worker"
            and "deletionTimestamp" not in manifest["metadata"]
            and self.pods[manifest["metadata"]["uid"]].stage > 2
        ]

    def _reachable(self, ip: str) -> tuple[dict[str, Any], Head]:
        for manifest in self.named(Kind.POD):
            uid = manifest["metadata"]["uid"]
            if f"ip-{uid}" == ip and uid in self.heads and self.pods[uid].stage > 2:
                return manifest, self.heads[uid]
        raise Unavailable(f"nothing answers at {ip}")

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


def _merged(base: Any, patch: Any) -> Any:
    """A JSON merge patch, applied."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
