"""A stand-in for the API server: it keeps what is written to it, lists it and lets it be watched.

It does no more than an operator needs that makes RayServices: nothing is validated, owned or deleted.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jsonpatch
from aiohttp import web

from benchmarks.memory.objects import copies, created, with_managed_fields
from rayserve_operator.adapters.kube import APPLY, JSON_PATCH, RESOURCES, Resource
from rayserve_operator.crdgen import definitions
from rayserve_operator.engine.store import OPTIONAL, WATCHED
from rayserve_operator.planning.actions import Kind
from scenarios.harness.kube import Manifest
from tests.sim.manifests import merged

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_SERVED = {RESOURCES[kind].plural: kind for kind in WATCHED if kind not in OPTIONAL}
_CRDS = {crd["metadata"]["name"]: crd for crd in definitions().values()}


Heard = Callable[[Kind, Manifest], None]


@dataclass(slots=True)
class ApiServer:
    """Objects by kind, namespace and name. Pods run at once.

    Args:
        hear: is told every object as it now is.
    """

    hear: Heard
    writes: int = 0
    """Requests that have changed something."""
    listed_bytes: int = 0
    """Of all answers to lists."""
    _objects: defaultdict[Kind, dict[tuple[str, str], Manifest]] = field(default_factory=lambda: defaultdict(dict))
    _version: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    """A RayService has."""
    _watches: defaultdict[Kind, set[asyncio.Queue[bytes]]] = field(default_factory=lambda: defaultdict(set))

    @property
    def runner(self) -> web.BaseRunner:
        """Answers requests."""
        served = web.Application(client_max_size=2**24)
        served.router.add_get("/api", _core_versions)
        served.router.add_get("/apis", _groups)
        for root in {RESOURCES[kind].root for kind in WATCHED}:
            served.router.add_get(root, _resources_of)
        for path in ("/apis/{group}/{version}", "/api/{version}"):
            served.router.add_get(f"{path}/{{plural}}", self._listed)
            served.router.add_get(f"{path}/namespaces/{{namespace}}/{{plural}}", self._listed)
            served.router.add_post(f"{path}/namespaces/{{namespace}}/{{plural}}", self._created)
            one = f"{path}/namespaces/{{namespace}}/{{plural}}/{{name}}"
            served.router.add_get(one, self._found)
            served.router.add_patch(one, self._patched)
            served.router.add_patch(f"{one}/status", self._patched)
        served.router.add_get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}", _definition)
        return web.AppRunner(served, access_log=None, handler_cancellation=True, shutdown_timeout=0)

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Have another object."""
        return self._keep(kind, "ADDED", created(kind, manifest))

    def multiply(self, services: int, shards: int) -> None:
        """Have so many RayServices, each with the same as the only one that there is now, and divide them by label."""
        kinds = {str(kind): kind for kind in WATCHED}
        first = [manifest for found in self._objects.values() for manifest in found.values()]
        for number in range(1, services):
            for manifest in copies(first, number, shard=number % shards):
                self._keep(kinds[manifest["kind"]], "ADDED", manifest)

    async def ready(self, services: int) -> None:
        """Wait until so many RayServices take traffic."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: sum(map(_is_ready, self._objects[Kind.RAY_SERVICE].values())) == services
            )

    def touch(self) -> None:
        """Change every object as little as can be."""
        for kind, found in list(self._objects.items()):
            for manifest in list(found.values()):
                self._keep(kind, "MODIFIED", manifest)

    def _keep(self, kind: Kind, event: str, manifest: Manifest) -> Manifest:
        self._version += 1
        metadata = manifest["metadata"]
        kept = {**manifest, "metadata": {**metadata, "resourceVersion": str(self._version)}}
        self._objects[kind][metadata["namespace"], metadata["name"]] = kept
        self.hear(kind, kept)
        line = json.dumps({"type": event, "object": kept}).encode() + b"\n"
        for watch in self._watches[kind]:
            watch.put_nowait(line)
        return kept

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        kind = _kind(request)
        if "watch" in request.query:
            return await self._watched(kind, request)
        everything = list(self._objects[kind].values())
        begin, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", len(everything)))
        end = begin + limit
        items = everything[begin:end]
        if "PartialObjectMetadata" in request.headers.get("Accept", ""):
            items = [{"metadata": item["metadata"]} for item in items]
        metadata = {"resourceVersion": str(self._version), "continue": str(end) if end < len(everything) else ""}
        body = json.dumps({"kind": f"{kind}List", "metadata": metadata, "items": items}).encode()
        self.listed_bytes += len(body)
        return web.Response(body=body, content_type="application/json")

    async def _watched(self, kind: Kind, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._watches[kind].add(lines)
        try:
            while True:
                await response.write(await lines.get())
        finally:
            self._watches[kind].discard(lines)

    async def _found(self, request: web.Request) -> web.Response:
        return web.json_response(self._one(request))

    async def _created(self, request: web.Request) -> web.Response:
        kind, manifest = _kind(request), json.loads(await request.read())
        if "dryRun" in request.query or kind not in WATCHED:
            return web.json_response(manifest, status=201)
        self.writes += 1
        return web.json_response(self.create(kind, manifest), status=201)

    async def _patched(self, request: web.Request) -> web.Response:
        self.writes += 1
        kind, patch = _kind(request), json.loads(await request.read())
        if request.content_type == APPLY and self._find(request) is None:
            return web.json_response(self.create(kind, patch), status=201)
        before = self._one(request)
        is_json_patch = request.content_type == JSON_PATCH
        after = jsonpatch.apply_patch(before, patch) if is_json_patch else merged(before, patch)
        kept = self._keep(kind, "MODIFIED", with_managed_fields(after))
        if kind is Kind.RAY_SERVICE:
            async with self._changed:
                self._changed.notify_all()
        return web.json_response(kept)

    def _find(self, request: web.Request) -> Manifest | None:
        return self._objects[_kind(request)].get((request.match_info["namespace"], request.match_info["name"]))

    def _one(self, request: web.Request) -> Manifest:
        found = self._find(request)
        if found is None:
            raise _missing(request.match_info["name"])
        return found


def _kind(request: web.Request) -> Kind:
    plural = request.match_info["plural"]
    asked = f"/{request.path.split('/')[1]}/{'/'.join(request.path.split('/')[2:4])}"
    found = [kind for kind, one in RESOURCES.items() if one.plural == plural and asked.startswith(one.root)]
    if not found or found[0] in OPTIONAL:
        raise _missing("")
    return found[0]


def _is_ready(service: Manifest) -> bool:
    return bool(service.get("status", {}).get("serviceStatus") == "Running")


def _missing(name: str) -> web.HTTPNotFound:
    text = json.dumps({"kind": "Status", "reason": "NotFound", "details": {"name": name}})
    return web.HTTPNotFound(text=text, content_type="application/json")


def _resources(root: str) -> Iterator[Resource]:
    return (RESOURCES[kind] for kind in _SERVED.values() if RESOURCES[kind].root == root)


async def _core_versions(_: web.Request) -> web.Response:
    return web.json_response({"versions": ["v1"]})


async def _groups(_: web.Request) -> web.Response:
    found = {(one.group, one.version) for kind in _SERVED.values() if (one := RESOURCES[kind]).group}
    versions = [(group, {"groupVersion": f"{group}/{version}", "version": version}) for group, version in found]
    return web.json_response(
        {"groups": [{"name": group, "preferredVersion": one, "versions": [one]} for group, one in versions]}
    )


async def _resources_of(request: web.Request) -> web.Response:
    found = [
        {"name": one.plural, "singularName": "", "namespaced": True, "kind": _SERVED[one.plural], "verbs": _VERBS}
        for one in _resources(request.path)
    ]
    return web.json_response({"resources": found})


async def _definition(request: web.Request) -> web.Response:
    return web.json_response(_CRDS[request.match_info["name"]])
