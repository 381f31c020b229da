"""Looks at something again and again while a scenario does other things."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

INTERVAL = 0.1

Sample = TypeVar("Sample")


@contextmanager
def sampling(probe: Callable[[], Sample], *, every: float = INTERVAL) -> Iterator[list[Sample]]:
    """Collect what `probe` finds, once in so many seconds and once more at the end."""
    samples: list[Sample] = []
    end = threading.Event()

    def look() -> None:
        while not end.wait(every):
            samples.append(probe())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        end.set()
        thread.join()
        samples.append(probe())
