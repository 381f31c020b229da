"""The operator's `Kube`, `Ray` and `Clock` on the fake world, and what goes wrong on the way.

Every request takes a while to arrive and its answer a while to come back, so whatever can happen in between does: other
requests, edits, the kubelet.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar

import jsonpatch

from rayserve_operator.engine.ports import Listing, Manifest
from rayserve_operator.model.errors import (
    AlreadyExists,
    Disconnected,
    NotFound,
    NotServed,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Superseded,
    Unavailable,
)
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.dry_run import verdicts
from rayserve_operator.planning.observed import Traffic
from rayserve_operator.render import labels

from .apiserver import LATENCY, MISSING, validate, without_foreign_status
from .manifests import Json, copied, merged, name_of, owner_of, uid_of
from .serve import Serve
from .virtual_time import wait
from .world import World

SERVE_STARTS = 1.5
"""Seconds for which the first PUT to a head is not answered, while Serve starts."""

Answer = TypeVar("Answer")


class Fault(Enum):
    """What may befall a write."""

    CRASH_BEFORE = "the operator dies before the write"
    CRASH_AFTER = "the operator dies after the write, before its answer"
    LOST_ANSWER = "the write takes effect, and its answer is lost"
    LATE_EFFECT = "the write takes effect long after its answer was given up"
    UNAVAILABLE = "the write does not take effect"
    REFUSED = "the write is refused"


Meddling = Callable[[], None]
"""What somebody else does the moment before a write takes effect."""


@dataclass(frozen=True)
class Write:
    """A write of the operator that is about to take effect."""

    verb: str
    kind: Kind
    before: Json | None
    after: Json | None
    is_late: bool = False
    """Whether its answer was given up long ago."""
    grace: int | None = None
    """Seconds that a pod which is deleted is given to end."""


@dataclass(frozen=True)
class Submission:
    """A Serve config on its way into a head."""

    pod: Json
    serve: Serve
    config: ServeConfig
    is_late: bool = False


@dataclass
class Network:
    """What lies between the operator, in all its lives, and the world."""

    witness: Callable[[Write | Submission], None]
    """Sees every write before it takes effect."""
    on_crash: Callable[[], None] = lambda: None
    fault: tuple[int, Fault | Meddling] | None = None
    """Which write from now on is befallen by what, or what somebody does at that moment."""
    cut_off_until: float = 0.0
    """Until when the API server is not reached."""
    silent_until: float = 0.0
    """Until when no Ray answers."""
    forbidden: str | None = None
    """A verb and a kind, and maybe a name, that the API server refuses as long as this is set."""
    undecided_until: float = 0.0
    """Until when nobody says what would become of a pod."""
    dry_runs: int = 0
    """Pods that were only tried."""
    mute_until: float = 0.0
    """Until when no pod's metrics tell of requests."""
    sent: int = 0
    """Writes that have arrived, Kubernetes events apart."""
    writes: Counter[str] = field(default_factory=Counter)
    """Writes that took effect."""
    log: list[str] = field(default_factory=list)

    def strikes(self) -> Fault | None:
        """What befalls this write; what somebody else does meanwhile is done."""
        if self.fault is None:
            return None
        left, fault = self.fault
        self.fault = (left - 1, fault) if left else None
        if left:
            return None
        if isinstance(fault, Fault):
            return fault
        fault()
        return None


class Client:
    """Kube, Ray and Clock for one life of the operator."""

    def __init__(self, world: World, network: Network) -> None:
        self.world = world
        self.network = network
        self.is_dead = False
        self.stopped_until = 0.0
        """Until when the process is stopped, so that no answer reaches it."""
        self._unanswered: set[asyncio.Future[Any]] = set()

    def now(self) -> datetime:
        return self.world.now()

    # Kube. ---------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        return await self._read(lambda: self._found(kind, name))

    async def everything(self, kind: Kind) -> AsyncIterator[Manifest]:
        for manifest in await self._read(lambda: self._watched(kind)):
            yield manifest

    async def schema(self, kind: Kind) -> Manifest:
        return await self._read(lambda: self.world.schemas[kind])

    async def leases(self, name: str) -> Sequence[Manifest]:
        return await self._read(lambda: self.world.leases)

    async def living(self, kind: Kind) -> Listing:
        return await self._read(
            lambda: Listing(frozenset(uid_of(found) for found in self._watched(kind)), str(self.world.version))
        )

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        def effect() -> Json:
            if self.world.find(kind, manifest["metadata"]["name"]) is not None:
                raise AlreadyExists(f"{kind} {manifest['metadata']['name']}")
            return dict(manifest)

        return await self._change("create", kind, manifest["metadata"]["name"], effect)

    async def dry_run(self, kind: Kind, manifest: Manifest) -> verdicts.Answer:
        def look() -> verdicts.Answer:
            self.network.dry_runs += 1
            try:
                validate(kind, None, copied(manifest))
            except Refused as refused:
                causes = [{"field": "spec.containers[0].image", "message": str(refused)}]
                return verdicts.Answer(422, {"message": str(refused), "details": {"causes": causes}})
            return verdicts.Answer(201)

        if self.world.seconds < self.network.undecided_until:
            await asyncio.get_running_loop().create_future()
        return await self._read(look)

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]

        def effect() -> Json:
            live = self.world.find(kind, name)
            expected = manifest["metadata"].get("resourceVersion")
            if expected is not None and (live is None or live["metadata"]["resourceVersion"] != expected):
                raise Superseded(f"{kind} {name} was changed")
            return self.world.with_applied(kind, manifest)

        return await self._change("apply", kind, name, effect)

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest]) -> Manifest:
        def effect() -> Json:
            found = self._found(kind, name)
            try:
                changed: Json = jsonpatch.apply_patch(found, copied(operations))
            except jsonpatch.JsonPatchTestFailed as error:
                raise Superseded(str(error)) from error
            except jsonpatch.JsonPatchConflict as error:
                raise Refused(str(error)) from error
            return without_foreign_status(kind, found, changed)

        return await self._change("patch", kind, name, effect)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        def effect() -> Json:
            found = self._found(kind, name)
            if patch.get("metadata", {}).get("uid", uid_of(found)) != uid_of(found):
                raise Superseded(f"{kind} {name} is another one")
            return without_foreign_status(kind, found, merged(found, patch))

        return await self._change("merge", kind, name, effect)

    async def write_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> Manifest:
        return await self._change("status", kind, name, lambda: {**self._found(kind, name), "status": dict(status)})

    async def endpoints(self, namespace: str, service: str) -> frozenset[str]:
        return await self._read(lambda: self.world.endpoints(service))

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        uid: str,
        *,
        grace: int | None = None,
    ) -> Manifest | None:
        def effect() -> None:
            found = self._found(kind, name)
            if uid_of(found) != uid:
                raise Superseded(f"{kind} {name} is not as it was")

        return await self._write("delete", kind, name, effect, grace)

    # Ray. ----------------------------------------------------------------------------------------------------

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        return await self._ask(address, self._serve_status)

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        words = f"PUT {config.digest}"

        def perform(pod: Json, serve: Serve, *, is_late: bool = False) -> bool:
            self.tell(f"{words} to {name_of(pod)}")
            self.network.writes["submit"] += 1
            self.network.witness(Submission(pod, serve, config, is_late))
            self.world.stir()
            is_first = serve.started is None
            serve.put(config, self.world.seconds)
            return is_first

        def late(pod: Json, serve: Serve) -> None:
            if self.world.heads.get(uid_of(pod)) is serve:
                perform(pod, serve, is_late=True)

        def arrive(pod: Json, serve: Serve) -> bool:
            return self._befallen(words, lambda: perform(pod, serve), lambda: late(pod, serve), Unavailable)

        if await self._ask(address, arrive):
            await wait(SERVE_STARTS)

    async def proxy_answers(self, host: str, port: int, *, https: bool) -> bool:
        def asked() -> bool:
            pod = self._pod_at(host)
            return pod is not None and self.world.proxy_answers(pod)

        return await self._travel(asked)

    async def traffic(self, host: str, port: int) -> Traffic | None:
        def look() -> Traffic | None:
            pod = self._pod_at(host)
            is_mute = self.world.seconds < self.network.mute_until
            return None if is_mute or pod is None else self.world.traffic(pod)

        return await self._travel(look)

    async def answers(self, host: str, port: int, path: str, *, https: bool) -> int | None:
        def look() -> int | None:
            pod = self._pod_at(host)
            return None if pod is None or not self.world.proxy_answers(pod) else self.world.answers(pod)

        return await self._travel(look)

    async def ongoing_requests(self, host: str, port: int) -> int | None:
        def asked() -> int | None:
            pod = self._pod_at(host)
            if pod is None or self.world.seconds < max(self.network.silent_until, self.network.mute_until):
                return None
            return self.world.ongoing_requests(pod)

        return await self._travel(asked)

    def _pod_at(self, host: str) -> Json | None:
        found = (pod for pod in self.world.all(Kind.POD) if f"ip-{uid_of(pod)}" == host)
        return next((pod for pod in found if self.world.is_up(pod)), None)

    def _serve_status(self, pod: Json, serve: Serve) -> ServeStatus:
        world = self.world
        if serve.started is None:
            return ServeStatus.parse({"controller_info": {}, "applications": {}})
        workers = [w for w in world.pods(owner_of(pod), labels.WORKER) if world.body(w).joined == uid_of(pod)]
        statuses = {found["status"]["podIP"]: world.proxy(found) for found in (pod, *workers) if world.is_up(found)}
        proxies = {ip: {"node_ip": ip, "status": status} for ip, status in statuses.items() if status}
        told = {"applications": serve.answer(), "target_capacity": serve.capacity, "proxies": proxies}
        return ServeStatus.parse({"controller_info": {"a": 1}, **told})

    # On the way. ---------------------------------------------------------------------------------------------

    def tell(self, what: str) -> None:
        """Note what happens, for whoever has to find out why."""
        self.network.log.append(f"{self.world.seconds:8.2f} {what}")

    async def _travel(self, arrive: Callable[[], Answer]) -> Answer:
        """A request and its answer. Once sent, it arrives even if its sender is gone by then."""
        world, loop = self.world, asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        # A dead operator waits for ever; were its future not kept, asyncio would complain of a forgotten task.
        self._unanswered.add(answer)

        def settle(tell: Callable[[Any], None], outcome: Any) -> None:
            if self.is_dead:
                return
            self._unanswered.discard(answer)
            if not answer.done():
                tell(outcome)

        def arrived() -> None:
            back = max(world.chance.uniform(0, LATENCY), self.stopped_until - loop.time())
            try:
                found = arrive()
            except OperatorError as error:
                loop.call_later(back, settle, answer.set_exception, error)
            else:
                seen = copied(found) if type(found) in (dict, list) else found
                loop.call_later(back, settle, answer.set_result, seen)

        if not self.is_dead:
            loop.call_later(world.chance.uniform(0, LATENCY), arrived)
        return await answer

    async def _read(self, look: Callable[[], Answer]) -> Answer:
        def arrive() -> Answer:
            if self.world.seconds < self.network.cut_off_until:
                raise Disconnected("no answer")
            return look()

        return await self._travel(arrive)

    async def _change(self, verb: str, kind: Kind, name: str, effect: Callable[[], Json]) -> Json:
        answer = await self._write(verb, kind, name, effect)
        assert answer is not None
        return answer

    async def _write(
        self, verb: str, kind: Kind, name: str, effect: Callable[[], Json | None], grace: int | None = None
    ) -> Json | None:
        world, network, words = self.world, self.network, f"{verb} {kind} {name}"

        def perform(*, is_late: bool = False) -> Json | None:
            before = world.find(kind, name)
            after = effect()
            if kind is not Kind.EVENT:
                self.tell(words)
                network.witness(Write(verb, kind, before, after, is_late, grace))
            network.writes[f"{verb} {kind}"] += 1
            if after is not None:
                return world.put(kind, after)
            world.end(kind, name)
            return world.find(kind, name)

        def late() -> None:
            perform(is_late=True)

        def arrive() -> Json | None:
            if kind is Kind.EVENT:
                return perform()
            if world.seconds < network.cut_off_until:
                raise OutcomeUnknown(words)
            if network.forbidden is not None and words.startswith(network.forbidden):
                raise Refused(f"{words} is forbidden")
            return self._befallen(words, perform, late, OutcomeUnknown)

        return await self._travel(arrive)

    def _befallen(
        self, words: str, perform: Callable[[], Answer], late: Callable[[], object], lost: type[OperatorError]
    ) -> Answer:
        """A write that has arrived, with what befalls it. `lost` is what its sender makes of an answer that is lost."""
        network, world = self.network, self.world

        def too_late() -> None:
            try:
                late()
            except OperatorError as error:
                self.tell(f"{words} came too late: {error}")

        network.sent += 1
        fault = None if self.is_dead else network.strikes()
        if fault is None:
            return perform()
        self.tell(f"{fault.name} at {words}")
        match fault:
            case Fault.CRASH_BEFORE:
                network.on_crash()
                raise Unavailable(words)
            case Fault.UNAVAILABLE:
                raise Unavailable(words)
            case Fault.REFUSED:
                raise Refused(words)
            case Fault.LATE_EFFECT:
                asyncio.get_running_loop().call_later(world.chance.uniform(0.1, 3), too_late)
                raise lost(words)
            case Fault.LOST_ANSWER:
                perform()
                raise lost(words)
            case Fault.CRASH_AFTER:
                perform()
                network.on_crash()
                raise lost(words)

    async def _ask(self, address: str, question: Callable[[Json, Serve], Answer]) -> Answer:
        def arrive() -> Answer:
            if self.world.seconds < max(self.network.silent_until, self.world.frozen_until):
                raise Unavailable("Ray hangs")
            for pod in self.world.all(Kind.POD):
                head = self.world.heads.get(uid_of(pod))
                if f"ip-{uid_of(pod)}" == address.partition(":")[0] and head is not None and self.world.is_up(pod):
                    return question(pod, head)
            raise Unavailable(f"nothing answers at {address}")

        return await self._travel(arrive)

    def _found(self, kind: Kind, name: str) -> Json:
        found = self.world.find(kind, name)
        if kind in (Kind.GATEWAY, Kind.HTTP_ROUTE) and not self.world.has_gateways:
            raise NotServed(f"the server could not find the requested resource: {kind}")
        if found is None:
            raise NotFound(f"{kind} {name}")
        return found

    def _watched(self, kind: Kind) -> list[Json]:
        if kind in MISSING:
            raise NotFound(f"the server could not find the requested resource: {kind}")
        return self.world.watched(kind)
