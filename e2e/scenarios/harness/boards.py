"""The chart's dashboards, as far as what they ask of Prometheus."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.harness.manifests import CHART

OPERATOR = CHART / "files" / "dashboards" / "rayserve-operator.json"
RAYSERVICE = CHART / "files" / "dashboards" / "rayservice.json"


@dataclass(frozen=True)
class Query:
    """One line, or one family of lines, of a panel."""

    expression: str
    legend: str
    """How a line is called, with `{{label}}` where its labels come in."""

    def name(self, labels: Mapping[str, str]) -> str:
        """What Grafana writes beside a series of these labels."""
        name = self.legend
        for label, value in labels.items():
            name = name.replace(f"{{{{{label}}}}}", value)
        return name or ", ".join(f"{label}={value}" for label, value in labels.items())


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard; a row of them has no queries."""

    title: str
    kind: str
    unit: str
    left: int
    top: int
    width: int
    height: int
    """Place and size in Grafana's grid, which has 24 columns."""
    queries: tuple[Query, ...]


def panels(board: Path, variables: Mapping[str, str]) -> Iterator[Panel]:
    """The panels of a dashboard for these values of its variables."""
    for panel in json.loads(board.read_text())["panels"]:
        place = panel["gridPos"]
        yield Panel(
            title=panel["title"],
            kind=panel["type"],
            unit=panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
            left=place["x"],
            top=place["y"],
            width=place["w"],
            height=place["h"],
            queries=tuple(_queries(panel, variables)),
        )


def _queries(panel: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[Query]:
    for target in panel.get("targets", ()):
        expression = target["expr"]
        # The longer names first: one may begin with another.
        for name in sorted(variables, key=len, reverse=True):
            expression = expression.replace(f"${{{name}}}", variables[name])
            expression = expression.replace(f"${name}", variables[name])
        yield Query(expression, target.get("legendFormat") or "")
