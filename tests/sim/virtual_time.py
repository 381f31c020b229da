"""An event loop whose time passes only when nothing else is left to do, so that hours of timers take milliseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from typing_extensions import override

Result = TypeVar("Result")


class _Selector(selectors.DefaultSelector):
    """Never waits for a file: where the loop would wait, its time jumps."""

    jump: Callable[[float], None]

    @override
    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        if timeout > 0:
            self.jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The standard loop over a clock of its own, which starts at zero."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.jump = self._jump
        self._now = 0.0
        super().__init__(selector)

    @override
    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def wait(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, None)
    await done
