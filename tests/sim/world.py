"""A fake Kubernetes with nodes, kubelets, Ray and its autoscaler, which lives in virtual time.

What an application is like stands in its import path: `app:faulty` answers users with errors, `app:slow` late, and
`app:smoking` answers smoke requests with an error.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import Traffic
from rayserve_operator.render import labels

from .apiserver import ApiServer
from .manifests import Json, copied, image_of, is_leaving, name_of, owner_of, uid_of
from .serve import Serve

STEP, REST = 0.5, 4.0
"""Seconds between two looks of kubelets and controllers: while things happen, and at most."""
SCHEDULED, PULLED, STARTING = 0.5, 1.0, 1.5
"""Seconds until a pod is on a node, from there until it runs, and from there until Ray has started."""
GRACE = 2.5
"""Seconds that a pod takes to end."""
CLINGS = 60.0
"""Seconds that Ray in a worker lives on after its head."""
AUTOSCALED_EVERY = 5.0
NODES = 3
NODE_DOUBTED, NODE_EVICTED = 10.0, 40.0
"""Seconds of silence after which a node counts as unknown, and after which the deletion of its pods is asked for."""

PULL_FAILS, PULL_BACKS_OFF = 1.0, 5.0
"""Seconds on a node until an image that there is not is called missing, and until the kubelet tries it less often."""
CRASHES, CRASHED_EVERY = 1.0, 8.0
"""Seconds that a container lives that crashes, and from one crash to the next."""
CRAMPED = 1
"""Replicas for which there is room in a cluster of image `cramped`."""

REQUESTS = 10
"""A second, to every cluster that takes traffic."""

PROXY_CHECK = "/-/healthz"

OF_CLUSTER = re.compile("-[a-z0-9]{5}-serve-svc$")
"""Names of the Services of clusters, and not of RayServices."""

Stamp = Callable[[float], str]


@dataclass
class Body:
    """What the kubelet and Ray know of a pod beyond its manifest."""

    born: float
    placed: float = 0.0
    running_since: float | None = None
    """Since when Ray runs in it."""
    restarts: int = 0
    joined: str | None = None
    """uid of the head that a worker belongs to."""
    alone_since: float | None = None
    """Since when that head is gone."""
    is_ready: bool = False
    failed: bool = False
    ends_at: float | None = None
    has_stopped: bool = False
    proxy_since: float | None = None
    """Since when Serve has had a proxy in it, or starts one."""

    @property
    def runs(self) -> bool:
        """Whether Ray runs in it, whatever anybody knows of it."""
        return self.running_since is not None and not self.failed and not self.has_stopped


@dataclass
class Silence:
    """A node whose kubelet is not heard of."""

    since: float
    until: float
    comes_back: bool
    """If not, the machine is gone by then, and another one takes its place."""


class World(ApiServer):
    """Everything but the operator."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        self.heads: dict[str, Serve] = {}
        """The Serve of each head, by its uid."""
        self.on_step: Callable[[], None] = lambda: None
        """Is called whenever time has done something."""
        self.load: int | None = 1
        """Replicas that Ray's autoscaler finds needed in each group; None where it is content with those it has."""
        self.demand = 1
        """Replicas that the traffic of an autoscaled deployment needs, on the cluster that it goes to."""
        self.autoscales = True
        self.silences: dict[str, Silence] = {}
        self.longest_request = 0.0
        """Seconds for which requests on a cluster go on after traffic has left it."""
        self.slices_held_until = 0.0
        """Until when the controller of EndpointSlices does nothing."""
        self.frozen_until = 0.0
        """Until when Ray's control plane hangs, while traffic flows."""
        self._endpoints: dict[str, frozenset[str]] = {}
        self._receiving: frozenset[str] = frozenset()
        self._answered: dict[str, float] = defaultdict(float)
        self._spread_at = 0.0
        self._serve_moves = False
        self._left_at: dict[str, float] = {}
        self._bodies: dict[str, Body] = {}
        self._nodes_made = 0
        self._next_autoscaling = 0.0
        self._step_in(STEP)
        for _ in range(NODES):
            self._add_node()

    def stir(self) -> None:
        """See to it that kubelets and controllers look soon, because something happened."""
        if self._pause > STEP:
            self._next_step.cancel()
            self._step_in(STEP)

    def _step_in(self, pause: float) -> None:
        self._pause = pause
        self._next_step = self._loop.call_later(pause, self._keep_stepping)

    def _keep_stepping(self) -> None:
        before = self.version
        self._step()
        self._step_in(STEP if self.version != before or self._serve_moves else min(2 * self._pause, REST))

    def _step(self) -> None:
        self.collect_garbage()
        for name, silence in list(self.silences.items()):
            self._pass_silence(name, silence)
        for pod in self.all(Kind.POD):
            self._run_pod(pod)
        self._spread_traffic()
        self._judge_routes()
        self._serve_moves = False
        for pod in self.all(Kind.POD):
            if uid_of(pod) in self.heads:
                self._serve_moves |= self._run_serve(pod)
        if self.autoscales and self.seconds >= self._next_autoscaling:
            self._next_autoscaling = self.seconds + AUTOSCALED_EVERY
            self._autoscale()
        self.on_step()

    @override
    def put(self, kind: Kind, manifest: Mapping[str, Any]) -> Json:
        self.stir()
        return super().put(kind, manifest)

    @override
    def gone(self, kind: Kind, name: str) -> None:
        self.stir()
        found = self.find(kind, name)
        if kind is Kind.POD and found is not None:
            self.heads.pop(uid_of(found), None)
            self.body(found).has_stopped = True
        super().gone(kind, name)

    # What is true. -------------------------------------------------------------------------------------------

    def body(self, pod: Json) -> Body:
        """The truth about a pod."""
        uid = pod["metadata"]["uid"]
        found = self._bodies.get(uid)
        if found is None:
            found = self._bodies[uid] = Body(self.seconds)
        return found

    def pods(self, cluster: str, role: str) -> Iterator[Json]:
        """The pods of a cluster; one that somebody has taken its label from is none of them."""
        for pod in self.all(Kind.POD):
            noted = pod["metadata"]["labels"]
            if owner_of(pod) == cluster == noted[labels.CLUSTER] and noted[labels.NODE_TYPE] == role:
                yield pod

    def is_up(self, pod: Json) -> bool:
        """Whether Ray in it has started and can be reached."""
        body = self.body(pod)
        started = body.running_since is not None and self.seconds >= body.running_since + STARTING
        return started and body.runs and not is_leaving(pod) and not self.is_silent(pod)

    def is_silent(self, pod: Json) -> bool:
        """Whether its node is cut off from the rest."""
        return pod["spec"].get("nodeName") in self.silences

    def is_orphaned(self, pod: Json) -> bool:
        """Whether Ray in a worker belongs to a head that is gone."""
        joined = self.body(pod).joined
        return joined is not None and joined != self.head_uid(owner_of(pod))

    def head_uid(self, cluster: str) -> str | None:
        """The head that the pods of a cluster find."""
        found = [
            pod for pod in self.pods(cluster, labels.HEAD) if uid_of(pod) in self.heads and not self.is_silent(pod)
        ]
        return uid_of(found[-1]) if found else None

    def serve(self, cluster: str) -> Serve | None:
        """The Serve that the pods of a cluster find."""
        return self.heads.get(self.head_uid(cluster) or "")

    def runs(self, cluster: str) -> dict[str, Json] | None:
        """The config with which all applications run on this cluster."""
        serve = self.serve(cluster)
        return None if serve is None else serve.runs

    def serving_pods(self, cluster: str) -> frozenset[str]:
        """Names of its pods that would be behind a Service that selects it."""
        return frozenset(
            name_of(pod)
            for role in (labels.HEAD, labels.WORKER)
            for pod in self.pods(cluster, role)
            if pod["metadata"]["labels"].get(labels.SERVE) == "true" and not is_leaving(pod) and _is_ready(pod)
        )

    def takes_traffic(self, cluster: str) -> bool:
        """Whether a pod of it would be behind a Service that selects it."""
        return bool(self.serving_pods(cluster))

    def proxy(self, pod: Json) -> str | None:
        """Status of the Serve proxy in a pod; None where there is none, or nobody there knows."""
        serve = self.heads.get(uid_of(pod)) or self.heads.get(self.body(pod).joined or "")
        return None if serve is None else serve.proxy(self.body(pod).proxy_since, self.seconds)

    def proxy_answers(self, pod: Json) -> bool:
        """Whether a Serve proxy in it passes its health check."""
        serve = self.heads.get(uid_of(pod)) or self.heads.get(self.body(pod).joined or "")
        return serve is not None and self.proxy(pod) == "HEALTHY" and (uid_of(pod) in self.heads or serve.serves)

    def ongoing_requests(self, pod: Json) -> int:
        """Requests under way in it: clients that were there when traffic moved away finish in their own time."""
        return int(self.has_requests(owner_of(pod)))

    def has_requests(self, cluster: str) -> bool:
        """Whether requests are under way in a cluster."""
        if cluster in self._receiving:
            return True
        return self.seconds < self._left_at.get(cluster, -self.longest_request) + self.longest_request

    def traffic(self, pod: Json) -> Traffic:
        """What the pod has counted of requests; a head counts for its cluster."""
        cluster = owner_of(pod)
        answered = int(self._answered[cluster]) if uid_of(pod) in self.heads else 0
        code = self._code(cluster)
        return Traffic(answered, answered if code == "faulty" else 0, answered * (900.0 if code == "slow" else 10.0))

    def answers(self, pod: Json) -> int:
        """The status with which an application answers."""
        return 500 if self._code(owner_of(pod)) == "smoking" else 200

    def _code(self, cluster: str) -> str:
        app = (self.runs(cluster) or {}).get("app", {})
        return str(app.get("import_path", "")).partition(":")[2]

    def keep_asking(self, cluster: str, seconds: float) -> None:
        """Let requests on a cluster go on for a while, though nobody knows that it ever took traffic."""
        self.longest_request = seconds
        self._left_at[cluster] = self.seconds

    def endpoints(self, service: str) -> frozenset[str]:
        """Names of the pods that a Service sends traffic to, as the controller of EndpointSlices saw it last."""
        return self._endpoints.get(service, frozenset())

    def clusters_behind(self, service: Json) -> frozenset[str]:
        """Names of the clusters that a Service leads to."""
        selector = service["spec"].get("selector") or {}
        if labels.CLUSTER in selector:
            return frozenset({selector[labels.CLUSTER]})
        chosen = (pod for pod in self.all(Kind.POD) if selector.items() <= pod["metadata"]["labels"].items())
        return frozenset(map(owner_of, chosen))

    def led_to(self) -> dict[str, int]:
        """Weights in HTTPRoutes of the clusters that these lead to, not by the stable Service but by their own."""
        found: dict[str, int] = defaultdict(int)
        for route in self.all(Kind.HTTP_ROUTE):
            for cluster, weight in weights_of(route).items():
                found[cluster] += weight
        return found

    def _judge_routes(self) -> None:
        """Do as a controller of Gateways does."""
        for route in self.all(Kind.HTTP_ROUTE):
            services = (ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"])
            resolves = all(self.find(Kind.SERVICE, name) is not None for name in services)
            seen = route["metadata"]["generation"]
            told = [
                {"type": type_, "status": str(holds), "observedGeneration": seen, "reason": "Looked"}
                for type_, holds in (("Accepted", True), ("ResolvedRefs", resolves))
            ]
            self.put(Kind.HTTP_ROUTE, {**route, "status": {"parents": [{"conditions": told}]}})

    def _spread_traffic(self) -> None:
        for service in self.all(Kind.SERVICE):
            selector = service["spec"].get("selector") or {}
            if self.seconds < self.slices_held_until:
                continue
            self._endpoints[name_of(service)] = frozenset(
                name_of(pod)
                for pod in self.all(Kind.POD)
                if selector.items() <= pod["metadata"]["labels"].items() and not is_leaving(pod) and _is_ready(pod)
            )
            if labels.ACTIVE_CLUSTER in service["metadata"].get("annotations", {}):
                receiving = self.clusters_behind(service) | self.led_to().keys()
                for cluster in self._receiving:
                    self._answered[cluster] += REQUESTS * (self.seconds - self._spread_at)
                self._spread_at = self.seconds
                self._left_at |= dict.fromkeys(self._receiving - receiving, self.seconds)
                self._receiving = receiving

    def _run_serve(self, head: Json) -> bool:
        """Let time pass for the Serve of a head; whether anything is on its way in it."""
        serve, cluster = self.heads[uid_of(head)], owner_of(head)
        workers = [pod for pod in self.all(Kind.POD) if self.body(pod).joined == uid_of(head) and self.is_up(pod)]
        is_moving = serve.step(
            self.seconds,
            has_workers=bool(workers),
            demand=self.demand if self.has_requests(cluster) else None,
            room=CRAMPED if image_of(head) == "cramped" else None,
        )
        for pod in (head, *workers):
            body, has_proxy = self.body(pod), serve.started is not None if pod is head else serve.serves
            if not has_proxy:
                body.proxy_since = None
            elif body.proxy_since is None:
                body.proxy_since = self.seconds
            is_moving |= self.proxy(pod) == "STARTING"
        return is_moving

    # Nodes. --------------------------------------------------------------------------------------------------

    def silence_node(self, index: int, seconds: float, *, comes_back: bool) -> None:
        """Cut a node off for a while."""
        nodes = self.all(Kind.NODE)
        self.silence(name_of(nodes[index % len(nodes)]), seconds, comes_back=comes_back)

    def silence(self, node: str | None, seconds: float, *, comes_back: bool) -> None:
        """Cut a node off for a while, if there is one and it is not cut off already."""
        self.stir()
        if node is not None and node not in self.silences:
            self.silences[node] = Silence(self.seconds, self.seconds + seconds, comes_back)

    def end_silences(self) -> None:
        """What has become of every silent node shows now."""
        self.stir()
        for silence in self.silences.values():
            silence.until = self.seconds

    def _add_node(self) -> None:
        self._nodes_made += 1
        self.put(
            Kind.NODE, {"metadata": {"name": f"node-{self._nodes_made}"}, "spec": {}, "status": _node_ready("True")}
        )

    def _pass_silence(self, name: str, silence: Silence) -> None:
        node = self.find(Kind.NODE, name)
        assert node is not None
        pods = [pod for pod in self.all(Kind.POD) if pod["spec"].get("nodeName") == name]
        if self.seconds >= silence.until:
            del self.silences[name]
            if silence.comes_back:
                self.put(Kind.NODE, {**node, "status": _node_ready("True")})
                return
            self.gone(Kind.NODE, name)
            for pod in pods:
                self.gone(Kind.POD, name_of(pod))
            self._add_node()
        elif self.seconds >= silence.since + NODE_DOUBTED and node["status"] == _node_ready("True"):
            self.put(Kind.NODE, {**node, "status": _node_ready("Unknown", self.stamp())})
            for pod in pods:
                if "status" in pod:
                    told = {**pod["status"], "conditions": [{"type": "Ready", "status": "False"}]}
                    self.put(Kind.POD, {**pod, "status": told})
        elif self.seconds >= silence.since + NODE_EVICTED:
            for pod in pods:
                self.end(Kind.POD, name_of(pod))

    # Pods. ---------------------------------------------------------------------------------------------------

    def fail(self, pod: Json) -> None:
        """End a pod for good, as an eviction does."""
        self.stir()
        self.body(pod).failed = True

    def _run_pod(self, pod: Json) -> None:
        body = self.body(pod)
        if "nodeName" not in pod["spec"]:
            if is_leaving(pod):
                self.gone(Kind.POD, name_of(pod))
            elif self.seconds >= body.born + SCHEDULED:
                self._schedule(pod, body)
        elif not self.is_silent(pod):
            if is_leaving(pod):
                self._stop(pod, body)
            else:
                self._run_containers(pod, body)

    def _schedule(self, pod: Json, body: Body) -> None:
        if image_of(pod) == "huge":
            refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
            self._report(pod, {"phase": "Pending", "conditions": [refused]})
            return
        ready = [name_of(node) for node in self.all(Kind.NODE) if node["status"] == _node_ready("True")]
        if ready:
            body.placed = self.seconds
            self.put(Kind.POD, {**pod, "spec": {**pod["spec"], "nodeName": self.chance.choice(ready)}})

    def _stop(self, pod: Json, body: Body) -> None:
        if body.ends_at is None:
            body.ends_at = self.seconds + GRACE
        elif body.has_stopped:
            self.gone(Kind.POD, name_of(pod))
        elif self.seconds >= body.ends_at:
            body.has_stopped = True
            self.heads.pop(uid_of(pod), None)
            self._report(pod, {**pod.get("status", {}), **_ended(pod, "Completed")})

    def _report(self, pod: Json, status: Json) -> None:
        if status != pod.get("status"):
            self.put(Kind.POD, {**pod, "status": status})

    def _run_containers(self, pod: Json, body: Body) -> None:
        match image_of(pod):
            case "missing":
                since = self.seconds - body.placed
                if since >= PULL_FAILS:
                    self._report(pod, _waiting(pod, "ErrImagePull" if since < PULL_BACKS_OFF else "ImagePullBackOff"))
            case "crashing":
                self._crash(pod, body)
            case _:
                self._run_ray(pod, body)
                self._report(pod, _status(pod, body, self.is_up(pod), self.stamp))

    def _crash(self, pod: Json, body: Body) -> None:
        lived = self.seconds - body.placed - PULLED
        if lived < CRASHES:
            return
        body.failed |= pod["spec"].get("restartPolicy") == "Never"
        if body.failed:
            self._report(pod, {"phase": "Failed", **_ended(pod, "Error")})
            return
        told = _waiting(pod, "CrashLoopBackOff")
        told["containerStatuses"][0] |= {
            "restartCount": min(1 + int(lived / CRASHED_EVERY), 6),
            "lastState": {"terminated": {"reason": "Error", "exitCode": 1, "message": "ModuleNotFoundError"}},
        }
        self._report(pod, told)

    def _run_ray(self, pod: Json, body: Body) -> None:
        is_head = pod["metadata"]["labels"][labels.NODE_TYPE] == labels.HEAD
        if body.failed:
            self.heads.pop(uid_of(pod), None)
        elif self.seconds < body.placed + PULLED:
            return
        elif is_head:
            if body.running_since is None:
                body.running_since = self.seconds
                self.heads[uid_of(pod)] = Serve()
            body.is_ready = self.is_up(pod)
        else:
            self._run_worker(pod, body, self.head_uid(owner_of(pod)))

    def _run_worker(self, pod: Json, body: Body, head: str | None) -> None:
        if body.running_since is None:
            # Its init container waits for a head.
            if head is not None:
                body.joined, body.running_since, body.alone_since = head, self.seconds, None
        elif body.joined == head:
            body.alone_since = None
        elif body.alone_since is None:
            body.alone_since = self.seconds
        elif self.seconds >= body.alone_since + CLINGS:
            body.failed = pod["spec"].get("restartPolicy") == "Never"
            body.restarts += 1
            body.running_since, body.joined, body.is_ready, body.proxy_since = None, None, False, None
        if body.joined is not None and body.joined in self.heads:
            asks_proxy = PROXY_CHECK in str(pod["spec"]["containers"][0]["readinessProbe"])
            body.is_ready = self.is_up(pod) and (self.proxy_answers(pod) or not asks_proxy)

    # Ray's autoscaler. ---------------------------------------------------------------------------------------

    def _autoscale(self) -> None:
        for cluster in self.all(Kind.RAY_CLUSTER):
            name = name_of(cluster)
            if cluster["spec"].get("enableInTreeAutoscaling") and self.head_uid(name) is not None:
                scaled = copied(cluster)
                for group in scaled["spec"]["workerGroupSpecs"]:
                    self._scale(name, group)
                self.put(Kind.RAY_CLUSTER, scaled)

    def workers(self, cluster: str, group: str) -> list[Json]:
        """The workers of a group that Ray's autoscaler counts, oldest first."""
        return [
            pod
            for pod in self.pods(cluster, labels.WORKER)
            if pod["metadata"]["labels"][labels.GROUP] == group and not is_leaving(pod) and not self.body(pod).failed
        ]

    def _scale(self, cluster: str, group: Json) -> None:
        replicas: dict[str, list[str]] = {}
        for pod in self.workers(cluster, group["groupName"]):
            replicas.setdefault(pod["metadata"]["labels"].get(labels.REPLICA_NAME, name_of(pod)), []).append(
                name_of(pod)
            )
        named = set(group.get("scaleStrategy", {}).get("workersToDelete", ()))
        leaving = [pods for pods in replicas.values() if named.intersection(pods)]
        staying = [pods for pods in replicas.values() if pods not in leaving]
        load = group["replicas"] if self.load is None else self.load
        wanted = max(group["minReplicas"], min(load, group["maxReplicas"]))
        leaving += staying[wanted:]
        group["replicas"] = wanted
        if leaving or named:
            group["scaleStrategy"] = {"workersToDelete": [name for pods in leaving for name in pods]}


def weights_of(route: Json) -> dict[str, int]:
    """The clusters to whose own Services an HTTPRoute leads requests, each with its weight."""
    refs = [ref for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]
    own = {
        ref["name"].removesuffix("-serve-svc"): ref.get("weight", 1) for ref in refs if OF_CLUSTER.search(ref["name"])
    }
    return {cluster: weight for cluster, weight in own.items() if weight}


def _waiting(pod: Json, reason: str) -> Json:
    """What a pod's status says of a container that does not start."""
    name = pod["spec"]["containers"][0]["name"]
    return {
        "phase": "Pending",
        "podIP": f"ip-{uid_of(pod)}",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": name, "state": {"waiting": {"reason": reason}}, "restartCount": 0}],
    }


def _is_ready(pod: Json) -> bool:
    return {"type": "Ready", "status": "True"} in pod.get("status", {}).get("conditions", ())


def _node_ready(status: str, since: str | None = None) -> Json:
    return {"conditions": [{"type": "Ready", "status": status, **({"lastTransitionTime": since} if since else {})}]}


def _ended(pod: Json, reason: str) -> Json:
    """What a pod's status says of containers that have all ended."""
    state = {"terminated": {"reason": reason, "exitCode": 0 if reason == "Completed" else 1}}
    containers = [{"name": c["name"], "state": state, "ready": False} for c in pod["spec"]["containers"]]
    return {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": containers}


def _status(pod: Json, body: Body, is_up: bool, stamp: Stamp) -> Json:
    if body.failed:
        return {"phase": "Failed", **_ended(pod, "Error")}
    if body.running_since is None and not body.restarts:
        return {"phase": "Pending", "podIP": f"ip-{uid_of(pod)}", "conditions": [{"type": "Ready", "status": "False"}]}
    since = body.running_since
    state = {"waiting": {"reason": "CrashLoopBackOff"}} if since is None else {"running": {"startedAt": stamp(since)}}
    ray, *beside = (container["name"] for container in pod["spec"]["containers"])
    told = {"name": ray, "state": state, "started": is_up, "ready": body.is_ready, "restartCount": body.restarts}
    others = [{"name": name, "state": {"running": {}}, "started": True, "ready": True} for name in beside]
    return {
        "phase": "Running",
        "podIP": f"ip-{uid_of(pod)}",
        "conditions": [{"type": "Ready", "status": str(body.is_ready)}],
        "containerStatuses": [told, *others],
    }
