"""How plans speak to people."""

from collections.abc import Sequence

_SHOWN = 3


def few(paths: Sequence[str]) -> str:
    """The first few of many, and how many more there are."""
    left = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
