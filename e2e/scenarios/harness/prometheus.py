"""Prometheus as a process in the cluster's network, scraping as docs/observability.md says."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from localcluster import packages
from localcluster.images import PROJECT_ROOT
from scenarios.harness.manifests import CHART
from scenarios.harness.waiting import until

PACKAGE = "prometheus"
RULES = CHART / "files" / "alerts" / "rules.yaml"
OPERATOR_JOB, OPERATOR_PORT = "rayserve-operator", 8080
EVERY = 2
"""Seconds between two scrapes."""
_PORT = 19090
_DOCUMENTED = re.compile(r"```yaml\n(scrape_configs:\n.*?)```", re.DOTALL)


def promtool(*arguments: str) -> str:
    """What Prometheus' own checks say. Raises CalledProcessError where they find fault."""
    program = str(packages.program(PACKAGE, "promtool"))
    return subprocess.check_output([program, *arguments], stderr=subprocess.STDOUT, text=True)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    folder: Path

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        return self._ask("query", query=expression)

    def range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series that an expression had."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, path: str, **question: Any) -> list[dict[str, Any]]:
        address = f"http://127.0.0.1:{_PORT}/api/v1/{path}?{urlencode(question)}"
        with urlopen(address, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@contextmanager
def running(folder: Path, operator_address: str) -> Iterator[Prometheus]:
    """Run it; the operator's metrics are at this address.

    Raises CalledProcessError, with promtool's words, where the configuration is wrong.
    """
    config = folder / "prometheus.yaml"
    config.write_text(json.dumps(_configuration(operator_address)))
    promtool("check", "config", str(config))
    options = {
        "config.file": config,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{_PORT}",
    }
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                packages.program(PACKAGE, "prometheus"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: _is_ready(process), "Prometheus is ready", 60)
        yield Prometheus(folder)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _is_ready(process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise RuntimeError("Prometheus has ended")
    try:
        with urlopen(f"http://127.0.0.1:{_PORT}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def _configuration(operator_address: str) -> Mapping[str, Any]:
    [found] = _DOCUMENTED.findall((PROJECT_ROOT / "docs" / "observability.md").read_text())
    pods = yaml.safe_load(found)["scrape_configs"]
    for job in pods:
        for discovery in job["kubernetes_sd_configs"]:
            discovery["kubeconfig_file"] = os.environ["KUBECONFIG"]
    operator = {
        "job_name": OPERATOR_JOB,
        "honor_labels": True,
        "static_configs": [{"targets": [operator_address]}],
    }
    return {
        "global": {"scrape_interval": f"{EVERY}s", "evaluation_interval": f"{EVERY}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [operator, *pods],
    }
