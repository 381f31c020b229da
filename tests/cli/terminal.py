"""What a command shows on a terminal, as a picture."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

RAYSERVE = Path(sys.executable).with_name("rayserve")
COLUMNS = 118

_BACK = re.compile(r"(?:\r?\x1b\[(?:2K|\d*A))+")
"""What a live view sends to write over the lines that it has written."""
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def environment() -> Mapping[str, str]:
    """That of a command whose output goes to a pipe, and is to look as on a terminal."""
    told = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "60"}
    return {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | told


def shown(arguments: Sequence[str], folder: Path) -> str:
    """All that `rayserve` shows in a folder, with its colours, whatever its exit code. Raises OSError."""
    command = [str(RAYSERVE), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout + done.stderr


def frames(sent: str) -> Sequence[str]:
    """What a live view has shown, one thing after the other, out of all that it has sent."""
    return [frame for frame in _BACK.split(sent) if Text.from_ansi(frame).plain.strip()]


def picture(arguments: Sequence[str], screen: str) -> str:
    """An SVG of a terminal with `rayserve` and what it has shown. It loads no fonts, nor anything else."""
    command = " ".join(("rayserve", *arguments))
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
    console.print(Text.from_ansi(screen.rstrip()))
    return _FONTS.sub("", console.export_svg(title=command, unique_id=arguments[0])) + "\n"
