"""One pass over one object: observe, plan, carry out, write the status, tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from rayserve_operator.engine.dry_runs import DryRuns
from rayserve_operator.engine.executor import Executor, Tell
from rayserve_operator.engine.ports import Clock, Kube, Ray
from rayserve_operator.engine.recorder import Recorder
from rayserve_operator.engine.routes import Routes
from rayserve_operator.engine.served import Served
from rayserve_operator.engine.store import ClusterRecord, Key, ServiceRecord, Store
from rayserve_operator.engine.stored import stored_service
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.engine.trials import Trials, serve_port, told_by_pods
from rayserve_operator.model.errors import NotFound, OperatorError, Refused, TokenRefused
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Announcement, Kind, Plan, Strand, strands
from rayserve_operator.planning.cluster import nodes
from rayserve_operator.planning.cluster import status as cluster_status
from rayserve_operator.planning.cluster.planner import plan_cluster, refuse_cluster
from rayserve_operator.planning.condition_list import dated
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.observed import (
    NodeView,
    ObservedCluster,
    ObservedRayCluster,
    ObservedService,
    PodView,
    RevisionView,
    ServeReport,
    ServiceView,
    Silence,
)
from rayserve_operator.planning.service import adoption, draining, gate, keeping
from rayserve_operator.planning.service import status as service_status
from rayserve_operator.planning.service.goal import Aim, Goal
from rayserve_operator.planning.service.planner import plan_service, plan_without_goal
from rayserve_operator.planning.service.roles import Roles, assign_roles, comes_back, is_conflict, last_good
from rayserve_operator.render import labels, names, ports
from rayserve_operator.render.options import RenderOptions


@dataclass(slots=True)
class Passes:
    """The passes over both kinds, and what is worth keeping between them. All of it can be lost at any time."""

    kube: Kube
    ray: Ray
    clock: Clock
    store: Store
    tokens: Tokens
    executor: Executor
    recorder: Recorder
    options: RenderOptions
    custody: Custody
    node_lost_after: timedelta = nodes.NODE_LOST_AFTER
    may_tell: Callable[[Key], bool] = lambda _: True
    """Whether a status may be written now that only tells how things are; if not, there is another pass soon."""
    served: Served = field(default_factory=Served)
    trials: Trials = field(init=False)
    dry_runs: DryRuns = field(init=False)
    routes: Routes = field(init=False)
    _aims: dict[str, tuple[int, Aim]] = field(default_factory=dict)
    _configs: dict[str, tuple[str, ServeConfig]] = field(default_factory=dict)
    _returning: dict[str, tuple[tuple[int, str], Goal]] = field(default_factory=dict)
    _silent_since: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trials = Trials(self.ray, self.clock)
        self.dry_runs = DryRuns(self.kube, self.options)
        self.routes = Routes(self.kube, self.store)

    async def run(self, key: Key) -> timedelta | None:
        """Look at one object and say when to look again. Raises OperatorErrors, which carry their own retry."""
        if key.kind is Kind.RAY_SERVICE:
            service = self.store.service(key.namespace, key.name)
            return None if service is None else await self._service(service)
        cluster = self.store.cluster(key.namespace, key.name)
        return None if cluster is None else await self._cluster(cluster)

    async def _service(self, record: ServiceRecord) -> timedelta | None:
        if not self.custody.covers(record.spec.get("managedBy")):
            return await self._hand_back(record)
        now = self.clock.now()
        try:
            aim, observed = await self._look(record, await self._aim(record))
            problems = await self._try(observed, aim)
            if problems:
                aim, observed = await self._look(record, await self._fall_back(record, InvalidSpec(problems)))
        except InvalidSpec as invalid:
            plan = plan_without_goal(record.meta, record.status, tuple(invalid.problems), now)
            return await self._follow(Kind.RAY_SERVICE, record.meta, record.status, plan)
        plan = plan_service(observed, aim, self.clock.now())
        return await self._follow(Kind.RAY_SERVICE, record.meta, record.status, plan)

    async def _hand_back(self, record: ServiceRecord) -> timedelta | None:
        """Let the clusters of a RayService that is not looked after be its own controller's again."""
        owned = ((found.meta, found.managed_by) for found in self.store.clusters_of(record.meta.uid))
        plan = Plan(strands=strands([(tuple(adoption.hand_back(record.spec, owned)),)]), status=record.status)
        return await self._follow(Kind.RAY_SERVICE, record.meta, record.status, plan)

    async def _cluster(self, record: ClusterRecord) -> timedelta | None:
        meta = record.meta
        if not self.custody.covers_cluster(record.managed_by, meta.labels):
            return None
        now = self.clock.now()
        plan: Plan[RayClusterStatus]
        try:
            cluster = record.read()
        except InvalidSpec as invalid:
            plan = refuse_cluster(meta, record.status, tuple(invalid.problems), now)
        else:
            observed = await self._observe_belongings(cluster)
            plan = plan_cluster(observed, self.options, now, self.node_lost_after)
        return await self._follow(Kind.RAY_CLUSTER, meta, record.status, plan)

    async def _observe_belongings(self, cluster: RayCluster) -> ObservedRayCluster:
        meta = cluster.meta
        pods = tuple(self.store.pods_of(meta.namespace, meta.name))
        if pods:
            await self._meet_head_service(cluster)
        observed = ObservedRayCluster(
            cluster,
            pods=pods,
            services={view.meta.name: view for view in self.store.services_of(meta.uid)},
            belongings=tuple(self.store.belongings_of(meta.uid)),
            namespace_leaving=meta.deleting and bool(meta.finalizers) and await self._namespace_leaves(meta.namespace),
        )
        asked = sorted(nodes.in_doubt(observed))
        found = await asyncio.gather(*map(self._node, asked))
        known = {name: node for name, node in zip(asked, found, strict=True) if not isinstance(node, Silence)}
        return replace(observed, nodes=known)

    async def _meet_head_service(self, cluster: RayCluster) -> None:
        """Read the head Service of a cluster with pods where no watch shows one: KubeRay's does not bear our labels."""
        namespace, name = cluster.meta.namespace, names.head_service_name(cluster)
        if self.store.kube_service(namespace, name) is None:
            with contextlib.suppress(NotFound):
                self.store.put(Kind.SERVICE, await self.kube.get(Kind.SERVICE, namespace, name))

    async def _node(self, name: str) -> NodeView | Silence | None:
        try:
            return NodeView.parse(await self.kube.get(Kind.NODE, "", name))
        except NotFound:
            return None
        except Refused as refusal:
            # An operator that may look after some namespaces alone may not be allowed to see nodes.
            return Silence(str(refusal))

    async def _namespace_leaves(self, namespace: str) -> bool:
        try:
            found = await self.kube.get(Kind.NAMESPACE, "", namespace)
        except (NotFound, Refused):
            return False
        return Meta.parse(found).deleting

    async def _follow(
        self, kind: Kind, meta: Meta, before: RayServiceStatus | RayClusterStatus, plan: Plan[Any]
    ) -> timedelta | None:
        """Carry the plan out; write the status if that is all there was to do, or if it failed.

        Nothing is done for what has gone meanwhile: what it owned goes with it, and would only be made again.
        """
        if not self.store.holds(kind, meta.uid):
            return None
        tell = partial(self.recorder.tell, kind, meta)
        refusals: list[Refused] = []
        try:
            for strand in plan.strands:
                await self._carry_out(meta.namespace, strand, tell, refusals)
            if refusals:
                raise refusals[0]
        except OperatorError:
            if refusals:
                words = "; ".join(map(str, refusals))
                tell(Announcement("ActionRefused", words, "Warning"))
                plan = blame(plan, before, words, self.clock.now())
            await self._report_status(kind, meta, before, plan, tell)
            raise
        if plan.strands:
            # What was done may allow the next thing at once, and nothing else may wake the object for it.
            return timedelta()
        await self._report_status(kind, meta, before, plan, tell, may_wait=True)
        return plan.recheck_after

    async def _carry_out(self, namespace: str, strand: Strand, tell: Tell, refusals: list[Refused]) -> None:
        try:
            for step in strand:
                await self.executor.carry_out(namespace, step, tell)
        except Refused as refusal:
            refusals.append(refusal)

    async def _report_status(
        self,
        kind: Kind,
        meta: Meta,
        before: RayServiceStatus | RayClusterStatus,
        plan: Plan[Any],
        tell: Tell,
        *,
        may_wait: bool = False,
    ) -> None:
        if not self.served.is_news(kind, plan.status, before):
            return
        if may_wait and not self.may_tell(Key(kind, meta.namespace, meta.name)):
            return
        status = plan.status.manifest()
        self.store.put(kind, await self.kube.write_status(kind, meta.namespace, meta.name, status))
        for announcement in plan.announcements:
            tell(announcement)

    async def _aim(self, record: ServiceRecord) -> Aim:
        """The goal, kept as long as the generation stays. Raises InvalidSpec if there has been no valid spec yet."""
        known = self._aims.get(record.meta.uid)
        if known is not None and known[0] == record.meta.generation:
            return known[1]
        try:
            aim = Aim(Goal.parse(record.meta, record.spec))
        except InvalidSpec as invalid:
            return await self._fall_back(record, invalid)
        self._aims[record.meta.uid] = (record.meta.generation, aim)
        return aim

    async def _fall_back(self, record: ServiceRecord, invalid: InvalidSpec) -> Aim:
        """The last valid goal, until the spec changes. Raises the InvalidSpec if there has been none yet."""
        revisions = self.store.revisions_of(record.meta.uid)
        if not revisions:
            raise invalid
        aim = Aim(await self._goal_of(record, revisions[-1]), tuple(invalid.problems))
        self._aims[record.meta.uid] = (record.meta.generation, aim)
        return aim

    async def _try(self, observed: ObservedService, aim: Aim) -> tuple[Problem, ...]:
        """What is wrong with the pods that are about to be made from a spec for the first time."""
        if not keeping.makes_untried_pods(observed, aim):
            return ()
        return await self.dry_runs.problems(observed.service, aim.goal)

    async def _look(self, record: ServiceRecord, aim: Aim) -> tuple[Aim, ObservedService]:
        """What there is, and the aim that it leaves."""
        observed = await self._gather(record, aim.goal)
        aim = await self._come_back(record, observed, aim)
        return aim, await self._observe(observed, aim.goal)

    async def _come_back(self, record: ServiceRecord, observed: ObservedService, aim: Aim) -> Aim:
        """The aim, or the last good revision in place of a goal that was given up while nothing else serves."""
        good, failure = last_good(observed), comes_back(observed, aim.goal)
        if good is None or failure is None:
            self._returning.pop(record.meta.uid, None)
            return aim
        known, goal = self._returning.get(record.meta.uid, (None, aim.goal))
        if known != (record.meta.generation, good.meta.name):
            try:
                goal = await self._goal_of(record, good)
            except InvalidSpec:
                # Written by a more lenient version: then nothing is known to work.
                return aim
            self._returning[record.meta.uid] = ((record.meta.generation, good.meta.name), goal)
        return replace(aim, goal=replace(goal, instead_of=failure))

    async def _goal_of(self, record: ServiceRecord, revision: RevisionView) -> Goal:
        """The goal that a revision was of, with all else as the RayService says now. Raises InvalidSpec."""
        stored = await self.kube.get(Kind.REVISION, record.meta.namespace, revision.meta.name)
        return Goal.last_valid(record.meta, stored["data"]["spec"], record.spec)

    async def _gather(self, record: ServiceRecord, goal: Goal) -> ObservedService:
        namespace = record.meta.namespace
        observed = stored_service(self.store, record, goal)
        if is_conflict(observed):
            observed = replace(observed, serve_service=await self._still_there(namespace, observed.serve_service))
        return observed

    async def _observe(self, observed: ObservedService, goal: Goal) -> ObservedService:
        service, roles = replace(observed.service, spec=goal.spec), assign_roles(observed, goal)
        observed = replace(observed, service=service)
        namespace = service.meta.namespace
        if roles.candidate is None:
            observed = replace(observed, ghosts=self.store.ghosts(namespace, service.meta.name))
        if draining.needs_endpoints(roles) and observed.serve_service is not None:
            found = await self.kube.endpoints(namespace, observed.serve_service.meta.name)
            observed = replace(observed, endpoints=found)
        observed = await self.routes.add(observed, roles)
        asked = await asyncio.gather(*(self._ask(c, roles, goal) for c in observed.clusters))
        return replace(observed, clusters=tuple(asked))

    async def _still_there(self, namespace: str, service: ServiceView | None) -> ServiceView | None:
        """Somebody else's Service, read anew, because no watch tells when it goes."""
        if service is None:
            return None
        try:
            return ServiceView.parse(await self.kube.get(Kind.SERVICE, namespace, service.meta.name))
        except NotFound:
            self.store.remove(Kind.SERVICE, service.meta.uid)
            return None

    async def _ask(self, observed: ObservedCluster, roles: Roles, goal: Goal) -> ObservedCluster:
        """Add what the cluster's Ray says, for the clusters that it matters for."""
        is_leaving = any(observed is one for one in roles.leaving)
        if is_leaving and draining.is_looked_at(observed, goal, self.clock.now()):
            return replace(observed, ongoing=await self._ongoing(observed))
        watched = roles.watched if roles.stamped else roles.everyone
        if not any(observed is one for one in watched) or not gate.can_be_asked(observed):
            return observed
        report, assigned = await asyncio.gather(self._report(observed), self._assigned(observed, goal))
        asked = replace(observed, serve=report, assigned=assigned)
        head_answers = await self._head_proxy(asked, report)
        answering = await self._answering(asked, goal) if observed is roles.pending else frozenset[str]()
        asked = replace(asked, head_proxy_answers=head_answers, answering=answering)
        return await self.trials.add(asked, observed, roles, goal)

    async def _answering(self, observed: ObservedCluster, goal: Goal) -> frozenset[str]:
        """Which pods would answer traffic, asked ourselves once everything else says so."""
        pods = gate.to_be_asked(observed, goal.serve)
        answers = await asyncio.gather(*(self._proxy_answers(observed, pod) for pod in pods))
        return frozenset(pod.meta.name for pod, answer in zip(pods, answers, strict=True) if answer)

    async def _proxy_answers(self, observed: ObservedCluster, pod: PodView) -> bool:
        port = serve_port(observed, pod)
        return await self.ray.proxy_answers(pod.ip or "", port, https=ports.ServeFacts.of(observed.cluster).https)

    async def _ongoing(self, observed: ObservedCluster) -> int | None:
        """Requests under way on all its pods."""
        told = await told_by_pods(observed, self.ray.ongoing_requests)
        return None if told is None else sum(told)

    async def _report(self, observed: ObservedCluster) -> ServeReport:
        head = observed.head
        uid = observed.cluster.meta.uid
        if head is None or head.ip is None:
            return Silence("there is no head")
        namespace, secret = observed.cluster.meta.namespace, names.token_secret_name(observed.cluster)
        try:
            token = await self.tokens.read(namespace, secret)
            report = await self.ray.serve_status(ports.dashboard_address(observed.cluster, head.ip), token)
        except OperatorError as error:
            if isinstance(error, TokenRefused):
                self.tokens.forget(namespace, secret)
            return Silence(str(error), self._silent_since.setdefault(uid, self.clock.now()))
        self._silent_since.pop(uid, None)
        return report

    async def _assigned(self, observed: ObservedCluster, goal: Goal) -> ServeConfig | None:
        """The Serve config that the cluster was given. A revision's data never changes, so it is read once."""
        name = observed.cluster.meta.annotations.get(labels.REVISION)
        if name is None:
            return None
        meta = observed.cluster.meta
        if name == goal.revision:
            # With the next edit this is the config of an earlier revision, which then need not be read.
            self._configs[meta.uid] = (name, goal.serve)
            return goal.serve
        known = self._configs.get(meta.uid)
        if known is not None and known[0] == name:
            return known[1]
        try:
            stored = await self.kube.get(Kind.REVISION, meta.namespace, name)
            config = parse_serve_config(stored["data"]["spec"].get("serveConfigV2"))
        except (NotFound, InvalidSpec):
            # Deleted by hand, or written by a more lenient version: the cluster runs on as it is.
            return None
        self._configs[meta.uid] = (name, config)
        return config

    async def _head_proxy(self, observed: ObservedCluster, report: ServeReport) -> bool | None:
        """Ask the head's proxy itself, but only where its label and Ray's own word for it disagree."""
        head = observed.head
        if head is None or head.ip is None or not isinstance(report, ServeStatus):
            return None
        is_in = head.meta.labels.get(labels.SERVE) == "true"
        if is_in == (head.ip in report.healthy_proxy_ips):
            return None
        return await self._proxy_answers(observed, head)

    def forget(self, living: Iterable[str]) -> None:
        """Drop what is kept of objects that are gone."""
        alive = set(living)
        for kept in (self._aims, self._configs, self._returning, self._silent_since):
            for uid in kept.keys() - alive:
                del kept[uid]
        self.trials.forget(alive)
        self.dry_runs.forget(alive)


def blame(plan: Plan[Any], before: RayServiceStatus | RayClusterStatus, words: str, now: datetime) -> Plan[Any]:
    """The plan with a status that says what was refused."""
    status: RayServiceStatus | RayClusterStatus
    if isinstance(before, RayServiceStatus):
        status = dated(service_status.blamed(plan.status, words, now), before, now)
    else:
        status = dated(cluster_status.blamed(plan.status, words, now), before, now)
    return replace(plan, status=status)
