from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from rayserve_operator.cli.together import latest


async def stream(*values: Any, then: asyncio.Event | None = None) -> AsyncIterator[Any]:
    for value in values:
        if isinstance(value, Exception):
            raise value
        yield value
    if then is not None:
        await then.wait()


async def never() -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield


async def test_nothing_is_told_before_all_have_begun_and_then_what_each_gave_last() -> None:
    found = [pair async for pair in latest(stream(1, 2, 3), stream("a"))]
    assert found == [(1, "a"), (2, "a"), (3, "a")]


async def test_the_leading_stream_ends_it_and_no_other() -> None:
    gate = asyncio.Event()
    async with aclosing(latest(stream(1, then=gate), stream("a"))) as pairs:
        assert await anext(pairs) == (1, "a")
        gate.set()
        assert await anext(pairs, None) is None


async def test_what_goes_wrong_in_any_is_raised() -> None:
    with pytest.raises(ValueError, match="b"):
        [pair async for pair in latest(never(), stream(ValueError("b")))]


async def test_nothing_is_left_under_way() -> None:
    before = asyncio.all_tasks()
    async with aclosing(latest(stream(1, then=asyncio.Event()), stream("a", then=asyncio.Event()))) as pairs:
        await anext(pairs)
    assert asyncio.all_tasks() == before
