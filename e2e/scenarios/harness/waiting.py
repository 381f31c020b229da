"""Waiting for something to become so, with a deadline and never for a fixed time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.1
OFTEN = 0.05
"""Seconds between looks where the very moment counts."""


class NotInTimeError(AssertionError):
    """What was waited for did not come."""


def until(probe: Callable[[], T], what: str, within: float, *, every: float = INTERVAL) -> T:
    """Call `probe` until its answer is true, and return that.

    A failed `assert`, or something missing, in the probe is one more reason to look again. Raises
    NotInTimeError, with the last answer.
    """
    began = time.monotonic()
    pause = threading.Event()
    while True:
        last: object
        try:
            answer = probe()
        except (AssertionError, LookupError) as error:
            last = error
        else:
            if answer:
                return answer
            last = answer
        if time.monotonic() - began > within:
            raise NotInTimeError(f"not within {within:g} s: {what}; last seen: {last!r}")
        pause.wait(every)


class Stopwatch:
    """Counts the seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return time.monotonic() - self._began
