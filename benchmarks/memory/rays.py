"""Stand-ins for the Rays of all heads: what they are sent runs at once, on all pods."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable

from aiohttp import web

from benchmarks.ray.heads import Heads
from rayserve_operator.adapters.ray import APPLICATIONS
from rayserve_operator.planning.actions import Kind
from scenarios.harness.kube import Manifest


class Rays:
    """The Serve applications of every head, and how often each head was asked for them."""

    def __init__(self) -> None:
        self.requests = 0
        self._heads = Heads()
        self._config: Manifest = {}
        """What was sent last."""
        self._asked: Counter[str] = Counter()
        self._times = 0
        self._done = 0
        """Heads that were asked so many times."""
        self._was_asked = asyncio.Condition()

    @property
    def runner(self) -> web.BaseRunner:
        """Serves their answers, and those of the Serve proxies."""
        return web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0)

    def saw(self, kind: Kind, manifest: Manifest) -> None:
        """Run Ray on a new pod."""
        if kind is Kind.POD:
            self._heads.saw("ADDED", manifest)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        at = request.get_extra_info("sockname")[0]
        if request.path != APPLICATIONS:
            return web.Response(text="success")
        if request.method == "PUT":
            self._config = json.loads(await request.read())
            self._heads.take(at, self._config)
            return web.Response()
        async with self._was_asked:
            self.requests += 1
            self._asked[at] += 1
            self._done += self._asked[at] == self._times
            self._was_asked.notify_all()
        return web.Response(body=self._heads.answer(at), content_type="application/json")

    async def asked_by_all(self, times: int, heads: int) -> None:
        """Wait until each of so many heads was asked so many times more."""
        self._asked.clear()
        self._times, self._done = times, 0
        async with self._was_asked:
            await self._was_asked.wait_for(lambda: self._done == heads)

    def multiply(self, addresses: Iterable[str]) -> None:
        """Let the heads at these addresses run what the only one that there is runs."""
        for address in addresses:
            self._heads.take(address, self._config)
