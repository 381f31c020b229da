"""Users who each send one request after the other, as many at a time as a file says.

The harness runs it with `locust` (see `scenarios.harness.crowd`) and these variables:

- `CROWD_SIZE`: a file with the number of users wanted now;
- `CROWD_RECORD`: a file that gets one line of JSON for each request.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from locust import HttpUser, LoadTestShape, between, events, task

SPAWNED_A_SECOND = 10.0

size = Path(os.environ["CROWD_SIZE"])
record = Path(os.environ["CROWD_RECORD"])


class Size(LoadTestShape):
    """As many users as the file says, asked each second."""

    def tick(self) -> tuple[int, float]:
        """The number of users, and how many come or go in a second."""
        return int(size.read_text()), SPAWNED_A_SECOND


class User(HttpUser):
    """Waits for the answer, thinks, then asks again."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Each request has its own connection, straight to the service."""
        self.client.trust_env = False
        self.client.headers["Connection"] = "close"

    @task
    def ask(self) -> None:
        """Ask for the work that the deployment is set to."""
        self.client.get("/")


def _note(response_time: float, response: Any, exception: Any, **_: Any) -> None:
    seconds = response_time / 1000
    cluster = failure = None
    if exception:
        failure = f"{type(exception).__name__}: {exception}"
    else:
        cluster = response.json().get("cluster")
    noted = {
        "began": time.monotonic() - seconds,
        "seconds": seconds,
        "cluster": cluster,
        "failure": failure,
    }
    with record.open("a") as lines:
        lines.write(json.dumps(noted) + "\n")


events.request.add_listener(_note)
