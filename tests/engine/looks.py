"""Passes that do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from rayserve_operator.engine.served import Served
from rayserve_operator.engine.store import Key
from rayserve_operator.planning.custody import Custody


class Looks:
    """Notes what is looked at."""

    def __init__(self) -> None:
        self.found: list[Key] = []
        self.custody = Custody("marked")
        self.served = Served()

    async def run(self, key: Key) -> timedelta | None:
        """Look at an object, and wait for something to wake it."""
        self.found.append(key)
        return None

    def forget(self, living: Iterable[str]) -> None:
        """Nothing is kept between passes."""
