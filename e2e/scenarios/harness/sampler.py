"""Looks at something again and again while a scenario does other things."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

INTERVAL = 0.1

Sample = TypeVar("Sample")


@contextmanager
def sampling(probe: Callable[[], Sample]) -> Iterator[list[Sample]]:
    """Collect what `probe` finds, ten times a second and once more at the end."""
    samples: list[Sample] = []
    end = threading.Event()

    def look() -> None:
        while not end.wait(INTERVAL):
            samples.append(probe())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        end.set()
        thread.join()
        samples.append(probe())
