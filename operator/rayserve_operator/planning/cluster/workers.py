"""The workers of a RayCluster, replica by replica.

A replica is one pod, or with `numOfHosts` above one as many pods that only work together: they are made together, and
when one of them is lost the others go too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cached_property
from itertools import count

from rayserve_operator.model.raycluster import WorkerGroupSpec
from rayserve_operator.model.scale import desired_replicas, hosts
from rayserve_operator.planning.actions import Announcement, AnyAction, Create, Delete, Kind
from rayserve_operator.planning.cluster import nodes, orphans, replacement
from rayserve_operator.planning.cluster.heads import end_of
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.render import names, pods
from rayserve_operator.render.manifests import annotated
from rayserve_operator.render.node import runs_service
from rayserve_operator.render.options import RenderOptions


class _State(Enum):
    WHOLE = auto()
    """It holds its place, in whatever state its pods are."""
    FORMING = auto()
    """Some of its hosts have not been made yet; it holds its place."""
    FAILED = auto()
    """A pod of it has ended, too soon to be replaced already; it holds its place until then."""
    SPENT = auto()
    """A pod of it has ended; another takes its place."""
    NAMED = auto()
    """Ray's autoscaler wants it gone."""
    BROKEN = auto()
    """A host of it is lost, and without that the others are of no use."""
    LOST = auto()
    """Its node is silent or gone. It may come back, and is surplus then."""
    ORPHANED = auto()
    """It belongs to a head that is gone, with all that this head knew. It serves on until Ray in it gives up."""


_HOLDING = frozenset({_State.WHOLE, _State.FORMING, _State.FAILED})


@dataclass(frozen=True, slots=True)
class _Replica:
    """The pods of one replica that are not on their way out."""

    state: _State
    pods: tuple[PodView, ...]
    index: int | None
    why: str

    @property
    def up(self) -> bool:
        return all(pod.up for pod in self.pods)

    @property
    def usefulness(self) -> tuple[object, ...]:
        ready, running = all(p.ready for p in self.pods), all(p.phase == "Running" for p in self.pods)
        return (self.state is _State.WHOLE, ready, self.up, running, self.pods[0].meta.name)


def tend(
    observed: ObservedRayCluster, group: WorkerGroupSpec, head: PodView | None, options: RenderOptions, now: datetime
) -> Iterator[AnyAction]:
    """Bring one group to the workers that it should have."""
    yield from _Group(observed, group, head, options, now).tend()


def delete_worker(pod: PodView, why: str) -> Delete:
    """Delete a worker pod and say why."""
    told = Announcement("DeletedWorkerPod", f"Deleted {pod.meta.name}: {why}")
    return Delete(kind=Kind.POD, name=pod.meta.name, uid=pod.meta.uid, announce=told)


@dataclass(frozen=True)
class _Group:
    observed: ObservedRayCluster
    spec: WorkerGroupSpec
    head: PodView | None
    options: RenderOptions
    now: datetime

    @cached_property
    def hosts(self) -> int:
        return hosts(self.spec)

    @cached_property
    def wanted(self) -> int:
        return desired_replicas(self.observed.cluster, self.spec)

    @cached_property
    def replicas(self) -> list[_Replica]:
        """Those that have pods which are not on their way out."""
        found = []
        for members in self._together():
            staying = tuple(pod for pod in members if not pod.meta.deleting)
            if staying:
                state, why = self._judge(members, staying)
                found.append(_Replica(state, staying, staying[0].replica_index, why))
        return found

    @cached_property
    def holding(self) -> list[_Replica]:
        return [replica for replica in self.replicas if replica.state in _HOLDING]

    def tend(self) -> Iterator[AnyAction]:
        yield from self._complete()
        yield from self._add(self.wanted - len(self.holding))
        going = [r for r in self.replicas if r.state in (_State.NAMED, _State.SPENT, _State.BROKEN)]
        going += self._surplus(len(self.holding) - self.wanted)
        if self.wanted == 0:
            going += [replica for replica in self.replicas if replica.state is _State.LOST]
        for replica in going:
            why = replica.why or f"group {self.spec.group_name} has more than the {self.wanted} wanted"
            yield from (delete_worker(pod, why) for pod in replica.pods)
        yield from self._relieve()

    def _together(self) -> Iterator[list[PodView]]:
        """The pods of each replica. Those that an older KubeRay made do not say which is whose, so any will do."""
        members = [pod for pod in self.observed.workers if pod.group == self.spec.group_name]
        named: dict[str, list[PodView]] = {}
        for pod in members:
            if pod.replica is not None:
                named.setdefault(pod.replica, []).append(pod)
        yield from named.values()
        unnamed = [pod for pod in members if pod.replica is None]
        yield from (unnamed[at : at + self.hosts] for at in range(0, len(unnamed), self.hosts))

    def _judge(self, members: list[PodView], staying: tuple[PodView, ...]) -> tuple[_State, str]:
        named = set(self.spec.scale_strategy.workers_to_delete)
        if any(pod.meta.name in named for pod in staying):
            return _State.NAMED, "its removal was asked for"
        ended = [pod for pod in staying if pod.finished]
        if ended:
            due = all(replacement.is_due(pod, self.now) for pod in ended)
            return (_State.SPENT, end_of(ended[0])) if due else (_State.FAILED, "")
        lost = [pod for pod in staying if nodes.is_lost(pod, self.observed)]
        if self.hosts > 1:
            return self._judge_hosts(members, staying, lost)
        if lost:
            return _State.LOST, f"its node {lost[0].node} was lost"
        if orphans.is_orphaned(staying[0], self.observed, self.head):
            return _State.ORPHANED, "its head is gone"
        return _State.WHOLE, ""

    def _judge_hosts(
        self, members: list[PodView], staying: tuple[PodView, ...], lost: list[PodView]
    ) -> tuple[_State, str]:
        gone = [*lost, *(pod for pod in members if pod.meta.deleting)]
        if gone:
            return _State.BROKEN, f"{gone[0].meta.name}, another host of its replica, is lost"
        if any(orphans.is_orphaned(pod, self.observed, self.head) for pod in staying):
            return _State.ORPHANED, "its head is gone"
        if len(staying) == self.hosts:
            return _State.WHOLE, ""
        if any(pod.ray is not None and (pod.ray.running or pod.ray.restarts) for pod in staying):
            return _State.BROKEN, "another host of its replica is gone"
        return _State.FORMING, ""

    def _complete(self) -> Iterator[AnyAction]:
        """Make the hosts that a replica still lacks."""
        for replica in self.holding:
            if replica.state is _State.FORMING and replica.index is not None:
                there = {pod.host_index for pod in replica.pods}
                for host in sorted(set(range(self.hosts)) - there):
                    yield self._create(pods.Host(replica.index, replica.pods[0].replica, host))

    def _add(self, missing: int) -> Iterator[AnyAction]:
        """Make whole replicas, which take the lowest numbers that are free."""
        spent = [replica for replica in self.replicas if replica.state is _State.SPENT]
        memory = [max(replacement.failures_after(p, self.now) for p in r.pods if p.finished) for r in spent]
        taken = {replica.index for replica in self.holding}
        free = (index for index in count() if index not in taken)
        for number, index in zip(range(missing), free, strict=False):
            failures = memory[number] if number < len(memory) else 0
            for place in self._places(index):
                yield self._create(place, failures)

    def _places(self, index: int) -> Iterator[pods.Host]:
        if self.hosts == 1:
            yield pods.Host(index)
            return
        uid = self.observed.cluster.meta.uid
        name = names.replica_name(self.spec.group_name, uid, index, self.now.isoformat())
        yield from (pods.Host(index, name, host) for host in range(self.hosts))

    def _create(self, place: pods.Host, failures: int = 0) -> Create:
        cluster, group = self.observed.cluster, self.spec
        manifest = pods.worker_pod(cluster, group, self.options, place)
        return Create(
            kind=Kind.POD,
            manifest=annotated(manifest, replacement.memory_of(failures)),
            name_prefix=names.worker_pod_prefix(cluster.meta.name, group.group_name),
            announce=Announcement("CreatedWorkerPod", f"Created a worker pod of group {group.group_name}"),
        )

    def _surplus(self, excess: int) -> list[_Replica]:
        """The replicas to give up, the least useful first.

        Under autoscaling only Ray knows which worker is idle, so nothing that runs is given up unless it is named or
        all of the group is to go.
        """
        is_rays_choice = (
            self.observed.cluster.spec.autoscaling and not self.spec.suspend and self.spec.max_replicas != 0
        )
        expendable = [r for r in self.holding if not is_rays_choice or all(p.phase == "Pending" for p in r.pods)]
        return sorted(expendable, key=lambda replica: replica.usefulness)[: max(excess, 0)]

    def _relieve(self) -> Iterator[AnyAction]:
        """Let orphans go that are needed no more: others serve, or cannot come because the orphans take their room."""
        whole = [replica for replica in self.replicas if replica.state is _State.WHOLE]
        successors = [pod for replica in whole for pod in replica.pods]
        are_in_the_way = any(pod.unschedulable is not None for pod in successors)
        others_serve = any(pod.serving for pod in (*successors, *([self.head] if self.head else [])))
        enough = sum(replica.up for replica in whole) >= self.wanted
        if not are_in_the_way and not (enough and (others_serve or not runs_service(self.observed.cluster))):
            return
        for replica in self.replicas:
            if replica.state is _State.ORPHANED:
                if others_serve and not all(orphans.has_left(pod, self.now) for pod in replica.pods):
                    yield from orphans.leave(replica.pods, self.now)
                else:
                    yield from (delete_worker(pod, replica.why) for pod in replica.pods)
