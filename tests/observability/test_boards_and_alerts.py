"""Dashboards and alerts: what they query exists, and everything that they point at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from .known import OF_SCRAPES, SERIES
from .promql import parse

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "rayserve-operator" / "files"
DASHBOARDS = sorted((FILES / "dashboards").glob("*.json"))
GROUPS = yaml.safe_load((FILES / "alerts" / "rules.yaml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
RUNBOOKS = ROOT / "docs" / "runbooks"
LOOK_UP = re.compile(r"label_values\((.*), (\w+)\)")


def read(dashboard: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dashboard.read_text())
    return found


def panels(dashboard: Path) -> list[dict[str, Any]]:
    return [panel for panel in read(dashboard)["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield f"{dashboard.stem}: {panel['title']}: {target['refId']}", target["expr"]
        for annotation in read(dashboard)["annotations"]["list"]:
            yield f"{dashboard.stem}: {annotation['name']}", annotation["expr"]
        for variable in read(dashboard)["templating"]["list"]:
            if variable["type"] == "query":
                found = LOOK_UP.fullmatch(variable["definition"])
                assert found
                yield f"{dashboard.stem}: ${variable['name']}", f"count by ({found[2]}) ({found[1]})"
    for name, rule in ALERTS.items():
        yield name, rule["expr"]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in queries()])
def test_a_query_names_series_and_labels_that_there_are(text: str) -> None:
    query = parse(text)
    assert query.series
    assert {name for name, _ in query.series} <= SERIES.keys()
    for name, labels in query.series:
        assert labels <= SERIES[name] | OF_SCRAPES
    assert query.grouped_by <= OF_SCRAPES.union(*(SERIES[name] for name, _ in query.series))


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(dashboard: Path) -> None:
    board = read(dashboard)
    known = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used <= known
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] and panel["title"] for panel in panels(dashboard))
    for one, other in combinations((panel["gridPos"] for panel in board["panels"]), 2):
        is_apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert is_apart
        assert one["x"] + one["w"] <= 24


def test_dashboards_can_be_told_apart() -> None:
    boards = [read(dashboard) for dashboard in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards) > 0


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    words = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$labels\.(\w+)", words))
    assert named <= parse(rule["expr"]).grouped_by, "an aggregation keeps no other label"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_runbook(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "Find out", "Mend"]


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == ALERTS.keys()
