"""The dashboards are drawn from whatever Prometheus answers."""

from pathlib import Path
from typing import Any, cast

import pytest

from scenarios.harness import boards, pictures
from scenarios.harness.prometheus import Prometheus

START, END = 1_800_000_000.0, 1_800_000_600.0


class Answering:
    """A Prometheus with the same series for every question."""

    def __init__(self, values: list[str]) -> None:
        self._values = values

    def instant(self, _expression: str) -> list[dict[str, Any]]:
        """What it has now."""
        return [{"metric": {}, "value": [END, value]} for value in self._values[:1]]

    def range(self, _expression: str, *_when: float) -> list[dict[str, Any]]:
        """What it had."""
        points = [[START + 60 * i, value] for i, value in enumerate(self._values)]
        return [{"metric": {}, "values": points}] if points else []


@pytest.mark.parametrize("values", [["1", "2", "NaN", "+Inf"], []], ids=["some", "none"])
@pytest.mark.parametrize("board", [boards.OPERATOR, boards.RAYSERVICE], ids=lambda path: path.stem)
def test_every_panel_is_in_the_picture(board: Path, values: list[str], tmp_path: Path) -> None:
    panels = list(boards.panels(board, {}))
    picture = tmp_path / "board.svg"
    pictures.draw(picture, panels, cast(Prometheus, Answering(values)), START, END)
    drawn = picture.read_text()
    assert not [panel.title for panel in panels if panel.title not in drawn]
