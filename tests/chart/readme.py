"""Writes the tables of values and rights into the chart's README: `python -m tests.chart.readme [--check] CHART`."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .rights import needed

VERBS = ("get", "list", "watch", "create", "patch", "update", "delete")


class Value(NamedTuple):
    """A value of the chart with what its comment says."""

    path: str
    default: Any
    meaning: str


def values(text: str) -> Iterator[Value]:
    """The values that a comment with `# --` stands above, in their order."""
    parsed = yaml.safe_load(text)
    parents: list[str] = []
    meaning: list[str] = []
    for line in text.splitlines():
        if found := re.fullmatch(r" *# (-- )?(.*)", line):
            meaning = [found[2]] if found[1] else [*meaning, found[2]]
        elif found := re.match(r"( *)([A-Za-z]+):", line):
            depth = len(found[1]) // 2
            parents = [*parents[:depth], found[2]]
            if meaning:
                yield Value(".".join(parents), _at(parsed, parents), " ".join(meaning))
            meaning = []


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def values_table(text: str) -> list[str]:
    """The values as a table."""
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.meaning.replace('|', chr(92) + '|')} |"
        for value in values(text)
    ]
    return ["| value | default | meaning |", "|---|---|---|", *rows]


def rights_table() -> list[str]:
    """The rights as a table, from the code that makes use of them."""
    verbs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for group, resource, verb in needed():
        verbs[group, resource].add(verb)
    rows = [
        f"| `{_named(group, resource)}` | {', '.join(verb for verb in VERBS if verb in found)} |"
        for (group, resource), found in sorted(verbs.items())
    ]
    return ["| resource | verbs |", "|---|---|", *rows]


def _named(group: str, resource: str) -> str:
    """The resource as kubectl names it."""
    plural, slash, part = resource.partition("/")
    return f"{plural}{f'.{group}' if group else ''}{slash}{part}"


def written(chart: Path) -> str:
    """The README with its tables."""
    text = (chart / "README.md").read_text()
    for name, table in (("values", values_table((chart / "values.yaml").read_text())), ("rights", rights_table())):
        begin, end = f"<!-- {name}: made by `make generate` -->", f"<!-- {name}: end -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = "\n".join([f"{before}{begin}", "", *table, "", f"{end}{after}"])
    return text


def main(arguments: list[str]) -> int:
    """Write the README, or say whether it is up to date."""
    chart = Path(arguments[-1])
    text = written(chart)
    if "--check" not in arguments:
        (chart / "README.md").write_text(text)
    elif (chart / "README.md").read_text() != text:
        sys.stderr.write(f"{chart / 'README.md'} is not up to date; run `make generate`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
