"""How revisions and progress look on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rayserve_operator.cli.load import Top
from rayserve_operator.cli.progress import ApplicationRow, ClusterRow, EventRow, Gate, Phase, Progress
from rayserve_operator.cli.revisions import RevisionRow, State
from rayserve_operator.planning.words import few

_STATES = {State.SERVING: "green", State.ROLLING_OUT: "yellow", State.FAILED: "red", State.DRAINING: "blue"}
_PHASES = {Phase.SERVING: "green", Phase.STALLED: "red", Phase.INVALID: "red", Phase.SUSPENDED: "blue"}
_APPLICATIONS = {"RUNNING": "green", "DEPLOY_FAILED": "red", "UNHEALTHY": "red"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def history(rows: Sequence[RevisionRow], now: datetime) -> RenderableType:
    """The revisions of a RayService, with what each changed."""
    table = plain_table("REVISION", "BEGAN", "STATE", "CLUSTER", "CHANGED")
    for row in rows:
        words = f"{row.state}: {row.reason}" if row.reason else str(row.state)
        table.add_row(
            str(row.revision),
            _age(row.began, now),
            Text(words, _STATES.get(row.state, "")),
            ", ".join(row.clusters),
            escape(few(row.changed)),
        )
    return table


def progress(found: Progress, now: datetime) -> RenderableType:
    """How far a RayService is: its clusters, what is waited for, and what was told last."""
    title = Text.assemble((found.name, "bold"), " is ", (str(found.phase), _PHASES.get(found.phase, "yellow")))
    if found.revision is not None:
        title.append(f"; revision {found.revision}")
        title.append(f" began {_age(found.began, now)}" if found.began else "")
    if found.endpoints:
        title.append(f"; {found.endpoints} pods take traffic")
    parts: list[RenderableType] = [title]
    if found.clusters:
        parts.append(_clusters(found.clusters, now))
    parts += [_failing(row) for cluster in found.clusters for row in cluster.applications if _words(row)]
    if found.gates:
        parts += ["", _gates(found.gates, now)]
    elif found.message:
        parts.append(Text(found.message, "dim"))
    if found.events:
        parts += ["", _events(found.events, now)]
    return Group(*parts)


def _clusters(rows: Sequence[ClusterRow], now: datetime) -> RenderableType:
    table = plain_table("CLUSTER", "", "SINCE", "PODS READY", "TRAFFIC", "APPLICATIONS")
    for row in rows:
        is_short = row.wanted_percent not in (None, row.traffic_percent)
        applications = [Text(f"{a.name} {a.status}", _APPLICATIONS.get(a.status, "yellow")) for a in row.applications]
        table.add_row(
            row.name,
            row.role,
            _age(row.since, now),
            f"{row.ready_pods}/{row.wanted_pods}",
            f"{row.traffic_percent}%" + (f" of {row.wanted_percent}% wanted" if is_short else ""),
            Text(", ").join(applications),
        )
    return table


def _failing(row: ApplicationRow) -> RenderableType:
    return Text(f"{row.name}: {_words(row)}", "red")


def _words(row: ApplicationRow) -> str:
    return "" if row.status == "RUNNING" else row.message.strip()


def _gates(gates: Sequence[Gate], now: datetime) -> RenderableType:
    table = plain_table("WAITS FOR", "SINCE", "AT MOST", "WHY")
    for gate in gates:
        table.add_row(
            Text(gate.reason, "yellow"), _age(gate.since, now), _time_left(gate.until, now), escape(gate.message)
        )
    return table


def _events(events: Sequence[EventRow], now: datetime) -> RenderableType:
    table = plain_table("LAST", "EVENT", "MESSAGE")
    for event in events:
        times = f" ({event.count} times)" if event.count > 1 else ""
        colour = "red" if event.type == "Warning" else ""
        table.add_row(_age(event.last, now), Text(event.reason, colour), escape(event.message) + times)
    return table


def top(found: Top) -> RenderableType:
    """The load of deployments."""
    table = plain_table("SERVICE", "CLUSTER", "APPLICATION", "DEPLOYMENT", "REPLICAS", "QUEUED", "ONGOING")
    for row in found.deployments:
        counts = (str(count) for count in (row.replicas, row.queued, row.ongoing))
        table.add_row(row.service, row.cluster, row.application, row.deployment, *counts)
    silent = f"Without {few(found.silent)}, whose metrics could not be read." if found.silent else ""
    return Group(table, Text(silent, "yellow")) if silent else table


def plain_table(*columns: str) -> Table:
    """A table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _age(began: datetime | None, now: datetime) -> str:
    """How long ago."""
    return "" if began is None else f"{_length(now - began)} ago"


def _time_left(end: datetime | None, now: datetime) -> str:
    return "" if end is None else f"{_length(end - now)} more"


def _length(time: timedelta) -> str:
    """A length of time in the largest unit that fits."""
    seconds = max(0, int(time.total_seconds()))
    told = (f"{seconds // length}{unit}" for unit, length in _UNITS if seconds >= length)
    return next(told, f"{seconds}s")
