"""Prometheus scrapes the operator and Ray: every query of the dashboards and alerts has an answer.

With `PICTURES=FOLDER` the dashboards are drawn there.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.harness import boards, manifests, pictures, prometheus
from scenarios.harness.busy import FEWEST, MANY_USERS, SAMPLE, is_scaled_to
from scenarios.harness.crowd import Crowd
from scenarios.harness.kube import Kube
from scenarios.harness.prometheus import Prometheus
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import PORT, OperatorRelease
from scenarios.harness.waiting import until

pytestmark = pytest.mark.ci

RATES_OVER = 30
"""Seconds that a rate is taken over, as Grafana chooses them by the time between two scrapes."""
QUIET = {
    "given up: {{reason}}",
    "{{verb}} {{resource}} {{code}}",
    "{{application}}",
    "{{application}} {{deployment}} {{exception_type}}",
    "{{ray_io_cluster}} {{node_type}} failed",
    "{{ray_io_cluster}} other",
    "{{ray_io_cluster}} {{ray_io_group}} GPU",
}
"""Legends of lines that only failures and GPUs bring, of which there are none here."""


@pytest.fixture(scope="module")
def scraped(
    kube: Kube, operator: OperatorRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Prometheus, at work since before the service is made."""
    address = f"{operator.pod['status']['podIP']}:{PORT}"
    with prometheus.running(tmp_path_factory.mktemp("prometheus"), kube, address) as found:
        yield found


@pytest.fixture(scope="module")
def began(scraped: Prometheus) -> float:
    """When it began, as a Unix time."""
    assert scraped.folder.exists()
    return time.time()


@pytest.fixture(scope="module")
def lively(began: float, busy: RayService, crowd: Crowd) -> RayService:
    """A service that was scaled up and rolled out under load, and whose last edit is invalid."""
    assert began
    until(lambda: is_scaled_to(busy, FEWEST), "one replica has one worker", 180)
    crowd.resize(MANY_USERS)
    old = busy.active_cluster
    until(lambda: len(busy.workers()) > FEWEST, "Ray asks for workers", 180)
    busy.patch(manifests.with_env(SAMPLE, "COLOUR", "green"))
    new = busy.wait_switched(old)
    until(lambda: busy.clusters == [new], "the old cluster is deleted", 300)
    busy.patch(manifests.with_serve_config(SAMPLE, "applications: [{name: a"))
    return busy


def test_the_rules_are_such_as_prometheus_takes() -> None:
    """Syntax, types and templates of all alerts."""
    assert "SUCCESS" in prometheus.promtool("check", "rules", str(prometheus.RULES))


@pytest.mark.parametrize("board", [boards.OPERATOR, boards.RAYSERVICE], ids=lambda path: path.stem)
def test_every_panel_has_data(
    board: Path, scraped: Prometheus, lively: RayService, began: float
) -> None:
    """After load, scaling and a rollout nothing is empty, but for what only failures fill."""
    variables = {
        "job": prometheus.OPERATOR_JOB,
        "namespace": lively.namespace,
        "service": lively.name,
        "__rate_interval": f"{RATES_OVER}s",
    }
    found = list(boards.panels(board, variables))

    def empty() -> list[str]:
        return [
            f"{panel.title}: {query.legend}: {query.expression}"
            for panel in found
            for query in panel.queries
            if query.legend not in QUIET and not _has_shown(scraped, query.expression, began)
        ]

    until(lambda: not empty(), "no panel is empty", 60)
    if folder := os.environ.get("PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        pictures.draw(Path(folder) / f"{board.stem}.svg", found, scraped, began, time.time())


def test_an_alert_fires_for_what_is_wrong_and_no_other(
    scraped: Prometheus, lively: RayService
) -> None:
    """The invalid edit is told at once, to be sent when it has lasted; nothing else is wrong."""
    [invalid] = until(
        lambda: [
            alert["metric"]
            for alert in scraped.instant('ALERTS{alertname="RayServiceSpecInvalid"}')
            if alert["metric"]["name"] == lively.name
        ],
        "the alert is pending",
        60,
    )
    assert invalid["namespace"] == lively.namespace
    others = [
        alert["metric"] for alert in scraped.instant('ALERTS{alertname!="RayServiceSpecInvalid"}')
    ]
    print(f"pending, which is no news yet: {others}")
    assert not [alert for alert in others if alert["alertstate"] == "firing"]
    assert "RayServeErrors" not in {alert["alertname"] for alert in others}, others


def _has_shown(scraped: Prometheus, expression: str, began: float) -> bool:
    """Whether it has had a value at any time."""
    now = time.time()
    return bool(scraped.range(expression, began, now, max(prometheus.EVERY, (now - began) / 500)))
