"""What is told of a RayService, in the log and as events, never has a value that may be a secret."""

from __future__ import annotations

import json
import logging

from typing_extensions import override

from rayserve_operator.planning.actions import Kind

from .manifests import Json
from .rayservice import ServiceStory, spec
from .virtual_time import run, wait

SECRET = "hunter2"  # noqa: S105
ENGINE = "rayserve_operator.engine"


class Memory(logging.Handler):
    """All lines."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info or ''}")


def confided(wanted: Json) -> Json:
    """The spec, with secrets where users have them: in environments, and in the code's own settings."""
    groups = [wanted["rayClusterConfig"]["headGroupSpec"], *wanted["rayClusterConfig"]["workerGroupSpecs"]]
    for group in groups:
        group["template"]["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "value": SECRET}]
    code = "  import_path:"
    runtime_env = f"  runtime_env: {{env_vars: {{TOKEN: {SECRET}}}}}\n"
    return wanted | {"serveConfigV2": wanted["serveConfigV2"].replace(code, f"{runtime_env}{code}")}


async def tell(memory: Memory) -> tuple[list[Json], list[str]]:
    async with ServiceStory() as story:
        story.edit(confided(spec()))
        await wait(25)
        story.edit(confided(spec(image="b", code="bad")))
        await wait(60)
        story.edit(confided(spec(image="missing")))
        await wait(150)
        return story.world.all(Kind.EVENT), memory.lines


def test_no_secret_is_told_however_much_is_logged() -> None:
    memory, logger = Memory(), logging.getLogger(ENGINE)
    level = logger.level
    logger.addHandler(memory)
    logger.setLevel(logging.DEBUG)
    try:
        events, lines = run(tell(memory))
    finally:
        logger.setLevel(level)
        logger.removeHandler(memory)
    reasons = {event["reason"] for event in events}
    assert reasons >= {"CreatedRayCluster", "SwitchedTraffic", "ImageError"}
    assert any("Done: Create RayCluster" in line for line in lines)
    assert SECRET not in json.dumps(events)
    assert not [line for line in lines if SECRET in line]
