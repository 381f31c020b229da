"""One RayService under test: what users see of it, and what it is made of."""

from dataclasses import dataclass
from typing import Any

from scenarios.harness import kube as kubernetes
from scenarios.harness import ray
from scenarios.harness.asking import Question
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.manifests import in_namespace
from scenarios.harness.release import is_ready
from scenarios.harness.waiting import until

START = 180.0
"""Seconds that a service may take from nothing to its first answer, on a slow machine."""
ROLLOUT = 240.0
SERVE_PORT = 8000


@dataclass(frozen=True)
class RayService:
    """A RayService by its name; every property is read afresh."""

    kube: Kube
    namespace: str
    name: str

    def apply(self, manifest: Manifest) -> str:
        """`kubectl apply` a manifest of this RayService."""
        return kubernetes.apply(in_namespace(manifest, self.namespace))

    def patch(self, manifest: Manifest) -> None:
        """Write the spec of a manifest without the time that kubectl takes to start."""
        self.kube.replace_spec("rayservices", self.namespace, self.name, manifest["spec"])

    @property
    def object(self) -> Manifest:
        """The RayService as it is stored."""
        return self.kube.get("rayservices", self.namespace, self.name)

    @property
    def status(self) -> Manifest:
        """Its status."""
        status: Manifest = self.object.get("status", {})
        return status

    @property
    def conditions(self) -> dict[str, Manifest]:
        """Its conditions by type, but only those that speak of the present generation."""
        stored = self.object
        generation = stored["metadata"]["generation"]
        conditions = stored.get("status", {}).get("conditions", [])
        return {c["type"]: c for c in conditions if c.get("observedGeneration") == generation}

    def holds(self, condition: str) -> bool:
        """Whether a condition is True for the present generation."""
        return self.conditions.get(condition, {}).get("status") == "True"

    @property
    def active_cluster(self) -> str:
        """Name of the RayCluster that the serve Service sends traffic to, all or most of it."""
        service = self._serve_service
        stamp = service["metadata"]["annotations"]["rayserve.ray.io/active-cluster"]
        name: str = service["spec"]["selector"].get("ray.io/cluster", stamp)
        return name

    @property
    def clusters(self) -> list[str]:
        """Names of its RayClusters."""
        found = self.kube.list(
            "rayclusters", self.namespace, f"ray.io/originated-from-cr-name={self.name}"
        )
        return sorted(cluster["metadata"]["name"] for cluster in found)

    def annotations(self, cluster: str) -> dict[str, str]:
        """The annotations of one of its RayClusters; none where there is no such cluster."""
        found = self.kube.find("rayclusters", self.namespace, cluster)
        annotations: dict[str, str] = (found or {"metadata": {}})["metadata"].get("annotations", {})
        return annotations

    def pods(self, cluster: str | None = None) -> dict[str, Manifest]:
        """The Ray pods of its clusters, or of one, by name."""
        clusters = [cluster] if cluster else self.clusters
        selector = f"ray.io/cluster in ({','.join(clusters)})"
        found = self.kube.list("pods", self.namespace, selector) if clusters else []
        return {pod["metadata"]["name"]: pod for pod in found}

    @property
    def uids(self) -> set[str]:
        """The Ray pods that are there, each by what no other pod has."""
        return {pod["metadata"]["uid"] for pod in self.pods().values()}

    def workers(self, cluster: str | None = None) -> dict[str, Manifest]:
        """Its worker pods that are not on their way out."""
        return _of_type("worker", self.pods(cluster))

    def heads(self, cluster: str | None = None) -> dict[str, Manifest]:
        """Its head pods that are not on their way out."""
        return _of_type("head", self.pods(cluster))

    @property
    def url(self) -> str:
        """Where clients in the cluster find it: the ClusterIP of its Service."""
        return _url(self._serve_service)

    @property
    def _serve_service(self) -> Manifest:
        return self.kube.get("services", self.namespace, f"{self.name}-serve-svc")

    @property
    def events(self) -> list[Manifest]:
        """The events about it and its RayClusters, in the order in which they were told."""
        names = {self.name, *self.clusters}
        events = self.kube.list("events", self.namespace)
        about_it = [event for event in events if event["involvedObject"]["name"] in names]
        return sorted(about_it, key=_told_at)

    def ask(self, question: Question) -> Any:
        """The JSON of a good answer to one request on a new connection, else None."""
        found = self.kube.find("services", self.namespace, f"{self.name}-serve-svc")
        return ray.answer(f"{_url(found)}{question.path}", question.body) if found else None

    def wait_answer(
        self, question: Question, within: float = START, *, every: float = 0.1, **wanted: Any
    ) -> Any:
        """The first good answer through the Service whose fields have the wanted values."""

        def answer() -> Any:
            given = self.ask(question)
            assert given, "no good answer"
            assert wanted.items() <= given.items(), given
            return given

        return until(answer, f"{self.name} answers with {wanted}", within, every=every)

    def wait_ready(self, within: float = START) -> None:
        """Wait until it says that it serves this generation, with nothing left to do."""

        def settled() -> bool:
            assert not self.holds("Reconciling"), self.conditions.get("Reconciling")
            return (
                self.holds("Ready")
                and self.conditions.get("Reconciling", {}).get("status") == "False"
            )

        until(settled, f"{self.name} is Ready and not Reconciling", within)

    def wait_alone(self, within: float = ROLLOUT) -> None:
        """Wait until only the active cluster and its pods are left."""

        def alone() -> bool:
            assert self.clusters == [self.active_cluster], self.clusters
            left = self.kube.list("pods", self.namespace, "ray.io/is-ray-node=yes")
            others = [p["metadata"]["name"] for p in left if not _belongs(p, self.active_cluster)]
            assert not others, others
            return True

        until(alone, f"{self.name} has only its active cluster", within)

    def wait_switched(self, old: str, within: float = ROLLOUT) -> str:
        """Wait until traffic goes to another cluster than `old`, and return its name."""
        until(lambda: self.active_cluster != old, f"{self.name} leaves {old}", within)
        return self.active_cluster

    def head_address(self, cluster: str | None = None) -> str:
        """The address of the head of a cluster, the active one unless told.

        Raises AssertionError where there is no one head with an address.
        """
        heads = self.heads(cluster or self.active_cluster).values()
        addresses = [head["status"].get("podIP") for head in heads]
        assert len(addresses) == 1 and addresses[0], f"heads with addresses: {addresses}"
        return str(addresses[0])

    def serve_report(self, cluster: str | None = None) -> Manifest:
        """What the Ray of a cluster, the active one unless told, says about its applications.

        Raises AssertionError where there is no one head that answers.
        """
        return ray.applications(self.head_address(cluster))

    def replicas(self, deployment: str, cluster: str | None = None) -> list[Manifest]:
        """The running replicas of a deployment, as Ray tells them; see `serve_report`."""
        return [
            replica
            for application in self.serve_report(cluster)["applications"].values()
            for replica in application["deployments"].get(deployment, {}).get("replicas", [])
            if replica["state"] == "RUNNING"
        ]

    def worker_groups(self, cluster: str | None = None) -> list[Manifest]:
        """The worker groups of a cluster, the active one unless told, as its RayCluster has them.

        Raises ApiError where there is no such cluster.
        """
        found = self.kube.get("rayclusters", self.namespace, cluster or self.active_cluster)
        groups: list[Manifest] = found["spec"]["workerGroupSpecs"]
        return groups

    def deployed_at(self) -> float:
        """When Ray last took a Serve config, by its own clock: every PUT changes that."""
        applications = self.serve_report()["applications"].values()
        return max(float(application["last_deployed_time_s"]) for application in applications)

    def delete_pod(self, name: str) -> None:
        """Kill a pod, without a drain."""
        self.kube.delete("pods", self.namespace, name, grace=0)


def _url(service: Manifest) -> str:
    return f"http://{service['spec']['clusterIP']}:{SERVE_PORT}"


def _told_at(event: Manifest) -> tuple[str, str]:
    # The operator's names of events end with the time, to the microsecond.
    return event["metadata"]["creationTimestamp"], event["metadata"]["name"].rpartition(".")[2]


def _of_type(node_type: str, pods: dict[str, Manifest]) -> dict[str, Manifest]:
    return {
        name: pod
        for name, pod in pods.items()
        if pod["metadata"]["labels"]["ray.io/node-type"] == node_type
        and "deletionTimestamp" not in pod["metadata"]
    }


def _belongs(pod: Manifest, cluster: str) -> bool:
    return bool(pod["metadata"]["labels"]["ray.io/cluster"] == cluster)


def all_ready(pods: dict[str, Manifest]) -> bool:
    """Whether there are pods, and all are Ready."""
    return bool(pods) and all(is_ready(pod) for pod in pods.values())
