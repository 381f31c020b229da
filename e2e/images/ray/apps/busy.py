"""A Serve application that is busy for a while with each request: something to scale.

Its work is synchronous, as a model's is: a replica does one request after the other, so only more
replicas answer more. It waits instead of computing, so that a small machine can hold several.

    GET /?seconds=0.5    the work takes so long; without `seconds`, as long as the user_config says
"""

import os
import socket
import time
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

LONGEST = 600.0


@serve.deployment
class Busy:
    """Answers with its pod and its cluster, when its work is done."""

    def __init__(self) -> None:
        self._seconds = 0.1

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Take the length of the work from the deployment's user_config."""
        self._seconds = float(config.get("seconds", 0.1))

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer as JSON, after the work."""
        try:
            seconds = float(request.query_params.get("seconds", self._seconds))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST:
            message = f"seconds must be a number from 0 to {LONGEST:g}"
            return JSONResponse({"error": message}, status_code=400)
        time.sleep(seconds)
        return JSONResponse(
            {
                "pod": os.environ.get("RAY_CLOUD_INSTANCE_ID") or socket.gethostname(),
                "cluster": os.environ.get("RAY_CLUSTER_NAME"),
            }
        )


app = Busy.bind()
