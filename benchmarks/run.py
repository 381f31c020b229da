"""One run: the cluster is set up, the floor is measured, and the scenarios are played."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import account, report, scenarios
from benchmarks.api import Api
from benchmarks.blueprint import Blueprint, kinds_made
from benchmarks.floor import Floor
from benchmarks.manifests import home, many, nodes_for
from benchmarks.measures import Outcome, Results
from benchmarks.processes import allow_all_files
from benchmarks.ray.client import RayStandIn
from benchmarks.stage import NotInTime, Stage
from benchmarks.subject import Subject
from benchmarks.world import FOLLOWED, World
from localcluster import LocalCluster
from localcluster.progress import Steps
from scenarios.harness import session
from scenarios.harness.audit import AuditLog
from scenarios.harness.kube import ApiError, Kube, Manifest, kubectl
from scenarios.harness.namespaces import recreate
from scenarios.harness.waiting import until

USER_AGENT = "rayserve-bench"
CRD = "customresourcedefinitions"
KINDS = ("rayservices.ray.io", "rayclusters.ray.io")
PATTERN = "pattern"
"""The RayService that the floor's objects are copied from."""
_ALONE = many("alone", scenarios.SINGLES)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    services: int
    operator: str
    """A command line."""
    crds: Path
    chosen: Sequence[str]
    """Names of scenarios."""
    has_floor: bool


async def measure(plan: Plan, steps: Steps) -> Results:
    """Set the stage, measure the floor, then play the scenarios."""
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    results = Results(plan.services, plan.operator, began, os.cpu_count() or 1, os.getloadavg()[0])
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        with steps.step("CRDs, namespaces and nodes"):
            set_up(plan, kubeconfig)
        async with set_stage(plan, kubeconfig) as stage:
            blueprint = await _measure_one(stage, results, steps)
            if plan.has_floor:
                await _measure_floor(stage, blueprint, results, steps)
            await _play(plan, stage, results, steps)
    return results


def set_up(plan: Plan, kubeconfig: Path) -> None:
    """Make everything that has to be there before the operator is."""
    kube = Kube()
    kubectl("apply", "--server-side", "-f", str(plan.crds))
    until(lambda: all(_is_established(kube.get(CRD, None, name)) for name in KINDS), "the CRDs are established", 30)
    # Established they are well before they are served: until then, lists are answered by 429.
    until(lambda: all(_is_served(kube, name) for name in KINDS), "the CRDs are served", 30)
    account.open_account(kube, Path(os.environ["KUBECONFIG"]), kubeconfig)
    played = (*many("many", plan.services), *_of_floor(plan.services), *_ALONE)
    namespaces = sorted({scenarios.PROBES, *map(home, played)})
    for namespace in namespaces:
        recreate(kube, namespace)
    # No pod can be created before its namespace has a service account.
    until(lambda: all(kube.find("serviceaccounts", n, "default") for n in namespaces), "the service accounts", 30)
    for node in nodes_for(plan.services):
        if kube.find("nodes", None, node["metadata"]["name"]) is None:
            kube.create("nodes", node)
    until(lambda: all(_is_usable(node) for node in kube.list("nodes")), "all nodes are ready", 60)


def _is_served(kube: Kube, crd: str) -> bool:
    try:
        kube.list(crd.partition(".")[0])
    except ApiError:
        return False
    return True


def _is_established(crd: Manifest) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _is_usable(node: Manifest) -> bool:
    return not node["spec"].get("taints")


@asynccontextmanager
async def set_stage(plan: Plan, kubeconfig: Path) -> AsyncIterator[Stage]:
    """Follow what happens, with the stand-in for Ray up and the operator down."""
    cluster = session.local_cluster()
    if cluster is None:
        raise NotInTime("the requests of an operator are counted from the audit log, which only a local cluster has")
    # Every Ray head is a connection of the operator's, and one of the stand-in's.
    allow_all_files()
    world = World()
    async with Api.connected(USER_AGENT) as api, RayStandIn.running() as ray, asyncio.TaskGroup() as group:
        log = cluster.layout.component_log("operator")
        subject = Subject(shlex.split(plan.operator), kubeconfig, log, group)
        followers = [group.create_task(world.follow(api, plural)) for plural in FOLLOWED]
        followers.append(group.create_task(world.follow_ray(ray)))
        try:
            audit = AuditLog(cluster.audit_log)
            others = {**components(cluster), "stand-in for Ray": ray.pid, "the benchmark itself": os.getpid()}
            yield Stage(plan.services, api, world, ray, subject, account.USER, audit, others)
        finally:
            await subject.stop()
            for follower in followers:
                follower.cancel()


def components(cluster: LocalCluster) -> dict[str, int]:
    """The processes of the control plane and of kwok, by name."""
    known = (cluster.state or {}).get("components", {})
    return {name: process["pid"] for name, process in known.items()}


async def _measure_one(stage: Stage, results: Results, steps: Steps) -> Blueprint:
    since = stage.audit.position()
    with steps.step("a first RayService"):
        await stage.subject.start()
        await scenarios.ready_probe(stage, PATTERN)
        await stage.settle()
        blueprint = await _copied(stage, since)
        await scenarios.remove_probe(stage, PATTERN)
    with steps.step("one RayService alone"):
        results.scenarios["single"] = await scenarios.single(stage)
    await stage.subject.stop()
    return blueprint


async def _copied(stage: Stage, since: int) -> Blueprint:
    kinds = kinds_made(stage.audit.tally(since, user=stage.user, about={scenarios.PROBES}))
    found = {plural: await stage.api.list(plural, scenarios.PROBES) for plural in kinds}
    [service] = await stage.api.list("rayservices", scenarios.PROBES)
    return Blueprint.of(service, found)


async def _measure_floor(stage: Stage, blueprint: Blueprint, results: Results, steps: Steps) -> None:
    floor = Floor(stage, blueprint)
    names = _of_floor(stage.services)
    with steps.step("the floor: one RayService alone"):
        alone = [await _floor_alone(floor, name) for name in _ALONE]
        results.floor["single"] = scenarios.one_by_one(alone)
    with steps.step(f"the floor: create {stage.services}"):
        results.floor["create"] = await floor.create(names)
    with steps.step(f"the floor: blue/green of {stage.services}"):
        results.floor["rollout"] = await floor.roll_out(names)
    with steps.step(f"the floor: delete {stage.services}"):
        results.floor["delete"] = await floor.delete(names)


def _of_floor(services: int) -> list[str]:
    return many("floor", services)


async def _floor_alone(floor: Floor, name: str) -> Outcome:
    outcome = await floor.create([name])
    await floor.delete([name])
    return outcome


async def _play(plan: Plan, stage: Stage, results: Results, steps: Steps) -> None:
    with steps.step("the operator starts"):
        await stage.subject.start()
        await scenarios.ready_probe(stage, PATTERN)
        await scenarios.remove_probe(stage, PATTERN)
        await stage.settle()
    for name, scenario in scenarios.SCENARIOS.items():
        if name in plan.chosen or name == "create":
            with steps.step(f"{name}: {report.TITLES[name]}"):
                results.scenarios[name] = await scenario(stage)
