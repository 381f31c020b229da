"""`python -m benchmarks.ray`: the stand-in as a program, told what to do over a port of its own.

It listens at every address of the box on the ports of Ray, and tells the heads apart by the address that was asked. It
finds out about pods by a watch. A head that hangs takes every connection and every request, and never answers.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from benchmarks.api import Api
from benchmarks.manifests import METRICS_PORT, SERVICE, told_edit
from benchmarks.ray.client import CONTROL_PORT, READY
from benchmarks.ray.heads import Heads
from scenarios.harness.fakes import SERVE_PORT
from scenarios.harness.ray import APPLICATIONS, DASHBOARD_PORT

USER_AGENT = "rayserve-bench-ray"
AGENT_PORT = 52365
BACKLOG = 4096
PATIENCE = 2.0
"""Seconds within which the watch tells of a pod whose address is asked already."""
METRICS = "ray_node_mem_used 1.0\nray_serve_num_ongoing_http_requests 0.0\n"
"""Of a node that is idle."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class StandIn:
    """Answers for every pod, counts what it is asked, and tells of every Serve config that it is sent."""

    def __init__(self) -> None:
        self._heads = Heads()
        self._counts: Counter[str] = Counter()
        self._hanging: frozenset[str] = frozenset()
        self._never = asyncio.Event()
        self._known: dict[str, asyncio.Event] = {}
        self._listeners: set[asyncio.Queue[bytes]] = set()

    async def follow_pods(self, api: Api) -> None:
        """Take in what happens to pods, until cancelled."""
        async for event, pod in api.follow("pods", SERVICE):
            address = self._heads.saw(event, pod)
            if address in self._known:
                self._known.pop(address).set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as the Ray of the pod that was asked."""
        address, port = _asked(request)
        self._counts[f"{request.method} {request.path}"] += 1
        if address in self._hanging:
            self._tell({"hung": address, "at": time.monotonic()})
            await self._never.wait()
        if port == METRICS_PORT:
            return web.Response(text=METRICS)
        if port != DASHBOARD_PORT:
            return web.Response(text="success")
        if request.path != APPLICATIONS:
            raise web.HTTPNotFound
        if not await self._is_known(address):
            raise web.HTTPServiceUnavailable
        if request.method == "PUT":
            return await self._take(address, request)
        return web.Response(body=self._heads.answer(address), content_type="application/json")

    async def obey(self, request: web.BaseRequest) -> web.StreamResponse:
        """Do what the benchmark asks for."""
        match request.method, request.path:
            case "GET", "/counts":
                return web.json_response(self._counts)
            case "PUT", "/hanging":
                self._hanging = frozenset(await request.json())
            case "PUT", "/unhealthy":
                self._heads.be_unhealthy(await request.json())
            case "GET", "/events":
                return await self._stream(request)
            case _:
                raise web.HTTPNotFound
        return web.Response()

    async def _take(self, address: str, request: web.BaseRequest) -> web.Response:
        at = time.monotonic()
        config: dict[str, Any] = json.loads(await request.read())
        self._heads.take(address, config)
        service, edit = told_edit(config) or ("", 0)
        self._tell({"put": service, "edit": edit, "at": at})
        return web.Response()

    async def _is_known(self, address: str) -> bool:
        if not self._heads.knows(address):
            known = self._known.setdefault(address, asyncio.Event())
            try:
                async with asyncio.timeout(PATIENCE):
                    await known.wait()
            except TimeoutError:
                return False
        return self._heads.knows(address)

    def _tell(self, event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        for listener in self._listeners:
            listener.put_nowait(line)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        listener: asyncio.Queue[bytes] = asyncio.Queue()
        self._listeners.add(listener)
        try:
            while True:
                await response.write(await listener.get())
        finally:
            self._listeners.discard(listener)


def _asked(request: web.BaseRequest) -> tuple[str, int]:
    name = request.get_extra_info("sockname")
    return name[0], name[1]


async def _listen(handler: Handler, host: str, *ports: int) -> None:
    runner = web.ServerRunner(
        web.Server(handler, access_log=None, handler_cancellation=True), handle_signals=False, shutdown_timeout=0
    )
    await runner.setup()
    for port in ports:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()


async def main() -> None:
    """Answer until killed."""
    stand_in = StandIn()
    await _listen(stand_in.answer, "0.0.0.0", DASHBOARD_PORT, SERVE_PORT, AGENT_PORT, METRICS_PORT)  # noqa: S104
    await _listen(stand_in.obey, "127.0.0.1", CONTROL_PORT)
    print(READY, flush=True)
    async with Api.connected(USER_AGENT) as api:
        await stand_in.follow_pods(api)


if __name__ == "__main__":
    asyncio.run(main())
