"""Servers on this machine."""

from __future__ import annotations

import itertools
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def listening(runner: web.BaseRunner, hosts: Iterable[str], *ports: int) -> AsyncIterator[None]:
    """Serve at these ports of these addresses."""
    await runner.setup()
    try:
        for host, port in itertools.product(hosts, ports):
            await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
