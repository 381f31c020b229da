from __future__ import annotations

import json
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result
from typing_extensions import override

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.cli.app import app
from rayserve_operator.cli.imagined import settled
from rayserve_operator.model.errors import Refused
from rayserve_operator.planning.actions import Kind
from tests.builders import NOW, cluster_config, service_spec, template

from .test_forecast import manifest
from .test_plan import FakeKube as PlanKube

HIDDEN = "hunter2hunter2"


def config() -> dict[str, Any]:
    made = template()
    made["spec"]["containers"][0]["env"] = [{"name": "A", "value": HIDDEN}]
    return cluster_config({"groupName": "cpu", "template": made, "replicas": 1, "minReplicas": 0})


@dataclass
class FakeKube(PlanKube):
    """The same cluster, with everything else that is asked of it."""

    may_see_all: bool = True

    @override
    async def everything(self, kind: Kind) -> AsyncIterator[Mapping[str, Any]]:
        stranger = {"metadata": {"name": "stranger", "labels": {}}, "spec": {}}
        found = {Kind.POD: self.scene.pods, Kind.SERVICE: self.scene.services}
        for one in (*found[kind], stranger):
            yield one

    async def endpoint_slices(self, namespace: str, service: str) -> Sequence[Mapping[str, Any]]:
        return [{"metadata": {"name": f"{service}-1"}, "endpoints": []}]

    @override
    async def selected(self, kind: Kind, namespace: str, selection: Selection) -> AsyncIterator[Mapping[str, Any]]:
        if kind is Kind.POD and not self.may_see_all:
            raise Refused("pods of other namespaces are not yours to see")
        if kind is Kind.POD:
            assert selection.labels == "rayserve.ray.io/operator=true"
            yield {"metadata": {"name": "operator-0", "namespace": "rayserve-system"}, "spec": {}}
        if kind is Kind.EVENT:
            for name in ("demo", "stranger"):
                yield {"involvedObject": {"name": name}, "message": "Created", "metadata": {"name": name}}

    async def through_pod(self, namespace: str, pod: str, port: int, path: str) -> str:
        assert (port, path) == (8265, "/api/serve/applications/")
        return json.dumps({"applications": {"app": {"runtime_env": {"env_vars": {"A": HIDDEN}}}}})

    async def logs(self, namespace: str, pod: str, lines: int) -> str:
        return f"ray start --redis-password={HIDDEN}"


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    fake = FakeKube(settled(manifest(service_spec(config())), NOW))

    async def connect(namespaces: Sequence[str], user_agent: str) -> FakeKube:
        return fake

    monkeypatch.setattr(KubeApi, "connect", connect)
    return fake


def bundle(path: Path) -> tuple[Result, dict[str, str]]:
    done = CliRunner().invoke(app, ["support-bundle", "demo", "-n", "default", "-f", str(path)])
    assert done.exit_code == 0, done.output
    files = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            found = tar.extractfile(member)
            assert found is not None
            files[member.name.partition("/")[2]] = found.read().decode()
    return done, files


def test_everything_that_concerns_the_service_is_in_it_and_nothing_else(kube: FakeKube, tmp_path: Path) -> None:
    done, files = bundle(tmp_path / "a.tar.gz")
    [name] = (cluster["metadata"]["name"] for cluster in kube.scene.clusters)
    assert files.keys() == {
        "about.yaml",
        "rayservice.yaml",
        "rayclusters.yaml",
        "revisions.yaml",
        "pods.yaml",
        "services.yaml",
        "endpointslices.yaml",
        "events.yaml",
        f"serve/{name}.json",
        "operator/operator-0.log",
    }
    assert len(list(yaml.safe_load_all(files["pods.yaml"]))) == 2
    assert not any("stranger" in text for text in files.values())
    assert "9 files" in done.stdout


def test_no_secret_is_in_it(kube: FakeKube, tmp_path: Path) -> None:
    _, files = bundle(tmp_path / "a.tar.gz")
    assert HIDDEN in json.dumps(kube.scene.clusters)
    assert [name for name, text in files.items() if HIDDEN in text] == []


def test_what_may_not_be_seen_is_named(kube: FakeKube, tmp_path: Path) -> None:
    kube.may_see_all = False
    done, files = bundle(tmp_path / "a.tar.gz")
    assert "without operator: pods of other namespaces" in done.stdout
    assert yaml.safe_load(files["about.yaml"])["missing"].keys() == {"operator"}
