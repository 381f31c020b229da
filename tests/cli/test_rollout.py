from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonpatch
import pytest
import yaml
from typer.testing import CliRunner, Result

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.cli.app import app
from rayserve_operator.model.errors import NotFound, Refused
from rayserve_operator.planning.actions import Kind
from tests.builders import OTHER_APP, cluster_config, group, service_spec

from .manifests import NAMESPACE, ray_cluster, ray_service, revision, serve_service

FIRST = service_spec()
OTHER_CODE = service_spec(app=OTHER_APP)


@dataclass
class FakeKube:
    """One RayService with two revisions, the second one serving."""

    service: dict[str, Any] = field(default_factory=lambda: ray_service(OTHER_CODE, generation=1))
    patched: bool = False
    merged: list[tuple[Kind, str, Mapping[str, Any]]] = field(default_factory=list)
    told: list[list[dict[str, Any]]] = field(default_factory=list)
    """Conditions, as they come one after the other."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        if (kind, namespace, name) != (Kind.RAY_SERVICE, NAMESPACE, "demo"):
            raise NotFound(f"rayservices {name!r} not found")
        return self.service

    async def everything(self, kind: Kind) -> AsyncIterator[Mapping[str, Any]]:
        found = {
            Kind.REVISION: [revision(1, FIRST), revision(2, OTHER_CODE)],
            Kind.RAY_CLUSTER: [ray_cluster("demo-a", 2)],
            Kind.SERVICE: [serve_service("demo-a")],
        }
        for manifest in found[kind]:
            yield manifest

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Mapping[str, Any]]) -> None:
        self.patched = True
        self.service = jsonpatch.apply_patch(self.service, [dict(one) for one in operations])

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        self.merged.append((kind, name, patch))

    async def states(self, kind: Kind, namespace: str, name: str) -> AsyncIterator[Mapping[str, Any]]:
        for status in self.told:
            yield {**self.service, "status": {"conditions": status}}

    async def families(
        self, kind: Kind, namespace: str, selection: Selection
    ) -> AsyncIterator[tuple[Mapping[str, Any], ...]]:
        if kind is Kind.EVENT:
            raise Refused("events are not yours to see")
        yield tuple([manifest async for manifest in self.everything(kind)])

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    fake = FakeKube()

    async def connect(namespaces: Sequence[str], user_agent: str) -> FakeKube:
        assert list(namespaces) == [NAMESPACE]
        return fake

    monkeypatch.setattr(KubeApi, "connect", connect)
    return fake


def rayserve(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rollout", *arguments, "-n", NAMESPACE], env={"COLUMNS": "200"})


def test_history_lists_the_revisions(kube: FakeKube) -> None:
    done = rayserve("history", "demo")
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["REVISION", "BEGAN", "STATE", "CLUSTER", "CHANGED"]
    assert first.startswith("1 ")
    assert "serving" in second
    assert "demo-a" in second
    assert "serveConfigV2:applications.app.import_path" in second


def test_history_is_there_for_scripts(kube: FakeKube) -> None:
    first, second = json.loads(rayserve("history", "demo", "-o", "json").stdout)
    assert (first["revision"], first["state"], first["changed"]) == (1, "", [])
    assert (second["revision"], second["state"], second["clusters"]) == (2, "serving", ["demo-a"])
    assert second["changed"] == ["serveConfigV2:applications.app.import_path"]


def test_undo_writes_the_revision_before(kube: FakeKube) -> None:
    done = rayserve("undo", "demo")
    assert "demo goes back to revision 1: in place" in done.stdout
    assert kube.service["spec"]["serveConfigV2"] == FIRST["serveConfigV2"]


def test_a_dry_run_shows_the_change_and_writes_nothing(kube: FakeKube) -> None:
    done = rayserve("undo", "demo", "--dry-run")
    assert "app:x" in done.stdout
    assert "would go back" in done.stdout
    assert not kube.patched


def test_names_in_brackets_are_told_as_they_are(kube: FakeKube) -> None:
    kube.service = ray_service(service_spec(cluster_config(group(image="ray:2"))))
    assert "workerGroupSpecs[cpu].template" in rayserve("undo", "demo", "--dry-run").stdout


def test_undo_leaves_to_a_gitops_tool_what_is_its(kube: FakeKube) -> None:
    kube.service["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    done = rayserve("undo", "demo")
    assert done.exit_code == 1
    assert "Flux keeps demo" in done.stderr
    assert "app:x" in done.stdout
    assert not kube.patched


def test_undo_can_be_insisted_on(kube: FakeKube) -> None:
    kube.service["metadata"]["labels"] = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    assert rayserve("undo", "demo", "--force").exit_code == 0
    assert kube.patched


def test_a_command_is_written_down_on_the_cluster_that_is_to_take_over(kube: FakeKube) -> None:
    kube.service["status"] = {"pendingServiceStatus": {"rayClusterName": "demo-b"}}
    done = rayserve("pause", "demo")
    assert done.stdout == "demo: demo-b keeps the share of the traffic that it has\n"
    rayserve("promote", "demo", "--full")
    notes = [{"rayserve.ray.io/pause": "true"}, {"rayserve.ray.io/promote": "full", "rayserve.ray.io/pause": None}]
    assert kube.merged == [(Kind.RAY_CLUSTER, "demo-b", {"metadata": {"annotations": one}}) for one in notes]


@pytest.mark.parametrize("command", ["promote", "pause", "resume", "retry"])
def test_where_there_is_nothing_to_steer_nothing_is_written(kube: FakeKube, command: str) -> None:
    done = rayserve(command, "demo")
    assert done.exit_code == 1
    assert "demo" in done.stderr
    assert kube.merged == []


def condition(type_: str, status: str = "True", message: str = "") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": "Reason",
        "message": message,
        "lastTransitionTime": "2030-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


STARTING = [condition("SpecValid"), condition("Reconciling", message="the head pod is starting")]
STALLED = [condition("SpecValid"), condition("Stalled", message="there is no such image")]


def test_status_tells_how_far_it_is(kube: FakeKube) -> None:
    kube.told = [STARTING, STALLED]
    done = rayserve("status", "demo")
    assert done.exit_code == 0
    assert "demo is starting" in done.stdout
    assert "the head pod is starting" in done.stdout


def test_status_is_followed_to_its_end_and_fails_with_it(kube: FakeKube) -> None:
    kube.told = [STARTING, STALLED]
    done = rayserve("status", "demo", "--watch")
    assert done.exit_code == 1
    assert "demo is stalled" in done.stdout
    assert "there is no such image" in done.stdout


def test_scripts_read_each_change_as_a_line(kube: FakeKube) -> None:
    kube.told = [STARTING, STARTING, STALLED]
    lines = rayserve("status", "demo", "--watch", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["phase"] for line in lines] == ["starting", "stalled"]


def test_both_commands_tell_the_same(kube: FakeKube) -> None:
    kube.told = [STARTING]
    shorter = CliRunner().invoke(app, ["status", "demo", "-n", NAMESPACE, "-o", "yaml"])
    assert shorter.stdout == rayserve("status", "demo", "-o", "yaml").stdout
    assert yaml.safe_load(shorter.stdout)["gates"][0]["message"] == "the head pod is starting"


def test_a_service_that_goes_while_it_is_watched_is_told_so(kube: FakeKube) -> None:
    kube.told = [STARTING]
    done = rayserve("status", "demo", "--watch")
    assert done.exit_code == 1
    assert "demo is gone" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("history", "other"), "not found"), (("undo", "demo", "--to-revision", "9"), "there is no revision 9")],
)
def test_what_cannot_be_done_is_told_in_a_line(kube: FakeKube, arguments: Sequence[str], words: str) -> None:
    done = rayserve(*arguments)
    assert done.exit_code == 1
    assert words in done.stderr
    assert not kube.patched
