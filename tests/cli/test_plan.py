from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.cli.app import app
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.scene import Scene
from rayserve_operator.model.errors import NotFound, Refused
from rayserve_operator.planning.actions import Kind
from tests.builders import NOW, cluster_config, service_spec

from .test_forecast import manifest
from .test_quotas import quota
from .test_room import node

BLUE = manifest(service_spec(cluster_config(image="ray:2")))


@dataclass
class FakeKube:
    """A cluster with one RayService, which is as it wants to be, and one node."""

    scene: Scene = field(default_factory=lambda: settled(manifest(), NOW))
    may_see: frozenset[Kind] = frozenset({Kind.NODE, Kind.POD, Kind.QUOTA})
    quotas: list[Any] = field(default_factory=list)

    async def states(self, kind: Kind, namespace: str, name: str) -> AsyncIterator[Mapping[str, Any]]:
        if name != "demo":
            raise NotFound(f"there is no RayService {name}")
        yield self.scene.service

    async def families(
        self, kind: Kind, namespace: str, selection: Selection
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        found = {
            Kind.RAY_CLUSTER: self.scene.clusters,
            Kind.REVISION: self.scene.revisions,
            Kind.SERVICE: self.scene.services,
        }
        yield found.get(kind, ())

    async def everything(self, kind: Kind) -> AsyncIterator[Mapping[str, Any]]:
        for pod in self.scene.pods:
            yield pod

    async def selected(self, kind: Kind, namespace: str, selection: Selection) -> AsyncIterator[Mapping[str, Any]]:
        if kind not in self.may_see:
            raise Refused(f"{kind} is not yours to see")
        if kind is Kind.NODE:
            yield node("a", pods="1")
        if kind is Kind.QUOTA and namespace == "default":
            for quota in self.quotas:
                yield quota

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    fake = FakeKube()

    async def connect(namespaces: Sequence[str], user_agent: str) -> FakeKube:
        return fake

    monkeypatch.setattr(KubeApi, "connect", connect)
    return fake


def plan(*arguments: str, stdin: Any) -> Result:
    text = stdin if isinstance(stdin, str) else yaml.safe_dump(stdin)
    return CliRunner().invoke(app, ["plan", "-f", "-", *arguments], input=text, env={"COLUMNS": "200"})


def test_people_see_what_follows_what_it_needs_and_what_lint_says(kube: FakeKube) -> None:
    done = plan(stdin=BLUE)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "demo in default: blue-green"
    assert any("image" in line and "blue-green" in line and "pods that run cannot take it" in line for line in lines)
    rows = {line.partition("  ")[0]: line.split() for line in lines}
    assert rows["at the peak"][3] == "4"
    assert rows["free now"][2] == "1"
    assert any("fit no node as it is now" in line for line in lines)
    assert any("RS401" in line for line in lines)


def test_scripts_read_the_same(kube: FakeKube) -> None:
    [told] = json.loads(plan("-o", "json", stdin=BLUE).stdout)
    assert told["forecast"]["consequence"] == "blue-green"
    assert told["room"]["peak"]["pods"] == 4
    assert yaml.safe_load(plan("-o", "yaml", stdin=BLUE).stdout) == [told]


UNKNOWN = {
    Kind.NODE: "What the nodes have free is not known.",
    Kind.QUOTA: "What the quotas of the namespace leave is not known.",
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_who_may_not_see_all_is_told_the_rest(kube: FakeKube, kind: Kind) -> None:
    kube.may_see -= {kind}
    done = plan(stdin=BLUE)
    assert done.exit_code == 0
    assert [words for words in UNKNOWN.values() if words in done.stdout] == [UNKNOWN[kind]]


def test_what_quotas_leave_stands_beside_what_the_nodes_have_free(kube: FakeKube) -> None:
    of_pods = quota({"pods": "5", "count/pods": "3", "limits.memory": "1Gi"}, {"pods": "2", "count/pods": "2"})
    kube.quotas = [of_pods, quota({"pods": "0"}, scopes=["Terminating"])]
    done = plan(stdin=BLUE)
    rows = {line.partition("  ")[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["left by quota team"][4] == "1"
    assert "The quota team leaves 1 of count/pods, and 2 more are taken at the peak." in done.stdout
    assert "does not name limits.memory, and some of the new pods have such a one" in done.stdout
    assert "The quota team is not counted: its scopes (Terminating) hold for none" in done.stdout
    [told] = json.loads(plan("-o", "json", stdin=BLUE).stdout)
    assert told["room"]["quotas"][0]["short"] == {"count/pods": 1}


def test_amounts_of_memory_are_told_as_people_read_them(kube: FakeKube) -> None:
    config = cluster_config(image="ray:2")
    [container] = config["headGroupSpec"]["template"]["spec"]["containers"]
    container["resources"] = {"limits": {"cpu": "1", "memory": "2Gi"}}
    kube.quotas = [quota({"limits.memory": "1Gi"})]
    words = "The quota team leaves 1 GiB of limits.memory, and 2 GiB more are taken at the peak."
    assert words in plan(stdin=manifest(service_spec(config))).stdout


def test_a_service_that_is_not_there_gets_its_first_cluster(kube: FakeKube) -> None:
    done = plan("-n", "default", stdin=manifest(name="other"))
    assert done.stdout.startswith("other in default: first-cluster\nIts first cluster is made.\n")


@pytest.mark.parametrize(
    ("new", "fail_on", "code"),
    [
        (manifest(), "in-place", 0),
        (manifest(service_spec(rayClusterDeletionDelaySeconds=5)), "in-place", 1),
        (manifest(service_spec(rayClusterDeletionDelaySeconds=5)), "blue-green", 0),
        (BLUE, "blue-green", 1),
        (BLUE, "refused", 0),
        (manifest(service_spec(app="applications: [")), "refused", 1),
    ],
)
def test_the_exit_code_is_what_ci_asks_for(kube: FakeKube, new: Any, fail_on: str, code: int) -> None:
    assert plan("--fail-on", fail_on, stdin=new).exit_code == code


def test_a_file_is_held_against_a_file_without_a_cluster(tmp_path: Path) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(yaml.safe_dump_all([manifest(name="other"), manifest()]))
    done = plan("--against", str(before), "-o", "json", stdin=BLUE)
    [told] = json.loads(done.stdout)
    assert told["forecast"]["consequence"] == "blue-green"
    assert (told["room"]["now"]["pods"], told["room"]["free"]) == (2, None)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("kind: {{ .Values }", "standard input"),
        ("kind: ConfigMap\napiVersion: v1", "holds no RayService"),
        (manifest(name="stranger"), "holds no RayService stranger"),
    ],
)
def test_what_nothing_can_be_told_of_ends_with_2(tmp_path: Path, new: Any, words: str) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(yaml.safe_dump(manifest()))
    done = plan("--against", str(before), stdin=new)
    assert done.exit_code == 2
    assert words in done.stderr
