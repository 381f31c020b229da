"""Serve applications that come up well and do badly: only an analysis of their answers tells."""

import asyncio
import itertools
import os

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment
class Spoilt:
    """Fails every second request, or answers all of them late."""

    def __init__(self, *, status: int = 200, seconds: float = 0.0) -> None:
        self._status, self._seconds = status, seconds
        self._count = itertools.count()

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer as JSON."""
        await asyncio.sleep(self._seconds)
        is_good = next(self._count) % 2 == 0
        cluster = os.environ.get("RAY_CLUSTER_NAME")
        return JSONResponse({"cluster": cluster}, status_code=200 if is_good else self._status)


failing = Spoilt.bind(status=500)
slow = Spoilt.bind(seconds=0.5)
