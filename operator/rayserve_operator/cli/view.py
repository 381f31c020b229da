"""How revisions and progress look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rayserve_operator.cli.progress import Phase, Progress
from rayserve_operator.cli.revisions import Revision, State, changes
from rayserve_operator.planning.words import few

_STATES = {State.SERVING: "green", State.ROLLING_OUT: "yellow", State.FAILED: "red", State.DRAINING: "blue"}
_PHASES = {Phase.SERVING: "green", Phase.STALLED: "red", Phase.INVALID: "red", Phase.SUSPENDED: "blue"}
_APPLICATIONS = {"RUNNING": "green", "DEPLOY_FAILED": "red", "UNHEALTHY": "red"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def history(revisions: Sequence[Revision]) -> RenderableType:
    """The revisions of a RayService, with what each changed."""
    table = _table("REVISION", "BEGAN", "STATE", "CLUSTER", "CHANGED")
    for revision, edit in zip(revisions, changes(revisions), strict=True):
        words = f"{revision.state}: {revision.failure.reason}" if revision.failure else str(revision.state)
        table.add_row(
            str(revision.number),
            _age(revision.started),
            Text(words, _STATES.get(revision.state, "")),
            ", ".join(revision.clusters),
            escape(few(edit.paths)) if edit else "",
        )
    return table


def progress(name: str, found: Progress) -> RenderableType:
    """How far a RayService is, with its clusters and what is waited for."""
    title = Text.assemble((name, "bold"), " is ", (str(found.phase), _PHASES.get(found.phase, "yellow")))
    if found.endpoints:
        title.append(f"; {found.endpoints} pods take traffic")
    table = _table("CLUSTER", "", "PODS READY", "TRAFFIC", "APPLICATIONS")
    for row in found.clusters:
        applications = [
            Text(f"{app} {status}", _APPLICATIONS.get(status, "yellow")) for app, status in row.applications
        ]
        table.add_row(row.name, row.role, row.pods, row.traffic, Text(", ").join(applications))
    return Group(title, *([table] if found.clusters else []), Text(found.words, "dim"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _age(began: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if began is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - began).total_seconds()))
    told = (f"{seconds // length}{unit} ago" for unit, length in _UNITS if seconds >= length)
    return next(told, f"{seconds}s ago")
