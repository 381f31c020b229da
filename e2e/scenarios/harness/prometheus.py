"""Prometheus as a process in the cluster's network, scraping as docs/observability.md says.

Debian's Prometheus cannot find pods by itself, so it is told of them as if it had.
"""

import json
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
from scenarios.harness.background import background
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.manifests import CHART
from scenarios.harness.sampler import sampling
from scenarios.harness.waiting import until

PACKAGE = "prometheus"
RULES = CHART / "files" / "alerts" / "rules.yaml"
OPERATOR_JOB = "rayserve-operator"
EVERY = 2
"""Seconds between two scrapes."""
_PORT = 19090
_ODD = re.compile(r"\W")
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
def running(folder: Path, kube: Kube, operator_address: str) -> Iterator[Prometheus]:
    """Run it; the operator's metrics are at this address.

    Raises CalledProcessError where the configuration is wrong.
    """
    config, pods = folder / "prometheus.yaml", folder / "pods.json"
    config.write_text(json.dumps(_configuration(operator_address, pods)))
    _tell_pods(kube, pods)
    promtool("check", "config", str(config))
    options = {
        "config.file": config,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{_PORT}",
    }
    command: list[str | Path] = [
        packages.program(PACKAGE, "prometheus"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    with background(command, folder / "prometheus.log") as process:
        until(lambda: _is_ready(process), "Prometheus is ready", 60)
        with sampling(lambda: _tell_pods(kube, pods), every=EVERY):
            yield Prometheus(folder)


def _is_ready(process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise RuntimeError("Prometheus has ended")
    try:
        with urlopen(f"http://127.0.0.1:{_PORT}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except URLError:
        return False


def _tell_pods(kube: Kube, file: Path) -> None:
    """Write down what role `pod` of Prometheus' kubernetes_sd_configs would find."""
    found = [target for pod in kube.list("pods") for target in _targets(pod)]
    # Prometheus must never read half a file.
    new = file.with_suffix(".new")
    new.write_text(json.dumps(found))
    new.replace(file)


def _targets(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    metadata, address = pod["metadata"], pod["status"].get("podIP")
    if not address:
        return
    meta = {
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        **{f"pod_label_{_ODD.sub('_', key)}": text for key, text in metadata["labels"].items()},
    }
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            of_port = {**meta, "pod_container_port_name": port.get("name", "")}
            labels = {f"__meta_kubernetes_{key}": text for key, text in of_port.items()}
            yield {"targets": [f"{address}:{port['containerPort']}"], "labels": labels}


def _configuration(operator_address: str, pods: Path) -> Mapping[str, Any]:
    [found] = _DOCUMENTED.findall((PROJECT_ROOT / "docs" / "observability.md").read_text())
    jobs = yaml.safe_load(found)["scrape_configs"]
    for job in jobs:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
        job["file_sd_configs"] = [{"files": [str(pods)], "refresh_interval": f"{EVERY}s"}]
    operator = {
        "job_name": OPERATOR_JOB,
        "honor_labels": True,
        "static_configs": [{"targets": [operator_address]}],
    }
    return {
        "global": {"scrape_interval": f"{EVERY}s", "evaluation_interval": f"{EVERY}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [operator, *jobs],
    }
