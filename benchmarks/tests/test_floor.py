"""The floor against an API server that makes every pod ready as soon as it is created."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.blueprint import Blueprint
from benchmarks.floor import Floor
from benchmarks.manifests import PODS, SERVICE
from benchmarks.stage import Stage
from benchmarks.world import World

KINDS = {"rayservices": "RayService", "rayclusters": "RayCluster", "pods": "Pod", "services": "Service"}


@dataclass
class FakeApi:
    world: World
    done: list[tuple[str, str, str]] = field(default_factory=list)

    async def create(self, plural: str, manifest: dict[str, Any]) -> dict[str, Any]:
        name = manifest["metadata"]["name"]
        self.done.append(("create", plural, name))
        metadata = {**manifest["metadata"], "uid": f"uid of {name}", "generation": 1}
        status = {"conditions": [{"type": "Ready", "status": "True"}]} if plural == "pods" else {}
        made = {**manifest, "kind": KINDS[plural], "metadata": metadata, "status": status}
        self.world.saw(plural, "ADDED", made, time.monotonic())
        return made

    async def merge(
        self, plural: str, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = ""
    ) -> None:
        self.done.append((f"merge {subresource}".strip(), plural, name))
        if plural == "services":
            metadata = {"name": name, "namespace": namespace}
            self.world.saw(plural, "MODIFIED", {"metadata": metadata, "spec": patch["spec"]}, time.monotonic())

    async def delete(self, plural: str, namespace: str, name: str, *, grace: int | None = None) -> None:
        self.done.append(("delete", plural, name))


def owned(name: str, kind: str, owner: str, **more: Any) -> dict[str, Any]:
    reference = {"apiVersion": "ray.io/v1", "kind": kind, "name": owner}
    return {"metadata": {"name": name, "ownerReferences": [reference], **more.pop("metadata", {})}, **more}


def blueprint() -> Blueprint:
    labels = {SERVICE: "pattern", "ray.io/cluster": "pattern-a"}
    pods = [
        owned(f"pattern-a-{number}", "RayCluster", "pattern-a", metadata={"labels": labels}, spec={})
        for number in range(PODS)
    ]
    selector = {"selector": {"ray.io/cluster": "pattern-a"}}
    found = {
        "pods": pods,
        "rayclusters": [owned("pattern-a", "RayService", "pattern", spec={}, status={"state": "ready"})],
        "services": [owned("pattern-serve-svc", "RayService", "pattern", spec=selector)],
    }
    return Blueprint.of({"metadata": {"name": "pattern"}, "status": {"serviceStatus": "Running"}}, found)


def floor() -> tuple[Floor, FakeApi]:
    world = World()
    api = FakeApi(world)
    return Floor(cast("Stage", SimpleNamespace(api=api, world=world, patience=5.0)), blueprint()), api


async def test_owners_come_before_what_they_own_and_each_status_is_written_once() -> None:
    under_test, api = floor()
    outcome = await under_test.create(["many-1"])
    assert outcome.effects["pods exist"].came == outcome.effects["Ready"].came == 1
    assert api.done == [
        ("create", "rayservices", "many-1"),
        ("create", "rayclusters", "many-1-a"),
        ("create", "services", "many-1-serve-svc"),
        *[("create", "pods", f"many-1-a-{number}") for number in range(PODS)],
        ("merge status", "rayservices", "many-1"),
        ("merge status", "rayclusters", "many-1-a"),
    ]


async def test_the_switch_follows_the_pods_and_the_old_cluster_goes_last() -> None:
    under_test, api = floor()
    await under_test.create(["many-1"])
    api.done.clear()
    outcome = await under_test.roll_out(["many-1"])
    assert outcome.effects["switched"].came == 1
    assert api.done == [
        ("merge", "rayservices", "many-1"),
        ("create", "rayclusters", "many-1-a-2"),
        *[("create", "pods", f"many-1-a-2-{number}") for number in range(PODS)],
        ("merge status", "rayservices", "many-1"),
        ("merge status", "rayclusters", "many-1-a-2"),
        ("merge", "services", "many-1-serve-svc"),
        *[("delete", "pods", f"many-1-a-{number}") for number in range(PODS)],
        ("delete", "rayclusters", "many-1-a"),
    ]
