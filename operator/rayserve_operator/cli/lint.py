"""`rayserve lint`: what is wrong or unwise in manifests, without a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.text import Text

from rayserve_operator.advice.findings import Finding, Level
from rayserve_operator.advice.inspection import inspect
from rayserve_operator.cli.manifests import Document, read_documents
from rayserve_operator.cli.output import Output, written

STDIN = "-"

_COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.ADVICE: "cyan"}
_ANNOTATIONS = {Level.ERROR: "error", Level.WARNING: "warning", Level.ADVICE: "notice"}
"""What GitHub calls them."""
FOUND, UNUSABLE = 1, 2
"""Exit codes: there is something to fail on, and nothing could be told."""
UNREADABLE = (OSError, UnicodeDecodeError, yaml.YAMLError)
"""What reading the documents of a file raises."""


class LintOutput(StrEnum):
    """For whom findings are written."""

    HUMAN = "human"
    JSON = "json"
    YAML = "yaml"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class Told:
    """A finding in a file."""

    file: str
    line: int
    column: int
    code: str
    level: str
    path: str
    problem: str
    mend: str


def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Manifests; - reads the standard input.")],
    output: Annotated[LintOutput, typer.Option("--output", "-o", help="For people, for scripts, or for GitHub.")] = (
        LintOutput.HUMAN
    ),
    fail_on: Annotated[Level, typer.Option(help="What makes the command fail, with all that is worse.")] = Level.ERROR,
) -> None:
    """Tell what is wrong or unwise in the RayServices and RayClusters of files; all else in them is passed over.

    Ends with 0 if there is nothing to fail on, with 1 if there is, and with 2 if a file cannot be read.
    """
    told: list[Told] = []
    manifests, is_readable = 0, True
    for name in files:
        try:
            for findings in _of_file(name):
                manifests += 1
                told += findings
        except UNREADABLE as error:
            is_readable = False
            words = " ".join(str(error).split())
            Console(stderr=True).print(f"{name}: {words}", style="red", markup=False, highlight=False, soft_wrap=True)
    _write(told, manifests, output)
    if not is_readable:
        raise typer.Exit(UNUSABLE)
    if any(Level(one.level).weight >= fail_on.weight for one in told):
        raise typer.Exit(FOUND)


def read(name: str) -> str:
    """The text of a file, or what comes by the standard input. Raises OSError and UnicodeDecodeError."""
    return sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")


def called(name: str) -> str:
    """What people call a file."""
    return "standard input" if name == STDIN else name


def _of_file(name: str) -> Iterator[list[Told]]:
    text = read(name)
    return (findings_of(name, document) for document in read_documents(text))


def findings_of(name: str, document: Document) -> list[Told]:
    """What is to be said of a document in the file of this name."""
    placed = ((document.locate(finding.problem.path), finding) for finding in inspect(document.value))
    return [_told(name, *place, finding) for place, finding in placed]


def _told(file: str, line: int, column: int, finding: Finding) -> Told:
    problem = finding.problem
    return Told(
        called(file), line, column, problem.code, str(finding.level), problem.path, problem.problem, problem.mend
    )


def _write(told: Sequence[Told], manifests: int, output: LintOutput) -> None:
    if output is LintOutput.GITHUB:
        for one in told:
            typer.echo(_annotation(one))
    elif output is LintOutput.HUMAN:
        _print(told, manifests)
    else:
        typer.echo(written(told, Output(output)), nl=False)


def _print(told: Sequence[Told], manifests: int) -> None:
    console = Console(highlight=False)
    show(console, told)
    counts = [_counted(sum(one.level == level for one in told), level) for level in Level]
    of = f"{manifests} {'manifest' if manifests == 1 else 'manifests'}"
    console.print(f"{of}: {', '.join(counts) if told else 'nothing to say'}", style="dim")


def _counted(count: int, level: Level) -> str:
    return f"{count} {level}" if count == 1 or level is Level.ADVICE else f"{count} {level}s"


def show(console: Console, told: Sequence[Told]) -> None:
    """Print findings for people."""
    for one in told:
        colour = _COLOURS[Level(one.level)]
        place = f"{one.file}:{one.line}:{one.column}"
        console.print(Text.assemble((place, "bold"), " ", (one.level, colour), " ", one.code), soft_wrap=True)
        console.print(Text(f"  {one.path} {one.problem}"), soft_wrap=True)
        console.print(Text(f"  → {one.mend}", "green"), soft_wrap=True)


def _annotation(one: Told) -> str:
    """A line that GitHub shows beside the line of the file."""
    place = f"file={_property(one.file)},line={one.line},col={one.column},title={one.code}"
    return f"::{_ANNOTATIONS[Level(one.level)]} {place}::{_data(f'{one.path} {one.problem}; {one.mend}')}"


def _data(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")
