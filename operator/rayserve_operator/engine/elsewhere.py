"""Ray, asked so that a pass which waits for its answer keeps no other object waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from rayserve_operator.engine.ports import Ray
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.observed import Traffic


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Any Ray, with notice given of every wait for it."""

    ray: Ray
    waiting: Callable[[], AbstractAsyncContextManager[None]]
    """Lasts as long as the running pass waits."""

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        """See Ray."""
        async with self.waiting():
            return await self.ray.serve_status(address, token)

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        """See Ray."""
        async with self.waiting():
            await self.ray.submit(address, config, token)

    async def ongoing_requests(self, host: str, port: int) -> int | None:
        """See Ray."""
        async with self.waiting():
            return await self.ray.ongoing_requests(host, port)

    async def traffic(self, host: str, port: int) -> Traffic | None:
        """See Ray."""
        async with self.waiting():
            return await self.ray.traffic(host, port)

    async def answers(self, host: str, port: int, path: str, *, https: bool) -> int | None:
        """See Ray."""
        async with self.waiting():
            return await self.ray.answers(host, port, path, https=https)

    async def proxy_answers(self, host: str, port: int, *, https: bool) -> bool:
        """See Ray."""
        async with self.waiting():
            return await self.ray.proxy_answers(host, port, https=https)
