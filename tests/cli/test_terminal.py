from __future__ import annotations

from io import StringIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tests.cli.pictures import PICTURES, files
from tests.cli.terminal import frames, picture


def test_the_frames_of_a_live_view_are_told_apart() -> None:
    sent = StringIO()
    console = Console(file=sent, force_terminal=True, width=40, height=10)
    with Live(Text("nothing"), console=console, auto_refresh=False) as live:
        live.update(Group(Text("starting", "yellow"), "0%"), refresh=True)
        live.update(Group(Text("serving", "green"), "100%"), refresh=True)
    shown = [[line.strip() for line in Text.from_ansi(frame).plain.split("\n")] for frame in frames(sent.getvalue())]
    assert [frame for frame in shown if frame[0] == "starting"] == [["starting", "0%"]]
    assert shown[-1][:2] == ["serving", "100%"]


def test_a_picture_holds_what_was_shown_and_loads_nothing() -> None:
    svg = picture(["lint", "shop.yaml"], "\x1b[31merror\x1b[0m RS105\n")
    assert ">error</text>" in svg
    assert "$&#160;" in svg
    assert "url(http" not in svg
    assert "@font-face" not in svg


def test_what_is_planned_is_an_edit_of_the_sample() -> None:
    given = files()
    assert given["old.yaml"] != given["new.yaml"]
    assert {name for command in PICTURES.values() for name in command if name.endswith(".yaml")} == given.keys()
