from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.cli.app import app
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.scene import Scene
from rayserve_operator.model.errors import Refused, Unavailable
from rayserve_operator.planning.actions import Kind
from tests.builders import NOW, cluster_config, group, service_spec

from .test_forecast import manifest

LABELS = '{application="app",deployment="D",replica="r"}'
HEAD = f"ray_serve_deployment_replica_healthy{LABELS} 2.0\nray_serve_deployment_queued_queries{LABELS} 3.0\n"
WORKER = f"ray_serve_replica_processing_queries{LABELS} 4.0\nray_node_cpu_count 2.0\n"


@dataclass
class FakeKube:
    """A RayService with a head and a worker, whose metrics are read through the API server."""

    scene: Scene = field(default_factory=lambda: settled(manifest(), NOW))
    refused: bool = False
    silent: bool = False
    asked: list[tuple[int, str]] = field(default_factory=list)

    async def get(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        return self.scene.service

    async def everything(self, kind: Kind) -> AsyncIterator[Mapping[str, Any]]:
        running = {"name": "ray", "state": {"running": {}}}
        pods = [{**pod, "status": {"phase": "Running", "containerStatuses": [running]}} for pod in self.scene.pods]
        found = {Kind.RAY_SERVICE: [self.scene.service], Kind.RAY_CLUSTER: self.scene.clusters, Kind.POD: pods}
        for one in found[kind]:
            yield one

    async def through_pod(self, namespace: str, pod: str, port: int, path: str) -> str:
        self.asked.append((port, path))
        if self.refused:
            raise Refused("pods/proxy is forbidden")
        if self.silent and not pod.endswith("-head"):
            raise Unavailable("connection refused")
        return HEAD if pod.endswith("-head") else WORKER

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    fake = FakeKube()

    async def connect(namespaces: Sequence[str], user_agent: str) -> FakeKube:
        return fake

    monkeypatch.setattr(KubeApi, "connect", connect)
    return fake


def top(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["top", *arguments, "-n", "default"], env={"COLUMNS": "200"})


def test_what_the_pods_tell_is_put_together(kube: FakeKube) -> None:
    found = json.loads(top("demo", "-o", "json").stdout)
    [row] = found["deployments"]
    assert (row["service"], row["application"], row["deployment"]) == ("demo", "app", "D")
    assert (row["replicas"], row["queued"], row["ongoing"]) == (2, 3, 4)
    assert found["silent"] == []


def test_all_services_are_told_of_where_none_is_named(kube: FakeKube) -> None:
    assert top("-o", "yaml").stdout == top("demo", "-o", "yaml").stdout


def test_people_see_a_row_for_each_deployment_and_what_is_missing(kube: FakeKube) -> None:
    kube.silent = True
    _, row, missing = top("demo").stdout.splitlines()
    assert row.split()[2:] == ["app", "D", "2", "3", "0"]
    assert "whose metrics could not be read" in missing


def test_each_pod_is_asked_where_its_group_exports_metrics(kube: FakeKube) -> None:
    spec = service_spec(cluster_config(group(rayStartParams={"metrics-export-port": "9100"})))
    kube.scene = settled(manifest(spec), NOW)
    top("demo")
    assert sorted(kube.asked) == [(8080, "/metrics"), (9100, "/metrics")]


def test_who_may_not_ask_pods_is_told_what_it_takes(kube: FakeKube) -> None:
    kube.refused = True
    done = top("demo")
    assert done.exit_code == 1
    assert "the right to get pods/proxy" in done.stderr
