"""Progress for a person at a terminal, and plain lines for a log."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from localcluster.cache import build_logs_dir
from localcluster.errors import LocalClusterError

TAIL_LINES = 20
_MARKS = {"✓": "green", "✗": "red", "!": "yellow", "•": "blue"}


def console() -> Console:
    """Return the console for progress: stderr, so that stdout stays for results."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def print_line(to: Console, text: str) -> None:
    """Print a line whose first character is a mark, in the mark's colour."""
    to.print(Text.assemble((text[0], _MARKS.get(text[0], "")), text[1:]))


def elapsed_text(seconds: float) -> str:
    """Return a duration in seconds as a person writes it: ``0.4s``, ``12.1s``, ``4m12s``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a text file, or an empty string where there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


class Steps:
    """Prints each step with the time it took; steps may run in several threads at once."""

    def __init__(self) -> None:
        self._console = console()
        self._lock = threading.Lock()
        self._live: Progress | None = None
        if self._console.is_terminal:
            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def note(self, text: str) -> None:
        """Print one line that is no step; its first character is its mark."""
        with self._lock:
            print_line(self._console, text)

    @contextmanager
    def step(self, title: str, hint: str = "") -> Iterator[None]:
        """Show a step while it runs and, when it has ended, the time it took."""
        doing = f"{title} ({hint})" if hint else title
        task: TaskID | None = None
        if self._live:
            task = self._live.add_task(f"{doing} …")
        else:
            self.note(f"• {doing} …")
        began = time.monotonic()
        mark = "✗"
        try:
            yield
            mark = "✓"
        finally:
            if self._live and task is not None:
                self._live.remove_task(task)
            self.note(f"{mark} {title} … {elapsed_text(time.monotonic() - began)}")


def run_logged(
    command: Sequence[str],
    log_name: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command with its output in the build log ``log_name``.

    Raises LocalClusterError with the log's tail when the command fails or is missing.
    """
    log_path = build_logs_dir() / f"{log_name}.log"
    with log_path.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                check=False,
            ).returncode
        except FileNotFoundError as error:
            raise LocalClusterError(f"{command[0]} is not installed") from error
    if status:
        raise LocalClusterError(
            f"{command[0]} ended with status {status}; the end of {log_path}:\n{tail(log_path)}"
        )
