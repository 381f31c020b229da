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
    """The operator has ended although nobody asked it to, or never began."""


class Subject:
    """A command line that can be started and stopped, and what its processes use.

    Args:
        command: the command line.
        kubeconfig: what it is given to reach the API server by.
        log: the file for all that it says.
        group: fails with SubjectEnded when it ends although nobody asked it to.
    """

    def __init__(self, command: Sequence[str], kubeconfig: Path, log: Path, group: asyncio.TaskGroup) -> None:
        self.command = command
        self._group = group
        self._log = log
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PATH": path}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and return at once. Raises SubjectEnded where there is no such program."""
        with self._log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise SubjectEnded(f"the operator cannot be started: {error}") from error
        self._group.create_task(self._guard(self._process))

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

    @property
    def pid(self) -> int:
        """The process that was started. Raises SubjectEnded where there is none."""
        if self._process is None:
            raise SubjectEnded("the operator does not run")
        return self._process.pid

    def used(self) -> Consumption:
        """What its processes have used since it was started."""
        return Consumption(0, 0, 0) if self._process is None else consumption(self._process.pid)

    def forget_peak(self) -> None:
        """Let the peak of its memory begin anew."""
        if self._process is not None:
            forget_peak(self._process.pid)

    async def _guard(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._process is process:
            self._process = None
            raise SubjectEnded(f"the operator has ended; the end of {self._log}:\n{tail(self._log)}")
