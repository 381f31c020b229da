"""Stand-ins for the Rays of all heads: what they are sent runs at once, on all pods."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

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
        self._asked: Counter[str] = Counter()
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
            self._heads.take(at, json.loads(await request.read()))
            return web.Response()
        async with self._was_asked:
            self.requests += 1
            self._asked[at] += 1
            self._was_asked.notify_all()
        return web.Response(body=self._heads.answer(at), content_type="application/json")

    async def asked_by_all(self, times: int, heads: int) -> None:
        """Wait until each of so many heads was asked so many times more."""
        before = self._asked.copy()
        async with self._was_asked:
            await self._was_asked.wait_for(
                lambda: len(self._asked) == heads and all(self._asked[at] >= before[at] + times for at in self._asked)
            )
