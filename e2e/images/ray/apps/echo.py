"""A Serve application that answers with what its user_config says: the smallest to watch.

`GET /?sleep=SECONDS` holds the request for so long before it is answered, to try long requests.
"""

import asyncio
import os
import socket
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

LONGEST_SLEEP = 3600.0


@serve.deployment
class Echo:
    """Answers every request with its greeting, its pod and its cluster."""

    def __init__(self) -> None:
        self._greeting = "hello"

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take the greeting from the deployment's user_config."""
        self._greeting = str(config.get("greeting", "hello"))

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer as JSON, after `?sleep=` seconds if asked to wait."""
        try:
            seconds = float(request.query_params.get("sleep", 0))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_SLEEP:
            return JSONResponse(
                {"error": f"sleep must be a number from 0 to {LONGEST_SLEEP:g}"}, status_code=400
            )
        if seconds:
            await asyncio.sleep(seconds)
        return JSONResponse(
            {
                "greeting": self._greeting,
                "pod": os.environ.get("RAY_CLOUD_INSTANCE_ID") or socket.gethostname(),
                "cluster": os.environ.get("RAY_CLUSTER_NAME"),
            }
        )


app = Echo.bind()
