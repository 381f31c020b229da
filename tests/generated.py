"""Documents that are generated: written by `make generate`, and compared by `make generate-check`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def keep(text: str, arguments: Sequence[str]) -> int:
    """Write the text to the file that is named, or with --check tell whether it is there already.

    Returns:
        The exit status: 1 if the file is not what it should be.
    """
    is_check = "--check" in arguments
    [path] = (Path(argument) for argument in arguments if argument != "--check")
    if path.is_file() and path.read_text() == text:
        return 0
    if not is_check:
        path.write_text(text)
    sys.stdout.write(f"{path} is out of date; run `make generate`\n" if is_check else f"wrote {path}\n")
    return 1 if is_check else 0
