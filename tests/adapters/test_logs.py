import asyncio
import json
import logging
import sys
from collections.abc import Callable

import pytest

from rayserve_operator.adapters.logs import JsonLines, TextLines
from rayserve_operator.engine import scope
from rayserve_operator.engine.loop import Loop
from rayserve_operator.engine.store import Key
from rayserve_operator.planning.actions import Kind

KEY = Key(Kind.RAY_SERVICE, "shop", "demo")
OTHER = Key(Kind.RAY_CLUSTER, "shop", "demo-abcde")


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("rayserve_operator.engine.loop", logging.INFO, __file__, 1, message, (), None)


async def formatted_in_a_pass(keys: list[Key], format_line: Callable[[logging.LogRecord], str]) -> list[str]:
    """A line of a pass of each object, formatted while all of the passes are under way."""
    lines: list[str] = []
    together = asyncio.Barrier(len(keys) + 1)

    async def look(_: Key) -> None:
        await together.wait()
        lines.append(format_line(record("words")))
        await together.wait()

    loop = Loop(look)
    loop.open()
    for key in keys:
        loop.wake(key)
    await together.wait()
    await together.wait()
    await loop.close()
    return lines


async def test_a_line_of_a_pass_names_its_object_and_the_pass() -> None:
    lines = [json.loads(line) for line in await formatted_in_a_pass([KEY, OTHER], JsonLines().format)]
    assert {(line["kind"], line["namespace"], line["name"], line["message"]) for line in lines} == {
        ("RayService", "shop", "demo", "words"),
        ("RayCluster", "shop", "demo-abcde", "words"),
    }
    assert lines[0]["pass"] != lines[1]["pass"]
    assert lines[0].keys() == {"time", "level", "logger", "kind", "namespace", "name", "pass", "message"}


async def test_text_says_the_same_in_front_of_the_words() -> None:
    [line] = await formatted_in_a_pass([KEY], TextLines().format)
    assert line.split(" INFO    ")[1].startswith("RayService shop/demo #")
    assert line.endswith(": words")


@pytest.mark.parametrize("format_line", [JsonLines().format, TextLines().format], ids=["json", "text"])
def test_a_line_outside_of_passes_is_about_nothing(format_line: Callable[[logging.LogRecord], str]) -> None:
    assert scope.current() is None
    assert "#" not in format_line(record("words"))


def test_an_exception_stays_in_its_line() -> None:
    try:
        int("broken")
    except ValueError:
        failed = record("words")
        failed.exc_info = sys.exc_info()
    line = JsonLines().format(failed)
    assert "\n" not in line
    assert "ValueError: invalid literal" in json.loads(line)["exception"]
