"""Durations as Go writes them, which KubeRay's annotations use."""

import re
from datetime import timedelta

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> timedelta:
    """A duration above zero: whole seconds (`90`), or a duration of Go (`1h30m`, `1.5m`).

    Raises:
        ValueError: if it is neither, or not above zero.
    """
    if text.isascii() and text.isdecimal():
        seconds = float(text)
    elif text and _PART.sub("", text) == "":
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(f"{text!r} is no duration")
    try:
        duration = timedelta(seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long") from error
    if duration <= timedelta():
        raise ValueError(f"{text!r} is not above zero")
    return duration
