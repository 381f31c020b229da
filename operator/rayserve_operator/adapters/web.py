"""The operator's own HTTP endpoints: probes and metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

Probe = Callable[[], bool]


class Endpoints:
    """Serves /healthz, /readyz and /metrics."""

    def __init__(self, registry: CollectorRegistry, *, is_alive: Probe, is_ready: Probe) -> None:
        application = web.Application()
        application.router.add_get("/healthz", _probe(is_alive))
        application.router.add_get("/readyz", _probe(is_ready))
        application.router.add_get("/metrics", make_aiohttp_handler(registry))
        self._runner = web.AppRunner(application, access_log=None)

    async def open(self, port: int) -> None:
        """Listen on this port of every address."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=port).start()

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()


def _probe(holds: Probe) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        is_so = holds()
        return web.json_response({"ok": is_so}, status=200 if is_so else 503)

    return answer
