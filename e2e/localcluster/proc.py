"""Processes of the host, named so that a reused pid is not taken for the old process."""

import os
import select
from contextlib import suppress
from pathlib import Path


def process_start_time(pid: int) -> int | None:
    """Return when a process has started, in clock ticks since boot; None where none lives.

    A pid together with this time names a process for good: the kernel uses pids again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def wait_for_end(pid: int, timeout: float) -> bool:
    """Wait until a process has ended, at most so many seconds; return whether it has."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            readable, _, _ = select.select([process], [], [], timeout)
            return bool(readable)
        finally:
            os.close(process)
    return True
