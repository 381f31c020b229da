"""Pods and nodes played by hand, where there is no kubelet."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scenarios.harness.kube import ApiError, Kube, Manifest

HOLD = "rayserve-e2e/hold"
"""A finalizer that keeps an object from going."""
_ADDRESSES = (f"127.2.{n // 250}.{n % 250 + 1}" for n in itertools.count())


def ago(seconds: float = 0) -> str:
    """A time so many seconds back, as Kubernetes writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class PodState:
    """What a kubelet would say of a pod, and of the container in it that runs Ray."""

    phase: str = "Pending"
    container: Manifest | None = None
    """The container's status but for its name; None as long as no kubelet has the pod.

    A time that is None in it is the moment at which the pod is put into this state.
    """
    ready: bool = False
    unschedulable: str = ""
    """The scheduler's words about a pod that fits no node."""
    reason: str = ""
    """Why the whole pod has ended."""

    @property
    def is_running(self) -> bool:
        """Whether the pod counts as available."""
        return self.phase == "Running"

    @property
    def is_up(self) -> bool:
        """Whether Ray runs in it, and has passed its start-up probe."""
        container = self.container or {}
        return bool("running" in container.get("state", {}) and container.get("started"))


def _container(
    state: Manifest, *, up: bool = False, restarts: int = 0, last: Manifest | None = None
) -> Manifest:
    last_state = {"lastState": {"terminated": last}} if last else {}
    return {"state": state, "started": up, "ready": up, "restartCount": restarts, **last_state}


def _end(words: str, code: int, reason: str) -> Manifest:
    return {
        "exitCode": code,
        "reason": reason,
        "message": words,
        "startedAt": None,
        "finishedAt": None,
    }


PENDING = PodState()
"""Made, and seen by nobody yet."""
STARTING = PodState("Running", _container({"running": {"startedAt": None}}))
"""Its containers run; the start-up probe has not passed."""
UP = PodState("Running", _container({"running": {"startedAt": None}}, up=True), ready=True)
"""Started and Ready."""
UNREADY = replace(UP, ready=False, container={**(UP.container or {}), "ready": False})
"""Started, and its readiness probe fails: a worker whose Ray serves nothing."""
CUT_OFF = replace(UP, ready=False)
"""Called not ready because its kubelet, which had said that all was well, is silent."""
STOPPED = PodState("Running", _container({"terminated": _end("", 0, "Completed")}))
"""All its containers have ended."""
EVICTED = PodState("Failed", reason="Evicted")
"""Ended by its kubelet for want of room."""


def unschedulable(words: str) -> PodState:
    """Fits no node, in the scheduler's words."""
    return PodState(unschedulable=words)


def without_image(reason: str, words: str) -> PodState:
    """Its image cannot be had."""
    return PodState(container=_container({"waiting": {"reason": reason, "message": words}}))


def crash_looping(
    words: str, *, restarts: int = 4, code: int = 1, reason: str = "Error"
) -> PodState:
    """Waits to be started once more; these were its last words."""
    back_off = {
        "reason": "CrashLoopBackOff",
        "message": "back-off 1m20s restarting failed container",
    }
    last = _end(words, code, reason)
    return PodState("Running", _container({"waiting": back_off}, restarts=restarts, last=last))


def restarted(times: int, words: str) -> PodState:
    """Runs, after so many crashes; these were the words of the last."""
    state = {"running": {"startedAt": None}}
    return replace(
        UP, container=_container(state, up=True, restarts=times, last=_end(words, 1, "Error"))
    )


def ended(words: str, code: int, reason: str) -> PodState:
    """Its container has just ended, and is about to be started anew."""
    return PodState("Running", _container({"terminated": _end(words, code, reason)}))


@dataclass(frozen=True)
class PlayedPods:
    """The pods of one namespace."""

    kube: Kube
    namespace: str

    def of(self, cluster: str, role: str = "") -> list[Manifest]:
        """Pods of a cluster that are not on their way out."""
        selector = f"ray.io/cluster={cluster}" + (f",ray.io/node-type={role}" if role else "")
        found = self.kube.list("pods", self.namespace, selector)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def head(self, cluster: str) -> str:
        """Name of the one head that stays. Raises AssertionError where there is none, or more."""
        heads = list(map(name_of, self.of(cluster, "head")))
        assert len(heads) == 1, heads
        return heads[0]

    def workers(self, cluster: str) -> list[str]:
        """Names of the workers that stay."""
        return sorted(map(name_of, self.of(cluster, "worker")))

    def put(self, name: str, state: PodState) -> None:
        """Bring a pod into a state."""
        pod = self.kube.get("pods", self.namespace, name)
        self.kube.merge("pods", self.namespace, name, {"status": _status(pod, state)}, "status")

    def bind(self, name: str, node: str) -> None:
        """Bring a pod to a node, as the scheduler does."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/binding"
        self.kube.request(
            "POST", path, {"metadata": {"name": name}, "target": {"kind": "Node", "name": node}}
        )

    def hold(self, name: str) -> None:
        """Let a pod stay, once it is deleted, until it is let go."""
        self.kube.merge("pods", self.namespace, name, {"metadata": {"finalizers": [HOLD]}})

    def let_go(self, name: str) -> None:
        """Hold a pod no longer."""
        self.kube.merge("pods", self.namespace, name, {"metadata": {"finalizers": None}})

    def kill(self, name: str) -> None:
        """Delete a pod at once."""
        self.kube.delete("pods", self.namespace, name, grace=0)

    def clear(self) -> None:
        """Let every pod go that nothing else would ever end."""
        for pod in self.kube.list("pods", self.namespace):
            with suppress(ApiError):
                if pod["metadata"].get("finalizers"):
                    self.let_go(name_of(pod))
                self.kill(name_of(pod))


@dataclass(frozen=True)
class PlayedNode:
    """A node that there is no machine for."""

    kube: Kube
    name: str

    def speak(self) -> None:
        """Let its kubelet be heard."""
        self._report("True", 0)

    def fall_silent(self, seconds: float = 0) -> None:
        """Let its kubelet have been silent for so long."""
        self._report("Unknown", seconds)

    def take_out_of_service(self) -> None:
        """Say, as a person does, that it is really down."""
        taint = {"key": "node.kubernetes.io/out-of-service", "value": "down", "effect": "NoExecute"}
        self.kube.merge("nodes", None, self.name, {"spec": {"taints": [taint]}})

    def _report(self, ready: str, seconds: float) -> None:
        said = {
            "type": "Ready",
            "status": ready,
            "reason": "Played",
            "lastTransitionTime": ago(seconds),
        }
        status = {"conditions": [{**said, "lastHeartbeatTime": ago(seconds)}]}
        self.kube.merge("nodes", None, self.name, {"status": status}, "status")


@contextmanager
def played_node(kube: Kube, name: str) -> Iterator[PlayedNode]:
    """A node that speaks, and is gone in the end."""
    kube.create("nodes", {"metadata": {"name": name}})
    node = PlayedNode(kube, name)
    node.speak()
    try:
        yield node
    finally:
        kube.delete("nodes", None, name)


def name_of(manifest: Manifest) -> str:
    """The name of an object."""
    name: str = manifest["metadata"]["name"]
    return name


def _status(pod: Manifest, state: PodState) -> Manifest:
    status: Manifest = {
        "phase": state.phase,
        "conditions": list(_conditions(state)),
        "reason": state.reason or None,
    }
    if state.container is None:
        return {**status, "containerStatuses": []}
    address = pod["status"].get("podIP") or next(_ADDRESSES)
    ray, *others = (
        {"name": container["name"], "image": container["image"], "imageID": ""}
        for container in pod["spec"]["containers"]
    )
    beside = [{**known, **(UP.container or {})} for known in others]
    return {
        **status,
        **({"podIP": address, "podIPs": [{"ip": address}]} if state.is_running else {}),
        "containerStatuses": _dated([{**ray, **state.container}, *beside]),
    }


def _dated(value: Any) -> Any:
    if isinstance(value, list):
        return [_dated(part) for part in value]
    if isinstance(value, dict):
        return {key: _dated(part) for key, part in value.items()}
    return ago() if value is None else value


def _conditions(state: PodState) -> Iterator[Manifest]:
    if state.unschedulable:
        said = {"status": "False", "reason": "Unschedulable", "message": state.unschedulable}
        yield {"type": "PodScheduled", **said, "lastTransitionTime": ago()}
    elif state.container is not None:
        yield {"type": "PodScheduled", "status": "True", "lastTransitionTime": ago()}
        yield {"type": "Ready", "status": str(state.ready), "lastTransitionTime": ago()}
