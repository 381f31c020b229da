"""A fake Kubernetes API server: any kind of object, versions, watches by label, finalizers, garbage collection.

It knows kinds only by name. Watches run behind by as much as a test says, and lose what happens while they are cut.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rayserve_operator.adapters.kube import RESOURCES
from rayserve_operator.crdgen import definitions
from rayserve_operator.engine.store import OPTIONAL, WATCHED
from rayserve_operator.model.errors import Refused
from rayserve_operator.planning.actions import Kind

from .manifests import (
    Json,
    Path,
    copied,
    fields,
    from_fields,
    image_of,
    is_leaving,
    is_selected,
    merged,
    name_of,
    name_twice,
    uid_of,
)

NAMESPACE = "default"
START = datetime(2030, 1, 1, tzinfo=UTC)
LATENCY = 0.04
"""Seconds that a message takes at most."""
NO_IMAGE = "refused"
"""The image of pods that the API server does not take."""
MISSING = OPTIONAL
"""Kinds whose API is not installed."""

WITHOUT_STATUS = frozenset(
    {Kind.REVISION, Kind.SERVICE_ACCOUNT, Kind.ROLE, Kind.ROLE_BINDING, Kind.SECRET, Kind.NETWORK_POLICY, Kind.EVENT}
)

OUR_SCHEMAS: Mapping[Kind, Json] = {
    Kind(crd["spec"]["names"]["kind"]): crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in definitions().values()
}

Hear = Callable[[Kind, str | None, Json], None]


@dataclass
class Watch:
    """The events of one kind on their way to the operator."""

    queue: deque[tuple[str | None, Json]] = field(default_factory=deque)
    held_until: float = 0.0
    is_cut: bool = False
    is_running: bool = False


class ApiServer:
    """The objects, and what is told of them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.version = 0
        self._objects: dict[Kind, dict[str, Json]] = {kind: {} for kind in Kind}
        """By kind and name; never changed in place."""
        self._watches = {kind: Watch() for kind in WATCHED if kind not in MISSING}
        self._hear: Hear | None = None
        self.schemas: dict[Kind, Json] = dict(OUR_SCHEMAS)
        """By which the API server keeps what is written, and drops what it does not know."""
        self.leases: list[Json] = []
        """Those by which operators other than ours say that they lead."""
        self.has_gateways = True
        """Whether the Gateway API is installed."""
        self.on_change: Callable[[Kind, Json | None], None] = lambda kind, new: None
        """Is told every change; without an object if it is gone."""
        self._applied: dict[str, frozenset[Path]] = {}
        """The fields that the operator applied last, by uid."""
        self._said_by_others: dict[str, set[Path]] = {}
        """The fields that somebody else said first, by uid; to server-side apply they are not the operator's alone."""
        self._has_garbage = False
        self._loop = asyncio.get_running_loop()

    # Time. ---------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return self._loop.time()

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.seconds)

    def stamp(self, seconds: float | None = None) -> str:
        """A time as Kubernetes writes it, without fractions of a second."""
        at = self.seconds if seconds is None else seconds
        return (START + timedelta(seconds=int(at))).strftime("%Y-%m-%dT%H:%M:%SZ")

    # Objects. ------------------------------------------------------------------------------------------------

    def find(self, kind: Kind, name: str) -> Json | None:
        """The object of that name."""
        return self._objects[kind].get(name)

    def all(self, kind: Kind) -> list[Json]:
        """Every object of a kind, oldest first."""
        return list(self._objects[kind].values())

    def watched(self, kind: Kind) -> list[Json]:
        """Those of them that the operator's selector finds."""
        return [manifest for manifest in self.all(kind) if is_selected(manifest, RESOURCES[kind].selector)]

    def put(self, kind: Kind, manifest: Mapping[str, Any]) -> Json:
        """Create or replace an object, whoever does it. One that stays the same keeps its version."""
        new: Json = copied(manifest)
        metadata = new["metadata"]
        old = self.find(kind, metadata["name"])
        before = old["metadata"] if old else {}
        if kind in self.schemas and self.schemas[kind] is not OUR_SCHEMAS[kind]:
            new = pruned(self.schemas[kind], new)
            metadata = new["metadata"]
        validate(kind, old, new)
        for key in ("uid", "creationTimestamp", "resourceVersion"):
            metadata[key] = before.get(key)
        metadata["namespace"] = NAMESPACE
        metadata["uid"] = metadata["uid"] or f"uid-{self.version + 1}"
        metadata["creationTimestamp"] = metadata["creationTimestamp"] or self.stamp()
        metadata["generation"] = before.get("generation", 0) + (old is None or old.get("spec") != new.get("spec"))
        if new == old:
            return new
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        if old is None and metadata["uid"] not in self._applied:
            self._said_by_others[metadata["uid"]] = set(fields(new))
        if before.get("managedFields") and not metadata.get("managedFields"):
            self._said_by_others[metadata["uid"]].clear()
        if kind is not Kind.POD and is_leaving(new) and not metadata.get("finalizers"):
            self.gone(kind, metadata["name"])
            return new
        self._objects[kind][metadata["name"]] = new
        self._announce(kind, old, new)
        return new

    def end(self, kind: Kind, name: str) -> None:
        """Ask for the deletion of an object. Its finalizers hold it, and a pod stays until its kubelet lets it go."""
        found = self.find(kind, name)
        if found is None:
            return
        if kind is not Kind.POD and not found["metadata"].get("finalizers"):
            self.gone(kind, name)
        elif not is_leaving(found):
            self.put(kind, merged(found, {"metadata": {"deletionTimestamp": self.stamp()}}))

    def gone(self, kind: Kind, name: str) -> None:
        """Take an object away."""
        self.version += 1
        last = merged(self._objects[kind].pop(name), {"metadata": {"resourceVersion": str(self.version)}})
        self._has_garbage = True
        self._announce(kind, last, None)

    def collect_garbage(self) -> None:
        """Ask for the deletion of what has lost its owners."""
        if not self._has_garbage:
            return
        self._has_garbage = False
        living = {uid_of(manifest) for kind in Kind for manifest in self.all(kind)}
        for kind in Kind:
            for manifest in self.all(kind):
                references = manifest["metadata"].get("ownerReferences") or ()
                if references and not any(reference["uid"] in living for reference in references):
                    self.end(kind, name_of(manifest))

    def with_applied(self, kind: Kind, manifest: Mapping[str, Any]) -> Json:
        """The outcome of server-side apply: what is no longer applied goes, unless somebody else said it too."""
        live = self.find(kind, manifest["metadata"]["name"])
        wanted = fields({key: value for key, value in manifest.items() if key != "status"})
        wanted.pop(("metadata", "resourceVersion"), None)
        uid = uid_of(live) if live else f"uid-{self.version + 1}"
        now = fields(live) if live else {}
        others = self._said_by_others.setdefault(uid, set())
        forgotten = self._applied.get(uid, frozenset()) - wanted.keys() - others
        others -= {path for path in wanted if path in now and now[path] != wanted[path]}
        self._applied[uid] = frozenset(wanted)
        # The ports come in the order of what is applied (tried with Kubernetes 1.35), the others behind them.
        kept = {path: value for path, value in now.items() if path not in forgotten and path not in wanted}
        return from_fields({**wanted, **kept})

    # Watches. ------------------------------------------------------------------------------------------------

    def connect(self, hear: Hear) -> None:
        """Watch everything, beginning with a list."""
        self._hear = hear
        for kind in self._watches:
            self._list(kind)

    def disconnect(self) -> None:
        """Watch nothing any more."""
        self._hear = None

    def hold(self, kind: Kind, seconds: float) -> None:
        """Let a watch run behind."""
        self._watches[kind].held_until = self.seconds + seconds

    def release(self) -> None:
        """Let every watch catch up."""
        for watch in self._watches.values():
            watch.held_until = min(watch.held_until, self.seconds)

    def cut(self, kind: Kind, seconds: float) -> None:
        """Let a watch lose all that happens for a while; then it lists anew, and is silent on what has gone."""
        watch = self._watches[kind]
        watch.queue.clear()
        watch.is_cut = True
        self._loop.call_later(seconds, self._list, kind)

    def _list(self, kind: Kind) -> None:
        watch = self._watches[kind]
        watch.is_cut = False
        watch.queue.clear()
        watch.queue.extend((None, manifest) for manifest in self.watched(kind))
        self._pump(watch, kind)

    def _announce(self, kind: Kind, old: Json | None, new: Json | None) -> None:
        """Tell the watch. An object that its selector finds no longer is gone, as far as the watch is concerned."""
        self.on_change(kind, new)
        watch = self._watches.get(kind)
        if watch is None or watch.is_cut or self._hear is None:
            return
        selector = RESOURCES[kind].selector
        was_in = old is not None and is_selected(old, selector)
        if new is not None and is_selected(new, selector):
            watch.queue.append(("MODIFIED" if was_in else "ADDED", new))
        elif old is not None and was_in:
            version = str(self.version)
            watch.queue.append(("DELETED", merged(new or old, {"metadata": {"resourceVersion": version}})))
        self._pump(watch, kind)

    def _pump(self, watch: Watch, kind: Kind) -> None:
        if not watch.is_running and watch.queue:
            watch.is_running = True
            delay = max(self.chance.uniform(0, LATENCY), watch.held_until - self.seconds)
            self._loop.call_later(delay, self._deliver, watch, kind)

    def _deliver(self, watch: Watch, kind: Kind) -> None:
        watch.is_running = False
        if self.seconds >= watch.held_until and watch.queue:
            event, manifest = watch.queue.popleft()
            if self._hear is not None:
                self._hear(kind, event, copied(manifest))
        self._pump(watch, kind)


def without_foreign_status(kind: Kind, before: Json, after: Json) -> Json:
    """Where status is a subresource, a write to the object itself leaves it as it was."""
    if kind in WITHOUT_STATUS:
        return after
    kept = {key: value for key, value in after.items() if key != "status"}
    return {**kept, "status": before["status"]} if "status" in before else kept


def pruned(schema: Json, value: Any) -> Any:
    """A value without what its schema does not know; a RayService's metadata is not described in it."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema == {"type": "object"}:
        return value
    if isinstance(value, list):
        return [pruned(schema["items"], item) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {key: pruned(known[key], child) for key, child in value.items() if key in known}
    return value


def validate(kind: Kind, old: Json | None, new: Json) -> None:
    """Refuse what the API server does not take."""
    if kind is Kind.POD and image_of(new) == NO_IMAGE:
        raise Refused("spec.containers[0].image: Invalid value")
    if kind in MISSING:
        raise Refused(f"no matches for kind {kind}")
    if kind is Kind.REVISION and old is not None and old["data"] != new["data"]:
        raise Refused("the data of a ControllerRevision is immutable")
    if kind is Kind.SERVICE and name_twice(new["spec"].get("ports", ())):
        raise Refused("spec.ports: Duplicate value")
    if kind is Kind.SERVICE and old is not None and "clusterIP" in old["spec"]:
        # An address that an apply leaves out stays.
        new["spec"].setdefault("clusterIP", old["spec"]["clusterIP"])
        if new["spec"]["clusterIP"] != old["spec"]["clusterIP"]:
            raise Refused("spec.clusterIP: Invalid value: field is immutable")
