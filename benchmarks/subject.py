"""The operator that is measured: a command line, known only by what it does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import Consumption, consumption, forget_peak
from localcluster.progress import tail

GRACE = 30.0
"""Seconds that it is given to end."""


class SubjectEnded(Exception):
    """The operator has ended although nobody asked it to."""


class Subject:
    """A command line that can be started and stopped, and what its processes use."""

    def __init__(self, command: Sequence[str], kubeconfig: Path, log: Path) -> None:
        self.command = command
        self._log = log
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PATH": path}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return at once."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    async def stop(self) -> None:
        """Ask it to end, and end what is left of it after a while."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await process.wait()
        with suppress(ProcessLookupError):
            # It leads a session of its own, so this reaches what it has started and nothing else.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def used(self) -> Consumption:
        """What its processes have used since it was started. Raises SubjectEnded."""
        if self._process is None:
            return Consumption(0, 0, 0)
        if self._process.returncode is not None:
            raise SubjectEnded(f"the operator has ended; the end of {self._log}:\n{tail(self._log)}")
        return consumption(self._process.pid)

    def forget_peak(self) -> None:
        """Let the peak of its memory begin anew."""
        if self._process is not None:
            forget_peak(self._process.pid)
