"""What must hold at every single write of the operator, whatever has gone wrong before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from rayserve_operator.engine.store import WATCHED
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.serve import ServeConfig
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.changes import cluster_part, compare
from rayserve_operator.planning.service.share import WHOLE
from rayserve_operator.render import labels

from .client import Network, Submission, Write
from .manifests import Json, is_leaving, name_of, owner_of, uid_of
from .serve import digest_of, essence_of, scalings
from .world import World, weights_of

NAME = "demo"
SERVE_SERVICE = f"{NAME}-serve-svc"
DELAY = 60
NODE_LOST_AFTER = 60.0
"""Seconds of silence after which the operator gives up a head on a node, where nothing else is said."""
SPARE = 2
"""Pods that take traffic, of which a new cluster must have as many as the old one."""
PROMPT = 1.5
"""Seconds that the operator's view of the world is behind at most, while nothing holds up the watches."""


@dataclass(frozen=True)
class Wish:
    """A valid spec that the user once had."""

    since: float
    uid: str
    """Of the RayService that it stood in."""
    spec: RayServiceSpec
    config: ServeConfig

    @classmethod
    def of(cls, since: float, uid: str, spec: Json) -> Wish:
        parsed = RayServiceSpec.model_validate(spec)
        return cls(since, uid, parsed, parse_serve_config(parsed.serve_config_v2))

    @property
    def essence(self) -> str:
        """Stands for its Serve config, with floors or without."""
        return essence_of(self.config.applications)

    @property
    def part(self) -> str:
        """Stands for what takes a cluster of its own."""
        return digest_of({"pods": cluster_part(self.spec.ray_cluster_config), "serve": self.config.cluster_part})

    @property
    def revision(self) -> tuple[str, str]:
        """Stands for the pair of both."""
        return self.part, self.config.digest

    @property
    def means(self) -> tuple[object, ...]:
        """What it is to be reached by beside that."""
        return self.spec.ray_cluster_config, self.spec.upgrade_strategy


@dataclass
class History:
    """What a number was, and until when."""

    changes: list[tuple[float, int]] = field(default_factory=list)

    def note(self, now: float, value: int) -> None:
        if not self.changes or self.changes[-1][1] != value:
            self.changes.append((now, value))

    def highest(self, since: float, now: float) -> int:
        """The highest that it was since a moment."""
        return max(self._values(since, now), default=0)

    def lowest(self, since: float, now: float) -> int:
        """The lowest that it was since a moment."""
        return min(self._values(since, now), default=0)

    def _values(self, since: float, now: float) -> Iterable[int]:
        ends = [*(start for start, _ in self.changes[1:]), now]
        return (value for (_, value), end in zip(self.changes, ends, strict=True) if end >= since)


class Rules:
    """Holds every write against the rules. Violations are kept, because an assertion would only fail a request."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.wishes: list[Wish] = []
        self.world: World
        self.network: Network
        self.patience = 0.0
        """Until when the operator's view may be long out of date."""
        self._fit_at: dict[tuple[str, str], float] = {}
        self._desired: dict[tuple[str, str], History] = defaultdict(History)
        """Pods wanted, by uid of the RayCluster and group."""
        self._named: set[str] = set()
        """Pods that the autoscaler ever asked to remove."""
        self._excused_at: dict[str, float] = {}
        """When a pod, by uid, was last one that may go although the autoscaler did not name it."""
        self._came_late: dict[str, float] = {}
        """When a write whose answer was given up last took effect, by the object's name."""
        self._routed: str | None = None
        self._was_routed: set[str] = set()
        self._served: str | None = None
        """Stands for what took a cluster of its own of the one that took traffic last."""
        self._left_traffic: dict[str, float] = {}
        self._pod_names: set[str] = set()
        self._replicas: dict[tuple[str, str, str], History] = defaultdict(History)
        """Replicas that Ray told of, by cluster, application and deployment."""
        self._told_at: dict[str, float] = {}
        """When the Ray of a cluster could last be asked."""
        self._serving: dict[str, History] = defaultdict(History)
        """Pods that take traffic, or would, by cluster."""
        self._works_since: dict[str, float] = {}
        """Since when a cluster works, whether or not it has the capacity of another."""
        self._behind_since: dict[str, float] = {}
        """Since when the EndpointSlices of the serve Service name pods of a cluster."""
        self._is_meddled_with = False
        """Whether a hand has pointed the Service elsewhere, so that requests go where nobody expects them."""
        self._given_up: set[tuple[str, str]] = set()
        """Revisions that were given up, and have been the goal ever since."""
        self.count: dict[str, int] = defaultdict(int)
        """How often a write was held against a rule, by what it does."""

    # What is noted. ------------------------------------------------------------------------------------------

    def saw(self, kind: Kind, new: Json | None) -> None:
        """Take note of a change in the world, whoever made it."""
        if kind is Kind.REVISION and (new is None or labels.STARTED_AT not in new["metadata"].get("annotations", {})):
            # What was noted on it is forgotten, or taken back by a user.
            self._given_up.clear()
        if kind is Kind.SERVICE and new is not None and name_of(new) == SERVE_SERVICE:
            target = new["spec"]["selector"].get(labels.CLUSTER)
            stamp = new["metadata"].get("annotations", {}).get(labels.ACTIVE_CLUSTER)
            self._is_meddled_with |= target != stamp and labels.TRAFFIC not in new["spec"]["selector"]
        if kind is not Kind.RAY_CLUSTER or new is None:
            return
        for group in new["spec"]["workerGroupSpecs"]:
            self._named.update(group.get("scaleStrategy", {}).get("workersToDelete", ()))
            self._desired[uid_of(new), group["groupName"]].note(self.world.seconds, wanted_pods(new, group))

    def look(self) -> None:
        """Remember for a while what is true now."""
        now = self.world.seconds
        behind = self.world.endpoints(SERVE_SERVICE)
        for cluster in self.world.all(Kind.RAY_CLUSTER):
            name = name_of(cluster)
            found, serving = self.world.runs(name), self.world.serving_pods(name)
            if found is not None and serving:
                self._fit_at[name, essence_of(found)] = now
            self._serving[name].note(now, len(serving))
            if any(owner_of(pod) == name and name_of(pod) in behind for pod in self.world.all(Kind.POD)):
                self._behind_since.setdefault(name, now)
            else:
                self._behind_since.pop(name, None)
            self._look_at_serve(name)
        for pod in self.world.all(Kind.POD):
            if self._is_excused(pod):
                self._excused_at[uid_of(pod)] = now

    def _look_at_serve(self, cluster: str) -> None:
        now, serve = self.world.seconds, self.world.serve(cluster)
        if serve is None or now < max(self.world.frozen_until, self.network.silent_until):
            return
        if serve.works is not None:
            self._works_since.setdefault(cluster, now)
        self._told_at[cluster] = now
        found = {(cluster, *key): count for key, count in serve.replicas().items()}
        for key in {*found} | {key for key in self._replicas if key[0] == cluster}:
            self._replicas[key].note(now, found.get(key, 0))

    def wish(self, wish: Wish) -> None:
        """Take note of what the user wants from now on."""
        is_other = not self.wishes or self.wishes[-1].means != wish.means
        self._given_up = {revision for revision in self._given_up if revision == wish.revision and not is_other}
        self.wishes.append(wish)

    def _is_excused(self, pod: Json) -> bool:
        """Whether a worker may be deleted although the autoscaler did not ask for it."""
        world, noted = self.world, pod["metadata"]["labels"]
        cluster = world.find(Kind.RAY_CLUSTER, owner_of(pod))
        if cluster is None or is_leaving(cluster) or cluster["spec"].get("suspend") or is_suspending(cluster):
            return True
        group = next((g for g in cluster["spec"]["workerGroupSpecs"] if g["groupName"] == noted[labels.GROUP]), None)
        if group is None or group.get("suspend") or group["maxReplicas"] == 0:
            return True
        hosts = [other for other in world.pods(owner_of(pod), labels.WORKER) if are_one_replica(pod, other)]
        missing = group.get("numOfHosts", 1) - len(hosts)
        return missing > 0 or any(
            name_of(host) in self._named
            or not world.body(host).runs
            or is_leaving(host)
            or world.is_silent(host)
            or world.is_orphaned(host)
            for host in hosts
        )

    @property
    def _slack(self) -> float:
        """How old the operator's view of the world may be."""
        return 15.0 if self.world.seconds < self.patience else PROMPT

    def _recent(self) -> list[Wish]:
        """What the user wants, or wanted until a moment ago."""
        since = self.world.seconds - self._slack
        ends = [*(wish.since for wish in self.wishes[1:]), self.world.seconds]
        return [wish for wish, end in zip(self.wishes, ends, strict=True) if end >= since]

    def _returning(self) -> list[Wish]:
        """What served last, where that has gone for something that was given up then."""
        has_gone = bool(self._given_up) and any(wish.spec.recreates for wish in self._recent())
        return [wish for wish in self.wishes if has_gone and wish.part == self._served]

    # What is judged. -----------------------------------------------------------------------------------------

    def judge(self, write: Write | Submission) -> None:
        """Hold a write against the rules."""
        self.look()
        if isinstance(write, Submission):
            self._submission(write)
            return
        before, after = write.before, write.after
        match write.verb, write.kind:
            case "status", _:
                pass
            case _, Kind.RAY_SERVICE:
                self._must(is_released(before, after), f"{write.verb} on the user's own RayService")
            case "delete", Kind.RAY_CLUSTER if before is not None:
                self._ends(name_of(before))
            case "delete", Kind.POD if before is not None:
                # Only the pods of a cluster that leaves end quicker than they would by themselves.
                if write.grace is None:
                    self._pod_deleted(before)
                else:
                    self._ends(owner_of(before))
            case "merge", Kind.POD if before is not None and after is not None:
                self._pod_labelled(before, after)
            case "merge", Kind.REVISION if after is not None:
                self._revision_noted(after, is_late=write.is_late)
            case "create", Kind.RAY_CLUSTER if after is not None:
                self._cluster_created(after)
                self._not_again(after, is_late=write.is_late)
            case "create", Kind.POD if after is not None:
                self._pod_created(after)
            case (("apply" | "patch" | "delete"), Kind.HTTP_ROUTE):
                self._led(before, after)
            case (("create" | "apply"), Kind.SERVICE) if after is not None and name_of(after) == SERVE_SERVICE:
                self._routed_to(before, after)
            case _:
                pass
        self._not_idle(write)

    def _not_idle(self, write: Write) -> None:
        """A write changes something, unless the operator cannot know that it is done already."""
        before, after = write.before, write.after
        if write.kind not in WATCHED or before is None or after is None or self._slack > PROMPT:
            return
        came_late = self._came_late.get(name_of(before), -PROMPT)
        if write.is_late or self.world.seconds - came_late < PROMPT:
            self._came_late[name_of(before)] = self.world.seconds if write.is_late else came_late
            return
        # How Ray spells a config is noted whenever the config is sent, also to another head.
        is_spelling = write.verb == "merge" and labels.SERVE_SPELLING in after["metadata"].get("annotations", {})
        self._must(is_spelling or before != after, f"{write.verb} of {write.kind} {name_of(before)} changes nothing")

    def _must(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violations.append(f"{self.world.seconds:.2f}: {otherwise}")
            self.network.log.append(f"!!!!!!!! {otherwise}")

    def _pod_labelled(self, before: Json, after: Json) -> None:
        """A pod begins or ceases to take traffic, if the Service selects by that label."""
        service = self.world.find(Kind.SERVICE, SERVE_SERVICE)
        was, takes = (labels.TRAFFIC in pod["metadata"]["labels"] for pod in (before, after))
        if was == takes or service is None or labels.TRAFFIC not in service["spec"]["selector"]:
            return
        name, stamp = owner_of(after), service["metadata"]["annotations"][labels.ACTIVE_CLUSTER]
        self.count["share"] += 1
        if takes and name != stamp:
            since = self.world.seconds - self._slack
            is_fit = any(self._fit_at.get((name, w.essence), -1.0) >= since for w in self._recent())
            self._must(is_fit, f"{name} is to take traffic and is not fit")
            self._was_routed.add(name)
        rest = [pod for pod in self._sharing(stamp) if name_of(pod) != name_of(after)]
        self._must(takes or name != stamp or bool(rest), f"no pod of {stamp} takes traffic any more")

    def _led(self, before: Json | None, after: Json | None) -> None:
        """An HTTPRoute leads requests to clusters by their own Services, or no longer."""
        was, leads = (set(weights_of(route)) if route else set() for route in (before, after))
        self.count["weights"] += 1
        for name in leads - was:
            behind = self.world.endpoints(f"{name}-serve-svc")
            self._must(bool(behind), f"requests are led to {name}, which is led nowhere")
            since = self.world.seconds - self._slack
            is_fit = any(self._fit_at.get((name, wish.essence), -1.0) >= since for wish in self._recent())
            self._must(is_fit or name in self._was_routed, f"requests are led to {name}, which is not fit")
            self._was_routed.add(name)
            self._left_traffic.pop(name, None)
        for name in was - leads:
            self._left_traffic[name] = self.world.seconds

    def _sharing(self, cluster: str) -> list[Json]:
        return [
            pod
            for pod in self.world.all(Kind.POD)
            if owner_of(pod) == cluster and labels.TRAFFIC in pod["metadata"]["labels"]
        ]

    def _shared(self, after: Json) -> None:
        """The Service begins to select by label: all pods that took traffic still do, and no others."""
        if self._slack > PROMPT:
            return
        stamp = after["metadata"]["annotations"][labels.ACTIVE_CLUSTER]
        missing = self.world.serving_pods(stamp) - {name_of(pod) for pod in self._sharing(stamp)}
        self._must(not missing, f"{missing} take no traffic any more")
        behind = self.world.clusters_behind(after)
        self._must(behind == {stamp} == {self._routed}, f"traffic of {self._routed} goes to {behind} at once")

    def _routed_to(self, before: Json | None, after: Json) -> None:
        if labels.TRAFFIC in after["spec"]["selector"]:
            if before is not None and labels.TRAFFIC not in before["spec"]["selector"]:
                self._shared(after)
            return
        target = after["spec"]["selector"][labels.CLUSTER]
        stamp = after["metadata"]["annotations"][labels.ACTIVE_CLUSTER]
        self._must(target == stamp, f"the Service selects {target} and is stamped {stamp}")
        self._must(
            before is None or before["metadata"].get("ownerReferences") == after["metadata"]["ownerReferences"],
            "someone else's Service was taken over",
        )
        now = self.world.seconds
        for left in self.world.clusters_behind(before or after) - {target}:
            self._left_traffic[left] = now
        if target == self._routed:
            return
        if target == labels.NO_CLUSTER:
            self._detached()
            return
        living = self.world.find(Kind.RAY_CLUSTER, target) is not None
        self._must(living or self._slack > PROMPT, f"traffic goes to {target}, which does not exist")
        wanted = [*self._recent(), *self._returning()]
        fitting = [w for w in wanted if self._fit_at.get((target, w.essence), -1.0) >= now - self._slack]
        abandoned = self._routed is None or self.world.find(Kind.RAY_CLUSTER, self._routed) is None
        self._must(
            bool(fitting) or (abandoned and target in self._was_routed), f"traffic goes to {target}, which is not fit"
        )
        if self._routed is not None and not abandoned and target not in self._was_routed:
            self.count["switch"] += 1
            short = [self._shortfall(target, self._routed, wish) for wish in fitting]
            self._must(not all(short), f"traffic goes to {target}, which lacks {short}")
        if self._routed is not None:
            self._left_traffic[self._routed] = now
        self._left_traffic.pop(target, None)
        self._routed = target
        self._was_routed.add(target)
        self._served = part_of(self.world.find(Kind.RAY_CLUSTER, target))

    def _detached(self) -> None:
        """The Service leads nowhere: only where the user has chosen that, and what served is not what is wanted."""
        self.count["detached"] += 1
        recreating = [wish for wish in self._recent() if wish.spec.recreates]
        self._must(any(wish.part != self._served for wish in recreating), "nothing takes traffic, and nobody asked")
        if self._routed is not None:
            self._left_traffic[self._routed] = self.world.seconds
        self._routed = None

    def _ends(self, name: str) -> None:
        """A cluster ends, wholly or pod by pod."""
        service = self.world.find(Kind.SERVICE, SERVE_SERVICE)
        stamp = (service or {"metadata": {}})["metadata"].get("annotations", {}).get(labels.ACTIVE_CLUSTER)
        self._must(name != stamp, f"{name} takes traffic and ends")
        self._must(name not in self.world.led_to(), f"{name} is led to by a route and ends")
        if name in self._was_routed:
            self._drained(name)

    def _shortfall(self, new: str, old: str, wish: Wish) -> list[str]:
        """What a cluster lacks to take over from another with what the user wishes."""
        now, since = self.world.seconds, self.world.seconds - self._slack
        patience = wish.spec.warm_up_timeout - self._slack
        if not wish.spec.needs_parity and now - self._works_since.get(new, now) >= patience:
            return []
        lacking = []
        # Where the old cluster has lost its head, nobody can tell how many replicas it has left.
        is_known = self._told_at.get(old, -1.0) >= since
        for (app, deployment), scaling in scalings(wish.config.applications).items() if is_known else ():
            needed = min(self._replicas[old, app, deployment].lowest(since, now), scaling["max_replicas"])
            found = self._replicas[new, app, deployment].highest(since, now)
            if found < needed:
                lacking.append(f"{needed - found} of {needed} replicas of {deployment}")
        cluster = self.world.find(Kind.RAY_CLUSTER, new)
        config = RayClusterSpec.model_validate(cluster["spec"]) if cluster else wish.spec.ray_cluster_config
        possible = 1 + sum((group.replicas or 0) * (group.num_of_hosts or 1) for group in config.worker_group_specs)
        needed = min(SPARE, possible, self._serving[old].lowest(since, now))
        found = self._serving[new].highest(since, now)
        return [*lacking, f"{needed - found} of {needed} pods"] if found < needed else lacking

    def _drained(self, name: str) -> None:
        """A cluster that has taken traffic ends."""
        now, left = self.world.seconds, self._left_traffic.get(name)
        if left is None:
            self._must(False, f"{name} never left traffic and ends")
            return
        self.count["drain"] += 1
        wishes = self._recent()
        delay = min(wish.spec.deletion_delay for wish in wishes)
        self._must(now - left >= delay, f"{name} left traffic at {left} and ends")
        if self._is_meddled_with:
            return
        longest = min(wish.spec.drain_timeout for wish in wishes)
        lives = any(
            self.world.body(pod).runs and not is_leaving(pod)
            for pod in self.world.all(Kind.POD)
            if owner_of(pod) == name
        )
        is_asked = lives and self.world.has_requests(name)
        self._must(not is_asked or now - left >= longest, f"{name} ends with requests under way")
        behind = self._behind_since.get(name, now)
        self._must(now - behind <= self._slack, f"{name} ends, and is behind the Service since {behind}")

    def _revision_noted(self, after: Json, *, is_late: bool) -> None:
        """A revision is given up, if that is what is noted."""
        if labels.FAILED not in after["metadata"].get("annotations", {}) or is_late:
            return
        wish = Wish.of(0.0, "", after["data"]["spec"])
        self.count["given up"] += 1
        self._must(any(wish.revision == recent.revision for recent in self._recent()), "what is no goal was given up")
        if wish.revision == self.wishes[-1].revision:
            self._given_up.add(wish.revision)

    def _not_again(self, after: Json, *, is_late: bool) -> None:
        """A cluster is made for a revision that was given up only where nothing else is left to serve."""
        part = part_of(after)
        clusters = [found for found in self.world.all(Kind.RAY_CLUSTER) if not is_leaving(found)]
        is_again = part in {given_up for given_up, _ in self._given_up} and bool(clusters)
        self._must(not is_again or is_late or self._slack > PROMPT, f"{name_of(after)} is made though it was given up")

    def _cluster_created(self, after: Json) -> None:
        name, owner = name_of(after), after["metadata"]["ownerReferences"]
        spec = RayClusterSpec.model_validate(after["spec"])
        options = after["metadata"]["annotations"][labels.SERVE_OPTIONS]
        for live in self.world.all(Kind.RAY_CLUSTER):
            same = cluster_part(RayClusterSpec.model_validate(live["spec"])) == cluster_part(spec)
            same = same and live["metadata"]["annotations"].get(labels.SERVE_OPTIONS) == options
            is_twin = same and live["metadata"]["ownerReferences"] == owner
            self._must(not is_twin, f"{name} is a twin of {name_of(live)}")
        recreates = [wish.spec.recreates for wish in self._recent()]
        beside = [found for found in self.world.all(Kind.RAY_CLUSTER) if name_of(found) != name]
        self._must(not all(recreates) or not beside, f"{name} is made beside {[name_of(found) for found in beside]}")
        wanted = [*self._recent(), *self._returning()]
        parts = [cluster_part(wish.spec.ray_cluster_config) for wish in wanted]
        self._must(cluster_part(spec) in parts, f"{name} is wanted by nobody any more")

    def _pod_created(self, after: Json) -> None:
        noted, cluster = after["metadata"]["labels"], owner_of(after)
        self._must(name_of(after) not in self._pod_names, f"{name_of(after)} was the name of a pod before")
        self._pod_names.add(name_of(after))
        if noted[labels.NODE_TYPE] == labels.HEAD:
            for pod in self.world.pods(cluster, labels.HEAD):
                self._must(not self._may_run(pod), f"{cluster} gets a second head beside {name_of(pod)}")
            return
        group = noted[labels.GROUP]
        pods = [pod for pod in self.world.workers(cluster, group) if self._holds_its_place(pod)]
        owner = after["metadata"]["ownerReferences"][0]["uid"]
        wanted = self._desired[owner, group].highest(self.world.seconds - self._slack, self.world.seconds)
        self._must(len(pods) < wanted, f"group {group} of {cluster} gets pod {len(pods) + 1} of {wanted}")

    def _holds_its_place(self, pod: Json) -> bool:
        """Whether no other pod may be made in its stead."""
        excused_at = self._excused_at.get(uid_of(pod), -100.0)
        return excused_at < self.world.seconds - self._slack

    def _may_run(self, pod: Json) -> bool:
        """Whether Ray may run in a head, now or later; on a node that is silent for long it is given up."""
        body = self.world.body(pod)
        if body.failed or body.has_stopped or (is_leaving(pod) and "nodeName" not in pod["spec"]):
            return False
        silence = self.world.silences.get(pod["spec"].get("nodeName", ""))
        return silence is None or self.world.seconds - silence.since < NODE_LOST_AFTER

    def _pod_deleted(self, before: Json) -> None:
        self._leaves_first(before)
        cluster = self.world.find(Kind.RAY_CLUSTER, owner_of(before))
        if cluster is None or not cluster["spec"].get("enableInTreeAutoscaling"):
            return
        if before["metadata"]["labels"][labels.NODE_TYPE] == labels.WORKER and self._holds_its_place(before):
            self._must(False, f"{name_of(before)} lives, and nobody asked to delete it")

    def _leaves_first(self, pod: Json) -> None:
        """One that nobody could drain takes no new requests when it ends, where others do."""
        world, since = self.world, self.world.seconds - self._slack
        if not world.body(pod).runs or world.is_silent(pod) or not world.is_orphaned(pod) or since < self.patience:
            return
        for service in world.all(Kind.SERVICE):
            behind = world.endpoints(name_of(service))
            is_asked = labels.SERVE in (service["spec"].get("selector") or {}) and name_of(pod) in behind
            self._must(
                not is_asked or len(behind) == 1, f"{name_of(pod)} ends behind {name_of(service)}, and nobody drains it"
            )

    def _submission(self, sent: Submission) -> None:
        name, essence = owner_of(sent.pod), essence_of(sent.config.applications)
        cluster = self.world.find(Kind.RAY_CLUSTER, name)
        wishes = [wish for wish in self.wishes if wish.essence == essence]
        self.count["submission"] += 1
        self._must(any(_is_on_floors(sent.config, wish) for wish in wishes), "a config that nobody wanted")
        if cluster is not None:
            spec = RayClusterSpec.model_validate(cluster["spec"])
            wishes = [wish for wish in wishes if not compare(spec, wish.spec.ray_cluster_config).rebuild]
            self._must(bool(wishes), f"{name} was sent the Serve config of another cluster's revision")
            is_again = bool(wishes) and all(wish.revision in self._given_up for wish in wishes)
            may_again = sent.is_late or sent.serve.started is None or self._slack > PROMPT
            self._must(not is_again or may_again, f"{name} was sent a config that was given up")
        runs = sent.serve.runs
        capacity = sent.config.document.get("target_capacity")
        is_new = runs != {app: dict(found) for app, found in sent.config.applications.items()}
        is_new |= sent.serve.capacity != capacity
        self._within_surge(name, WHOLE if capacity is None else capacity)
        self._must(is_new or sent.is_late or "odd" in str(runs), f"{name} was sent what it has")

    def _within_surge(self, sent: str, percent: float) -> None:
        """Two clusters that share the traffic are not asked for more together than the user allows."""
        others = [
            name_of(found)
            for found in self.world.all(Kind.RAY_CLUSTER)
            if name_of(found) == self._routed
            or (
                labels.SHARE in (found["metadata"].get("annotations") or ())
                and name_of(found) not in self._left_traffic
            )
        ]
        asked = [serve for name in others if name != sent and (serve := self.world.serve(name)) and serve.started]
        total = percent + sum(WHOLE if serve.capacity is None else serve.capacity for serve in asked)
        most = WHOLE + max(wish.spec.surge for wish in self._recent())
        self._must(total <= most or self._slack > PROMPT, f"with {sent} there is {total}% of one capacity")


def _is_on_floors(config: ServeConfig, wish: Wish) -> bool:
    """Whether a config is what the user wishes, but for replicas that a new cluster starts with."""
    wanted = scalings(wish.config.applications)
    for key, scaling in scalings(config.applications).items():
        least, most = wanted[key]["min_replicas"], wanted[key]["max_replicas"]
        ordered = scaling.get("initial_replicas")
        if not least <= scaling["min_replicas"] <= most:
            return False
        if scaling["min_replicas"] > least and ordered != scaling["min_replicas"]:
            return False
        if ordered not in (None, scaling["min_replicas"], wanted[key].get("initial_replicas")):
            return False
    return True


def part_of(cluster: Json | None) -> str | None:
    """Stands for what of a RayCluster takes a cluster of its own; None where KubeRay made it and did not note all."""
    if cluster is None or labels.SERVE_OPTIONS not in cluster["metadata"]["annotations"]:
        return None
    options = json.loads(cluster["metadata"]["annotations"].get(labels.SERVE_OPTIONS, "null"))
    return digest_of({"pods": cluster_part(RayClusterSpec.model_validate(cluster["spec"])), "serve": options})


def is_released(before: Json | None, after: Json | None) -> bool:
    """Whether a RayService only loses the finalizer that KubeRay gave it."""
    if before is None or after is None or labels.SERVICE_FINALIZER not in before["metadata"].get("finalizers", ()):
        return False
    left = [name for name in before["metadata"]["finalizers"] if name != labels.SERVICE_FINALIZER]
    return after == {**before, "metadata": {**before["metadata"], "finalizers": left}}


def wanted_replicas(cluster: Json, group: Json) -> int:
    """Replicas that a group should have, within its bounds."""
    if cluster["spec"].get("suspend") or group.get("suspend"):
        return 0
    return int(max(group["minReplicas"], min(group["replicas"], group["maxReplicas"])))


def wanted_pods(cluster: Json, group: Json) -> int:
    """Pods that a group should have."""
    return wanted_replicas(cluster, group) * int(group.get("numOfHosts", 1))


def are_one_replica(pod: Json, other: Json) -> bool:
    """Whether two pods only work together, or are the same."""
    replica = pod["metadata"]["labels"].get(labels.REPLICA_NAME)
    return pod is other or (replica is not None and other["metadata"]["labels"].get(labels.REPLICA_NAME) == replica)


def is_suspending(cluster: Json) -> bool:
    """Whether a suspension has begun, which is carried to its end."""
    conditions = cluster.get("status", {}).get("conditions", ())
    return any(c["type"] == "RayClusterSuspending" and c["status"] == "True" for c in conditions)
