"""One RayCluster under test: what is said of it, and whether its pods bear that out."""

import re
from dataclasses import dataclass
from typing import Any

from scenarios.harness.kube import Kube, Manifest, kubectl
from scenarios.harness.pods import PlayedPods, name_of

HEAD_CPU, WORKER_CPU = "2", "1"


def group(name: str = "cpu", replicas: int = 2, **fields: Any) -> Manifest:
    """A worker group."""
    return {
        "groupName": name,
        "replicas": replicas,
        "minReplicas": 0,
        "template": _template(WORKER_CPU),
        **fields,
    }


def spec(*groups: Manifest, **fields: Any) -> Manifest:
    """The spec of a cluster with a head and these groups."""
    return {
        "headGroupSpec": {"template": _template(HEAD_CPU)},
        "workerGroupSpecs": list(groups),
        **fields,
    }


def _template(cpu: str) -> Manifest:
    resources = {"limits": {"cpu": cpu, "memory": "1Gi"}}
    return {"spec": {"containers": [{"name": "ray", "image": "ray:1", "resources": resources}]}}


@dataclass(frozen=True)
class RayCluster:
    """A RayCluster by its name; every property is read afresh."""

    kube: Kube
    namespace: str
    name: str

    @property
    def pods(self) -> PlayedPods:
        """The pods around it."""
        return PlayedPods(self.kube, self.namespace)

    def create(self, cluster_spec: Manifest, **metadata: Any) -> None:
        """Create it."""
        metadata = {"name": self.name, "namespace": self.namespace, **metadata}
        manifest = {
            "apiVersion": "ray.io/v1",
            "kind": "RayCluster",
            "metadata": metadata,
            "spec": cluster_spec,
        }
        self.kube.create("rayclusters", manifest)

    def patch(self, **fields: Any) -> None:
        """Change fields of its spec."""
        self.kube.merge("rayclusters", self.namespace, self.name, {"spec": fields})

    @property
    def object(self) -> Manifest:
        """The RayCluster as it is stored."""
        return self.kube.get("rayclusters", self.namespace, self.name)

    @property
    def status(self) -> Manifest:
        """Its status. Raises AssertionError as long as it speaks of another generation."""
        stored = self.object
        status: Manifest = stored.get("status", {})
        assert status.get("observedGeneration") == stored["metadata"]["generation"], status
        return status

    @property
    def state(self) -> str:
        """The one word of its status."""
        state: str = self.status.get("state", "")
        return state

    @property
    def reason(self) -> str:
        """Why it is not ready."""
        reason: str = self.status.get("reason", "")
        return reason

    @property
    def conditions(self) -> dict[str, Manifest]:
        """Its conditions by type."""
        return {condition["type"]: condition for condition in self.status.get("conditions", [])}

    def told(self, type_: str) -> tuple[str, str]:
        """Status and reason of a condition; empty words where there is none."""
        condition = self.conditions.get(type_, {})
        return condition.get("status", ""), condition.get("reason", "")

    @property
    def row(self) -> dict[str, str]:
        """What `kubectl get raycluster -o wide` prints of it, by column."""
        printed = kubectl(
            "get", "raycluster", self.name, f"--namespace={self.namespace}", "--output=wide"
        )
        titles, values = printed.splitlines()
        starts = [(found.group(), found.start()) for found in re.finditer(r"\S+(?: \S+)*", titles)]
        ends = [*(start for _, start in starts[1:]), None]
        return {
            title: values[start:end].strip()
            for (title, start), end in zip(starts, ends, strict=True)
        }

    def agrees(self) -> bool:
        """True where `assert_agrees` finds nothing."""
        self.assert_agrees()
        return True

    def assert_agrees(self) -> None:
        """Every number is what the pods say, and `kubectl get` prints the same."""
        status, conditions = self.status, self.conditions
        heads, workers = self.pods.of(self.name, "head"), self.pods.of(self.name, "worker")
        wanted = _wanted(self.object["spec"])
        running = sum(pod["status"]["phase"] == "Running" for pod in workers)
        up = sum(map(_is_up, workers))
        counts = {
            key: status.get(f"{key}WorkerReplicas") for key in ("desired", "available", "ready")
        }
        assert counts == {"desired": wanted, "available": running, "ready": up}
        head = heads[0] if heads else None
        assert status["head"].get("podName") == (name_of(head) if head else None)
        assert status["head"].get("podIP") == (head["status"].get("podIP") if head else None)
        head_is_ready = head is not None and _is_ready(head)
        assert conditions["HeadPodReady"]["status"] == str(head_is_ready)
        is_loop = conditions.get("ReplicaFailure", {}).get("reason", "").startswith("CrashLoop")
        is_ready = head_is_ready and _is_up(head) and up >= wanted and not is_loop
        assert (status.get("state") == "ready") == is_ready, status
        if is_ready:
            assert conditions["RayClusterProvisioned"]["status"] == "True"
            assert "reason" not in status
        self._assert_printed(status, wanted, running)

    def _assert_printed(self, status: Manifest, wanted: int, running: int) -> None:
        expected = {
            "DESIRED WORKERS": str(wanted),
            "AVAILABLE WORKERS": str(running),
            "CPUS": str(int(HEAD_CPU) + wanted * int(WORKER_CPU)),
            "STATUS": status.get("state", ""),
            "HEAD POD IP": status["head"].get("podIP", ""),
            "REASON": status.get("reason", ""),
        }
        row = self.row
        assert {title: row[title] for title in expected} == expected


def _wanted(cluster_spec: Manifest) -> int:
    if cluster_spec.get("suspend"):
        return 0
    return sum(
        entry["replicas"] * entry.get("numOfHosts", 1) for entry in cluster_spec["workerGroupSpecs"]
    )


def _is_up(pod: Manifest | None) -> bool:
    containers = (pod or {}).get("status", {}).get("containerStatuses") or [{}]
    return bool("running" in containers[0].get("state", {}) and containers[0].get("started"))


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
