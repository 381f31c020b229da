"""Pods that are tried: all at the same time, none for long, and once for a revision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.engine import dry_runs as module
from rayserve_operator.engine.dry_runs import DryRuns, tried
from rayserve_operator.model.errors import OutcomeUnknown
from rayserve_operator.model.objects import RayService
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.dry_run import drafts
from rayserve_operator.planning.dry_run.verdicts import REFUSED, Answer
from rayserve_operator.render.options import RenderOptions

from ..builders import aim_at, cluster_config, group, service_meta, service_spec

GOAL = aim_at(service_spec(cluster_config(group(), group("gpu")))).goal
OTHER = aim_at(service_spec(cluster_config(image="ray:2"))).goal
SERVICE = RayService(service_meta(), GOAL.spec, RayServiceStatus())
PODS = drafts.of_service(SERVICE, GOAL.serve.cluster_part, RenderOptions())
TYPO = {"message": 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.oops"'}


class Server:
    """An API server of which each answer comes from a function of the pod; it notes whom it was asked about."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._answer = answer
        self.asked: list[Any] = []

    async def dry_run(self, kind: Kind, manifest: Any) -> Answer:
        assert kind is Kind.POD
        self.asked.append(manifest)
        found = self._answer(manifest)
        answer: Answer = await found if asyncio.iscoroutine(found) else found
        return answer


def on(answer: Callable[[Any], Any]) -> tuple[Any, DryRuns]:
    server: Any = Server(answer)
    return server, DryRuns(server, RenderOptions())


async def test_all_pods_are_under_way_at_the_same_time() -> None:
    everyone = asyncio.Barrier(len(PODS))

    async def together(manifest: Any) -> Answer:
        await everyone.wait()
        return Answer(201, {"message": manifest["metadata"]["generateName"]})

    server, _ = on(together)
    answers = await tried(server, PODS)
    assert [answer.message for answer in answers] == [pod.manifest["metadata"]["generateName"] for pod in PODS]


async def test_a_pod_without_an_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", timedelta())
    server, _ = on(lambda _: asyncio.Event().wait())
    [answer] = await tried(server, PODS[:1])
    assert answer == Answer(None, {"message": "no answer within 0 s"})


async def test_an_api_server_that_is_not_reached_is_no_failure() -> None:
    def fail(_: Any) -> Answer:
        raise OutcomeUnknown("cut off")

    server, dry_runs = on(fail)
    assert await tried(server, PODS[:1]) == [Answer(None, {"message": "cut off"})]
    assert await dry_runs.problems(SERVICE, GOAL) == ()


async def test_only_what_can_never_be_a_pod_is_a_problem(caplog: pytest.LogCaptureFixture) -> None:
    quota = Answer(403, {"message": 'pods "p" is forbidden: exceeded quota: q'})
    _, dry_runs = on(lambda pod: Answer(400, TYPO) if "gpu" in pod["metadata"]["generateName"] else quota)
    [problem] = await dry_runs.problems(SERVICE, GOAL)
    assert (problem.code, problem.path) == (REFUSED, "spec.rayClusterConfig.workerGroupSpecs[1].template.spec.oops")
    assert caplog.text.count("exceeded quota: q") == 2


async def test_a_revision_is_tried_once_and_the_next_one_again() -> None:
    server, dry_runs = on(lambda _: Answer(400, TYPO))
    first = await dry_runs.problems(SERVICE, GOAL)
    assert await dry_runs.problems(SERVICE, GOAL) == first
    assert len(server.asked) == len(PODS)
    await dry_runs.problems(replace(SERVICE, spec=OTHER.spec), OTHER)
    assert len(server.asked) == len(PODS) + 2


async def test_what_is_gone_is_forgotten() -> None:
    server, dry_runs = on(lambda _: Answer(201))
    await dry_runs.problems(SERVICE, GOAL)
    dry_runs.forget({SERVICE.meta.uid})
    await dry_runs.problems(SERVICE, GOAL)
    assert len(server.asked) == len(PODS)
    dry_runs.forget(set())
    await dry_runs.problems(SERVICE, GOAL)
    assert len(server.asked) == 2 * len(PODS)
