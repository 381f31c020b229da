"""Draws what `rayserve` shows, for the docs: `python -m tests.cli.pictures [--check] FOLDER`.

What only a real rollout shows is drawn by `make pictures`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cli.terminal import picture, shown
from tests.generated import keep

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "manifests" / "samples" / "pipeline-cpu-gpu.yaml"
EDITS = (("model: toy-1", "model: toy-2"), ("localhost/ray:2.60.0", "localhost/ray:2.60.0-v2"))
"""What is planned: another model, and another image."""
PICTURES: Mapping[str, Sequence[str]] = {
    "lint": ("lint", "shop.yaml"),
    "plan": ("plan", "-f", "new.yaml", "--against", "old.yaml"),
}
"""The arguments of each picture's command, by its name."""


def files() -> Mapping[str, str]:
    """The manifests that the commands are about, by name."""
    old = new = SAMPLE.read_text()
    for was, is_ in EDITS:
        if was not in new:
            raise ValueError(f"{SAMPLE.name} has no {was}")
        new = new.replace(was, is_)
    return {"shop.yaml": (HERE / "shop.yaml").read_text(), "old.yaml": old, "new.yaml": new}


def main(arguments: Sequence[str]) -> int:
    """Keep all pictures in the folder that is named. Returns the exit status."""
    check = [argument for argument in arguments if argument == "--check"]
    [target] = (Path(argument) for argument in arguments if argument not in check)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files().items():
            (folder / file).write_text(text)
        drawn = {title: picture(command, shown(command, folder)) for title, command in PICTURES.items()}
    return max(keep(svg, [*check, str(target / f"{title}.svg")]) for title, svg in drawn.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
