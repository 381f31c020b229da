"""The stand-in from the benchmark's side: start it, tell it what to do, hear what it was sent."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

CONTROL_PORT = 18265
READY = "ready"
"""What the stand-in prints when it listens."""


class RayStandIn:
    """The stand-in, running."""

    def __init__(self, session: aiohttp.ClientSession, pid: int) -> None:
        self.pid = pid
        self._session = session

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[RayStandIn]:
        """Run it until the end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.ray", stdout=asyncio.subprocess.PIPE
        )
        try:
            if process.stdout is None or (await process.stdout.readline()).decode().strip() != READY:
                raise RuntimeError("the stand-in for Ray does not start; what it says is above")
            async with aiohttp.ClientSession(
                f"http://127.0.0.1:{CONTROL_PORT}", timeout=aiohttp.ClientTimeout()
            ) as session:
                yield cls(session, process.pid)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def counts(self) -> Counter[str]:
        """Requests so far, by method and path."""
        async with self._session.get("/counts") as response:
            return Counter(await response.json())

    async def hang(self, heads: Iterable[str]) -> None:
        """Let the heads at these addresses hang, and no others."""
        await self._tell("/hanging", heads)

    async def be_unhealthy(self, heads: Iterable[str]) -> None:
        """Let the heads at these addresses call their applications UNHEALTHY, and no others."""
        await self._tell("/unhealthy", heads)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What it tells, as it comes: `put` and `edit` of a Serve config, or `hung` with an address; always `at`."""
        async with self._session.get("/events") as response:
            async for line in response.content:
                yield json.loads(line)

    async def _tell(self, path: str, heads: Iterable[str]) -> None:
        async with self._session.put(path, json=sorted(heads)) as response:
            response.raise_for_status()
