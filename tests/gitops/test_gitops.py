"""What Argo CD and Flux make of a RayService while the operator works on it, and whether they leave it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime

from rayserve_operator.planning.actions import Kind
from tests.sim.manifests import Json
from tests.sim.rayservice import ServiceStory, spec
from tests.sim.rules import NAME
from tests.sim.test_scaling import ClusterStory, group
from tests.sim.virtual_time import run, wait

GITOPS = Path(__file__).parents[2] / "manifests" / "gitops"
HEALTH = "resource.customizations.health.ray.io_"
IGNORED = "resource.customizations.ignoreDifferences.ray.io_RayCluster"
OF_GROUPS = ".spec.workerGroupSpecs[]?."
OF_USERS = ("labels", "annotations", "finalizers")
"""What of metadata is in Git, if it is anywhere."""


def settings() -> Mapping[str, str]:
    """What Argo CD is told."""
    found: Mapping[str, str] = yaml.safe_load((GITOPS / "argocd-cm.yaml").read_text())["data"]
    return found


@cache
def script(kind: Kind) -> Callable[[Mapping[str, Any]], str]:
    """Argo CD's health of an object, by the script for its kind, in the version of Lua that Argo CD has."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    assess: Any = lua.eval(f"function(obj) {settings()[f'{HEALTH}{kind}']} end")

    def health(manifest: Mapping[str, Any]) -> str:
        found = assess(lua.table_from(manifest, recursive=True))
        assert isinstance(found["message"], str)
        return str(found["status"])

    return health


def kstatus(manifest: Mapping[str, Any]) -> str:
    """The status of an object by the rules of kstatus for kinds that it does not know."""
    status = manifest.get("status", {})
    held = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    if status.get("observedGeneration", manifest["metadata"]["generation"]) != manifest["metadata"]["generation"]:
        return "InProgress"
    if held.get("Reconciling") == "True":
        return "InProgress"
    if held.get("Stalled") == "True":
        return "Failed"
    return "Current" if held.get("Ready", "True") == "True" else "InProgress"


class Told:
    """What both made of an object, each time that it was another thing."""

    def __init__(self, story: ServiceStory, kind: Kind = Kind.RAY_SERVICE) -> None:
        self.argo: list[str] = []
        self.flux: list[str] = []
        self._kind = kind
        self._before = story.world.on_change
        story.world.on_change = self._saw

    def _saw(self, kind: Kind, new: Json | None) -> None:
        self._before(kind, new)
        if kind is self._kind and new is not None:
            for told, now in ((self.argo, script(kind)(new)), (self.flux, kstatus(new))):
                if told[-1:] != [now]:
                    told.append(now)


async def served(story: ServiceStory, wanted: Json) -> None:
    story.edit(wanted)
    await story.settle()
    story.assert_reached()


@pytest.mark.parametrize("edited", [spec(code="y"), spec(image="b"), spec(image="b", code="flaky2")])
def test_a_rollout_is_progress_until_it_serves_what_git_says(edited: Json) -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            first = Told(story)
            await served(story, spec())
            assert first.argo == ["Progressing", "Healthy"]
            told = Told(story)
            await served(story, edited)
            assert told.argo == ["Progressing", "Healthy"]
            assert told.flux == ["InProgress", "Current"]

    run(tell())


@pytest.mark.parametrize("edited", [spec(image="missing"), spec(image="b", code="bad")])
def test_what_is_given_up_has_failed_although_the_old_one_serves(edited: Json) -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            await served(story, spec())
            told = Told(story)
            story.edit(edited)
            await story.settle()
            assert story.condition("Ready") == "True"
            assert told.argo[-1] == "Degraded"
            assert told.flux[-1] == "Failed"
            assert not {"Healthy", "Current"} & {*told.argo, *told.flux}

    run(tell())


def test_an_invalid_spec_is_degraded() -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            await served(story, spec())
            told = Told(story)
            await story.perform("break the spec", 0)
            await wait(30)
            assert told.argo[-1] == "Degraded"

    run(tell())


def test_a_suspended_service_is_suspended() -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            await served(story, spec())
            told = Told(story)
            story.edit({**spec(), "suspend": True})
            await wait(300)
            assert told.argo[-1] == "Suspended"

    run(tell())


def test_a_cluster_is_progress_until_its_pods_are_up() -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            told = Told(story, Kind.RAY_CLUSTER)
            await served(story, spec())
            assert told.argo == ["Progressing", "Healthy"]

    run(tell())


def test_an_hour_of_autoscaling_leaves_no_drift() -> None:
    async def tell() -> None:
        async with ServiceStory() as story:
            wanted = spec(autoscaling=True, groups=(("cpu", 1, 1, 3),))
            await served(story, wanted)
            applied = story.service
            for demand in (3, 1, 2, 1):
                await story.perform("demand", demand)
                await wait(900)
            live = story.world.find(Kind.RAY_SERVICE, NAME)
            assert live is not None
            assert live["spec"] == wanted
            for key in (*OF_USERS, "generation"):
                assert live["metadata"].get(key) == applied["metadata"].get(key)
            await story.assert_stays()

    run(tell())


def compared(cluster: Json) -> Json:
    """A RayCluster's spec as Argo CD compares it."""
    paths = yaml.safe_load(settings()[IGNORED])["jqPathExpressions"]
    assert all(path.startswith(OF_GROUPS) for path in paths)
    ignored = {path.removeprefix(OF_GROUPS) for path in paths}
    groups = [
        {key: value for key, value in found.items() if key not in ignored}
        for found in cluster["spec"]["workerGroupSpecs"]
    ]
    return {**cluster["spec"], "workerGroupSpecs": groups}


def test_an_hour_of_autoscaling_leaves_no_drift_in_a_cluster_but_what_argo_cd_ignores() -> None:
    async def tell() -> None:
        async with ClusterStory(0, autoscaling=True) as story:
            story.make(group("cpu", 1, 1, 3))
            applied = story.cluster
            for replicas, named in ((3, ()), (1, (0, 1)), (2, ())):
                await story.perform("autoscale", (0, replicas, frozenset(named)))
                await wait(1200)
            live = story.cluster
            assert live["spec"] != applied["spec"]
            assert compared(live) == compared(applied)
            for key in OF_USERS:
                assert live["metadata"].get(key) == applied["metadata"].get(key)
            await story.assert_stays()

    run(tell())


def test_the_examples_point_at_what_is_there() -> None:
    root = GITOPS.parents[1]
    operators = [
        document
        for name in ("argocd.yaml", "flux.yaml")
        for document in yaml.safe_load_all((GITOPS / name).read_text())
        if document["metadata"]["name"] == "rayserve-operator"
    ]
    paths = [found.get("path") or found.get("source", {}).get("path") for found in (one["spec"] for one in operators)]
    assert len([path for path in paths if path and (root / path).is_dir()]) == 2
