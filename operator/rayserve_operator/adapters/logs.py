"""How the operator's log is written. Every line of a pass names its object and the number of the pass."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from typing_extensions import override

from rayserve_operator.engine import scope

QUIET = ("aiohttp", "asyncio", "kopf", "kubernetes", "urllib3")
"""Libraries whose lines count only from WARNING on."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line: dict[str, str | int] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        current = scope.current()
        if current is not None:
            line |= {**current.key._asdict(), "pass": current.number}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextLines(logging.Formatter):
    """Lines for people: when, how bad, about what, what."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(about)s%(message)s")

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        current = scope.current()
        record.about = ""
        if current is not None:
            key = current.key
            record.about = f"{key.kind} {key.namespace}/{key.name} #{current.number}: "
        return super().format(record)


def begin(level: str, form: str) -> None:
    """Log from this level on to the standard error, as `json` or as `text`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
