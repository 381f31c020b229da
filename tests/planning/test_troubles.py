"""What keeps a pod from running, in words."""

from datetime import timedelta
from typing import Any

import pytest

from rayserve_operator.planning.cluster.troubles import Trouble, recheck, trouble_of
from rayserve_operator.planning.observed import PodView

from ..builders import NOW, ago


def seen(*containers: dict[str, Any], init: dict[str, Any] | None = None, **status: Any) -> PodView:
    found = {
        "phase": "Running",
        "containerStatuses": containers,
        "initContainerStatuses": [init] if init else [],
        **status,
    }
    names = [{"name": "ray"}, {"name": "beside"}]
    return PodView.parse({"metadata": {"name": "worker"}, "spec": {"containers": names}, "status": found})


def container(name: str = "ray", **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": {"running": {"startedAt": ago(5)}}, **fields}


def waiting(reason: str, message: str = "", **fields: Any) -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}}, **fields)


def ended(**fields: Any) -> dict[str, Any]:
    return container(state={"terminated": {"reason": "Error", "exitCode": 1, **fields}})


def crashed(restarts: int, seconds: float | None, **fields: Any) -> dict[str, Any]:
    """A container that runs again, after it ended so many seconds ago."""
    at = {} if seconds is None else {"finishedAt": ago(seconds)}
    last = {"reason": "OOMKilled", "exitCode": 137, **at, **fields}
    return container(restartCount=restarts, lastState={"terminated": last})


@pytest.mark.parametrize(
    ("pod", "reason", "words"),
    [
        (
            seen(
                phase="Pending", conditions=[{"type": "PodScheduled", "reason": "Unschedulable", "message": "no gpu"}]
            ),
            "Unschedulable",
            "worker fits no node: no gpu",
        ),
        (seen(phase="Failed", reason="Evicted", message="low on memory"), "Evicted", "worker: low on memory"),
        (seen(phase="Failed", reason="Evicted"), "Evicted", "worker: Evicted"),
        (seen(waiting("ErrImagePull", "no access to X: ")), "ErrImagePull", "worker, container ray: no access to X"),
        (seen(waiting("CreateContainerError")), "CreateContainerError", "worker, container ray"),
        (
            seen(waiting("PodInitializing"), init=waiting("ErrImagePull", "none", name="wait")),
            "ErrImagePull",
            "worker, container wait: none",
        ),
        (
            seen(
                waiting(
                    "CrashLoopBackOff", "back-off", lastState={"terminated": {"exitCode": 2, "message": "a\nb\n \n"}}
                )
            ),
            "CrashLoopBackOff",
            "worker, container ray: exit code 2, Ended: b",
        ),
        (
            seen(container(), ended(message="x" * 400)),
            "Error",
            f"worker, container ray ended: exit code 1, Error: {'x' * 300}",
        ),
        (seen(ended(exitCode=None)), "Error", "worker, container ray ended: Error"),
        (
            seen(crashed(2, 299)),
            "CrashLoop",
            "worker, container ray has been started 2 times anew, last after: exit code 137, OOMKilled",
        ),
    ],
    ids=[
        "no room",
        "evicted",
        "without words",
        "image",
        "no words",
        "init",
        "crash loop",
        "ended",
        "no code",
        "crashes",
    ],
)
def test_a_trouble_is_told_in_words_of_whoever_knows_it(pod: PodView, reason: str, words: str) -> None:
    assert trouble_of(pod, NOW) == Trouble("worker", reason, words)


@pytest.mark.parametrize(
    "pod",
    [
        seen(container()),
        seen(waiting("ContainerCreating")),
        seen(waiting("PodInitializing")),
        seen(container(), ended(reason="Completed")),
        seen(container(), reason="NodeLost"),
        seen(phase="Failed"),
        seen(crashed(1, 5)),
        seen(crashed(2, 300)),
        seen(crashed(2, None)),
        seen(container(restartCount=2)),
    ],
    ids=["runs", "creating", "initializing", "completed", "a word", "nothing known", "once", "long ago", "when", "how"],
)
def test_what_is_no_trouble_is_not_told(pod: PodView) -> None:
    assert trouble_of(pod, NOW) is None


@pytest.mark.parametrize(
    ("pods", "seconds"),
    [
        ([seen(crashed(2, 60))], 240),
        ([seen(crashed(2, 60)), seen(crashed(3, 100), crashed(3, 10))], 200),
        ([seen(crashed(2, 300)), seen(crashed(1, 5)), seen(crashed(2, None)), seen(container(restartCount=2))], None),
    ],
)
def test_a_pod_that_crashes_no_more_is_looked_at_again_after_five_minutes(
    pods: list[PodView], seconds: float | None
) -> None:
    assert recheck(pods, NOW) == (None if seconds is None else timedelta(seconds=seconds))
