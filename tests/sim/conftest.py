"""How many pairs of a write and what befell it were tried."""

from __future__ import annotations

import pytest

STATES = "states"
"""A property of tests that try such pairs: how many."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it at the end."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    tried = [
        int(str(count))
        for report in reports
        if report.when == "call"
        for name, count in report.user_properties
        if name == STATES
    ]
    if tried:
        terminalreporter.write_line(f"{sum(tried)} pairs of a write and a blow in {len(tried)} rollouts")
