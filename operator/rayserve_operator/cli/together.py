"""Streams that are followed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

_END = object()


async def latest(leading: AsyncIterator[Any], *others: AsyncIterator[Any]) -> AsyncGenerator[tuple[Any, ...], None]:
    """What each stream gave last: once all have begun, and again whenever any goes on.

    Ends with the leading stream. What comes at once is given at once. An error of any stream is raised.
    """
    streams = (leading, *others)
    seen: dict[int, Any] = {}
    under_way = {_next(stream): index for index, stream in enumerate(streams)}
    gone_on: list[int] = []
    try:
        while under_way:
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index, value = under_way.pop(task), task.result()
                if value is not _END:
                    seen[index] = value
                    gone_on.append(index)
                elif index == 0:
                    return
            if len(seen) == len(streams):
                yield tuple(seen[index] for index in range(len(streams)))
                # Not earlier, so that nothing is begun for one who only wants the first.
                under_way |= {_next(streams[index]): index for index in gone_on}
                gone_on.clear()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


def _next(stream: AsyncIterator[Any]) -> asyncio.Task[Any]:
    async def step() -> Any:
        return await anext(stream, _END)

    return asyncio.get_running_loop().create_task(step())
