"""`rayserve rollout status --watch` beside a rollout: the live view, as people see it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.terminal import RAYSERVE, environment, frames, picture

from scenarios.harness.rayservice import RayService


@dataclass(frozen=True)
class LiveView:
    """What the command has sent to its terminal so far."""

    service: str
    sent: Path

    @property
    def now(self) -> str:
        """What can be seen; nothing at first."""
        # The last one may be half written, and end within a character.
        return next(iter(frames(self.sent.read_text(errors="ignore"))[-2:]), "")

    def draw(self, path: Path) -> None:
        """Draw what can be seen now as an SVG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(picture(["rollout", "status", self.service, "--watch"], self.now))


@contextmanager
def watched(service: RayService, folder: Path) -> Iterator[LiveView]:
    """Follow a RayService, until it is as its spec says or the context ends."""
    name, sent = service.name, folder / "live-view"
    options = ["--watch", "--namespace", service.namespace]
    command = [str(RAYSERVE), "rollout", "status", name, *options]
    with (
        sent.open("w") as to,
        subprocess.Popen(command, env=environment(), stdout=to, stderr=to) as process,
    ):
        try:
            yield LiveView(name, sent)
        finally:
            process.terminate()
