from typing import Any

import pytest

from rayserve_operator.planning.observed import Silence
from rayserve_operator.planning.service.gate import Stage, judge

from ..builders import APP, NOTHING_DEPLOYED, OTHER_APP, aim_at, answer, cluster, head, pod, service_spec

GOAL = aim_at(service_spec())


@pytest.mark.parametrize(
    ("fields", "stage", "words"),
    [
        ({"pods": ()}, Stage.PROVISIONING, "the head pod is being created"),
        ({"pods": (head(phase="Pending"),)}, Stage.PROVISIONING, "is starting"),
        ({"pods": (head(phase="Pending", waiting="ImagePullBackOff"),)}, Stage.PROVISIONING, "ImagePullBackOff"),
        ({"pods": (head(leaving=True), pod())}, Stage.PROVISIONING, "the head pod is being created"),
        ({"serve": Silence("refused")}, Stage.PROVISIONING, "Ray does not answer yet (refused)"),
        ({"serve": NOTHING_DEPLOYED}, Stage.CONFIGURING, "is being submitted"),
        ({"serve": answer(OTHER_APP)}, Stage.CONFIGURING, "is being submitted"),
        ({"serve": answer(status="DEPLOYING")}, Stage.WARMING, "application app is DEPLOYING"),
        (
            {"serve": answer(status="DEPLOY_FAILED", message="\nNo module named x\nmore")},
            Stage.WARMING,
            "application app is DEPLOY_FAILED (No module named x)",
        ),
        (
            {"pods": (head(), pod(phase="Pending", unschedulable="no cpu")), "serve": answer(status="DEPLOYING")},
            Stage.WARMING,
            "application app is DEPLOYING; worker fits no node: no cpu",
        ),
        ({"pods": (head(), pod(ready=False))}, Stage.WARMING, "no pod answers"),
        ({"pods": (head(), pod(serve="false"))}, Stage.WARMING, "no pod answers"),
        ({"pods": (head(), pod(leaving=True))}, Stage.WARMING, "no pod answers"),
        ({"pods": (head(), pod())}, Stage.FIT, "serves"),
        ({"pods": (head(serve="true"),)}, Stage.FIT, "serves"),
    ],
)
def test_a_cluster_is_as_far_as_what_it_still_misses(fields: dict[str, Any], stage: Stage, words: str) -> None:
    verdict = judge(cluster(**fields), GOAL.goal.serve)
    assert verdict.stage is stage
    assert words in verdict.message


def test_a_config_without_applications_never_takes_traffic() -> None:
    empty = aim_at(service_spec(app="applications: []"))
    verdict = judge(cluster(goal=empty, serve=NOTHING_DEPLOYED), empty.goal.serve)
    assert verdict.stage is Stage.CONFIGURING
    assert "add one" in verdict.message


def test_applications_of_another_making_do_not_count() -> None:
    verdict = judge(cluster(serve=answer(APP.replace("name: app", "name: other"))), GOAL.goal.serve)
    assert verdict.stage is Stage.CONFIGURING
