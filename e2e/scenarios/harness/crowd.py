"""Users of a service by Locust, in a process of its own; their number changes as they run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scenarios.harness.load import Record, Request
from scenarios.harness.waiting import until

LOCUSTFILE = Path(__file__).parent.parent / "load" / "locustfile.py"
REQUEST_TAKES = 60
"""Seconds that a user may still wait for an answer when it is told to go."""


@dataclass(frozen=True)
class Crowd:
    """Users who each wait for an answer, think, then ask again."""

    url: str
    folder: Path
    """Where it may keep its files."""

    @contextmanager
    def running(self, users: int) -> Iterator["Crowd"]:
        """Run; the end lets each user have its answer.

        Raises RuntimeError, with Locust's log, where it does not start.
        """
        self.resize(users)
        self._requests.touch()
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command(),
                env=os.environ
                | {"CROWD_SIZE": str(self._size), "CROWD_RECORD": str(self._requests)},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        try:
            until(lambda: self._runs(process), "Locust's users ask", 60)
            yield self
        finally:
            process.terminate()
            try:
                process.wait(timeout=REQUEST_TAKES + 30)
            finally:
                process.kill()

    def resize(self, users: int) -> None:
        """Let so many users ask from now on; those who go first have their answer."""
        # Locust must never read half a file.
        new = self._size.with_suffix(".new")
        new.write_text(str(users))
        new.replace(self._size)

    def record(self) -> Record:
        """What has become of the requests so far."""
        with self._requests.open() as lines:
            # The last line may be half written.
            return Record(
                requests=[Request(**json.loads(line)) for line in lines if line.endswith("\n")]
            )

    @property
    def _size(self) -> Path:
        return self.folder / "users"

    @property
    def _requests(self) -> Path:
        return self.folder / "requests.jsonl"

    @property
    def _log(self) -> Path:
        return self.folder / "locust.log"

    def _runs(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"Locust has ended:\n{self._log.read_text()}")
        return self.record().sent > 0

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
            *("--locustfile", str(LOCUSTFILE), "--host", self.url),
            *("--stop-timeout", str(REQUEST_TAKES)),
        ]
