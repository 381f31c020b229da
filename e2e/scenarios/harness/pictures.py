"""Pictures of the dashboards for the docs: what Grafana would show, drawn by matplotlib."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scenarios.harness.boards import Panel
from scenarios.harness.prometheus import Prometheus

COLUMNS, COLUMN, ROW = 24, 0.62, 0.36
"""Grafana's columns, and the inches of one and of a line of its grid."""
LINES = 200
"""Points of a line."""
_SHADE, _INK = "#f4f5f7", "#1f2933"


def draw(
    path: Path, panels: Iterable[Panel], prometheus: Prometheus, start: float, end: float
) -> None:
    """Draw a dashboard for the time between two Unix times as an SVG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who draws has it

    shown = list(panels)
    height = max(panel.top + panel.height for panel in shown)
    figure = Figure(figsize=(COLUMNS * COLUMN, height * ROW), facecolor="white")
    for panel in shown:
        place = _place(panel, height)
        if panel.kind == "row":
            x, y, _, tall = place
            figure.text(x, y + tall / 3, panel.title, fontsize=11, weight="bold", color=_INK)
        elif panel.kind == "timeseries":
            _lines(figure.add_axes(place), panel, prometheus, start, end)
        else:
            _words(figure.add_axes(place), panel, prometheus)
    figure.savefig(path, metadata={"Date": None})


def _place(panel: Panel, height: int) -> tuple[float, float, float, float]:
    """Left, bottom, width and height as shares of the picture, with room for axis and title."""
    inches = (COLUMNS * COLUMN, height * ROW)
    left, right, above, below = (0.5, 0.15, 0.32, 0.3) if panel.kind != "row" else (0.1, 0, 0, 0)
    return (
        panel.left / COLUMNS + left / inches[0],
        1 - (panel.top + panel.height) / height + below / inches[1],
        panel.width / COLUMNS - (left + right) / inches[0],
        panel.height / height - (above + below) / inches[1],
    )


def _lines(axes: Any, panel: Panel, prometheus: Prometheus, start: float, end: float) -> None:
    axes.set_title(f"{panel.title} ({panel.unit})", fontsize=8, loc="left", color=_INK)
    axes.set_facecolor(_SHADE)
    axes.tick_params(labelsize=6)
    axes.grid(visible=True, color="white")
    for query in panel.queries:
        for series in prometheus.range(query.expression, start, end, (end - start) / LINES):
            times = [datetime.fromtimestamp(float(time), UTC) for time, _ in series["values"]]
            values = [float(value) for _, value in series["values"]]
            axes.plot(times, values, linewidth=1, label=query.name(series["metric"])[:60])
    axes.set_xlim(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
    axes.set_ylim(bottom=0)
    for label in axes.get_xticklabels()[1::2]:
        label.set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=5, loc="upper left", framealpha=0.6)


def _words(axes: Any, panel: Panel, prometheus: Prometheus) -> None:
    axes.set_title(panel.title, fontsize=8, loc="left", color=_INK)
    axes.set_axis_off()
    found = [
        (query, series)
        for query in panel.queries
        for series in prometheus.instant(query.expression)
    ]
    if panel.kind == "table":
        lines = [f"{_told(series['metric'])}   {_short(series['value'][1])}" for _, series in found]
        axes.text(0, 1, "\n".join(lines[:12]) or "nothing", fontsize=6, va="top", color=_INK)
        return
    told = [query.name(series["metric"]) or _short(series["value"][1]) for query, series in found]
    size = 16 if max(map(len, told), default=0) < 5 else 9
    axes.text(0, 0.5, ", ".join(told) or "nothing", fontsize=size, va="center", color=_INK)


def _told(labels: Mapping[str, str]) -> str:
    return "  ".join(labels.values())


def _short(value: str) -> str:
    return f"{float(value):.4g}"
