"""The status of a RayCluster: a projection of its pods, rebuilt in every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import HeadInfo, RayClusterStatus
from rayserve_operator.model.resources import parse_quantity
from rayserve_operator.model.scale import desired_pods, fewest_pods, most_pods
from rayserve_operator.planning.cluster import nodes
from rayserve_operator.planning.cluster.heads import HeadCare
from rayserve_operator.planning.cluster.orphans import is_orphaned
from rayserve_operator.planning.cluster.troubles import Trouble, trouble_of
from rayserve_operator.planning.condition_list import Fact, acceptance, carried, dated, replaced, timestamp
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.planning.suspension import Phase
from rayserve_operator.render import names

_LOOPS = frozenset({"CrashLoop", "CrashLoopBackOff"})
_TOLD = 3
"""Troubles told at once; a thousand pods of one kind have all the same."""


def project(
    observed: ObservedRayCluster, phase: Phase, care: HeadCare, problems: list[Problem], now: datetime
) -> RayClusterStatus:
    """The status that says what was observed. Its time is the old one unless anything else differs."""
    cluster, before = observed.cluster, observed.cluster.status
    groups = cluster.spec.worker_group_specs
    crew = _Crew.of(observed, phase, care, now)
    state, reason = _state(crew)
    transitions = before.state_transition_times
    if state and state != before.state:
        transitions = {**transitions, state: timestamp(now)}
    refused = _spec_refused(problems) if problems else None
    facts = (*_facts(observed, crew, refused), *_settling(state, reason, refused))
    status = before.model_copy(
        update={
            "state": state,
            "reason": reason,
            "state_transition_times": transitions,
            "desired_worker_replicas": crew.desired,
            "min_worker_replicas": min(sum(map(fewest_pods, groups)), INT32_MAX),
            "max_worker_replicas": min(sum(map(most_pods, groups)), INT32_MAX),
            "available_worker_replicas": sum(pod.phase == "Running" for pod in crew.workers),
            "ready_worker_replicas": crew.up,
            "desired_cpu": _total(cluster, lambda resource: resource == "cpu"),
            "desired_memory": _total(cluster, lambda resource: resource == "memory"),
            "desired_gpu": _total(cluster, lambda resource: resource.endswith("gpu")),
            "desired_tpu": _total(cluster, lambda resource: resource == "google.com/tpu"),
            "endpoints": _endpoints(observed),
            "head": _head(observed, crew.head),
            "observed_generation": cluster.meta.generation,
            "conditions": carried(before.conditions, facts, cluster.meta.generation, now),
        }
    )
    return dated(status, before, now)


def refuse(meta: Meta, before: RayClusterStatus, problems: tuple[Problem, ...], now: datetime) -> RayClusterStatus:
    """The status of a RayCluster whose spec cannot be read; what is known of its pods stays."""
    conditions = before.conditions
    refused = _spec_refused(problems)
    for fact in (refused, *_stalled_by(refused)):
        conditions = replaced(conditions, fact, meta.generation, now)
    status = before.model_copy(update={"observed_generation": meta.generation, "conditions": conditions})
    return dated(status, before, now)


def blamed(status: RayClusterStatus, words: str, now: datetime) -> RayClusterStatus:
    """The status, saying that what is to happen next was refused, and why."""
    # The API server's words for a quota are the only mark that tells it from any other 403.
    reason_word = "QuotaExceeded" if "exceeded quota" in words else "ActionRefused"
    fact = Fact(ClusterCondition.REPLICA_FAILURE, True, reason_word, words)
    conditions = replaced(status.conditions, fact, status.observed_generation or 0, now)
    reason = None if status.state == "ready" else "; ".join(filter(None, (status.reason, words)))
    return status.model_copy(update={"reason": reason, "conditions": conditions})


@dataclass(frozen=True, slots=True)
class _Crew:
    """The pods that count, and what is wrong with them."""

    phase: Phase
    head: PodView | None
    waits_for: str | None
    workers: tuple[PodView, ...]
    desired: int
    troubles: tuple[Trouble, ...]
    was_provisioned: bool

    @classmethod
    def of(cls, observed: ObservedRayCluster, phase: Phase, care: HeadCare, now: datetime) -> Self:
        cluster = observed.cluster
        living = [pod for pod in observed.workers if pod.alive and not is_orphaned(pod, observed, care.head)]
        lost = [pod for pod in observed.pods if pod.alive and nodes.is_lost(pod, observed)]
        silent = (
            Trouble(pod.meta.name, "NodeLost", f"{pod.meta.name} is on node {pod.node}, which is silent or gone")
            for pod in lost
        )
        ended = [pod for pod in observed.pods if pod.finished and not pod.meta.deleting]
        suspects = (care.head, *living, *ended)
        found = (trouble_of(pod, now) for pod in suspects if pod is not None)
        return cls(
            phase=phase,
            head=care.head,
            waits_for=care.waits_for,
            workers=tuple(pod for pod in living if pod not in lost),
            desired=sum(desired_pods(cluster, group) for group in cluster.spec.worker_group_specs),
            troubles=(*silent, *(trouble for trouble in found if trouble is not None)),
            was_provisioned=any(
                c.type == ClusterCondition.PROVISIONED and c.status == "True" for c in cluster.status.conditions
            ),
        )

    @property
    def up(self) -> int:
        return sum(pod.up for pod in self.workers)

    @property
    def head_is_ready(self) -> bool:
        return self.head is not None and self.head.up and self.head.ready

    @property
    def is_complete(self) -> bool:
        return self.head_is_ready and self.up >= self.desired and self.phase is Phase.RUNNING


def _state(crew: _Crew) -> tuple[Any, str | None]:
    if crew.phase is Phase.SUSPENDED:
        return "suspended", None
    if crew.phase is not Phase.RUNNING:
        return (
            None,
            "it is resumed" if crew.phase is Phase.RESUMING else "its pods are stopping, because it is suspended",
        )
    looping = next((trouble for trouble in crew.troubles if trouble.reason in _LOOPS), None)
    if crew.is_complete and looping is None:
        return "ready", None
    is_up = crew.head is not None and crew.head.up
    missing = [] if crew.head_is_ready else [crew.waits_for or f"the head is not {'ready' if is_up else 'up'}"]
    if crew.up < crew.desired:
        missing.append(f"{crew.up} of {crew.desired} workers are up")
    reason = "; ".join([*missing, *(trouble.words for trouble in crew.troubles[:_TOLD])])
    return ("unhealthy" if crew.was_provisioned and not crew.head_is_ready else None), reason


def _facts(observed: ObservedRayCluster, crew: _Crew, refused: Fact | None) -> Iterator[Fact]:
    cluster = observed.cluster
    yield refused or acceptance(ClusterCondition.SPEC_VALID, ())
    yield _head_ready(crew)
    provisioned = crew.is_complete or crew.was_provisioned
    yield Fact(
        ClusterCondition.PROVISIONED,
        provisioned,
        "AllPodRunningAndReadyFirstTime" if provisioned else "RayClusterPodsProvisioning",
    )
    yield from _suspension(cluster, crew.phase)
    if crew.troubles:
        told = "; ".join(trouble.words for trouble in crew.troubles[:_TOLD])
        yield Fact(ClusterCondition.REPLICA_FAILURE, True, crew.troubles[0].reason, told)


def _settling(state: str | None, reason: str | None, refused: Fact | None) -> Iterator[Fact]:
    """The conditions by which kstatus, and with it Flux, tells whether a cluster is as its spec says."""
    words = reason or ""
    is_ready, is_suspended = state == "ready", state == "suspended"
    held = "AllPodsReady" if is_ready else "Suspended" if is_suspended else "PodsNotReady"
    yield Fact(ClusterCondition.READY, is_ready, held, words)
    if refused is not None:
        yield from _stalled_by(refused)
    else:
        yield Fact(ClusterCondition.RECONCILING, not (is_ready or is_suspended), held, words)


def _stalled_by(refused: Fact) -> tuple[Fact, Fact]:
    return (
        Fact(ClusterCondition.STALLED, True, refused.reason, refused.message),
        Fact(ClusterCondition.RECONCILING, False, refused.reason, "waiting for a valid spec"),
    )


def _suspension(cluster: RayCluster, phase: Phase) -> Iterator[Fact]:
    """Both conditions from the first suspension on: a controller that waits for one must find it False, not gone."""
    known = {condition.type for condition in cluster.status.conditions}
    if phase is Phase.RUNNING and not known & {ClusterCondition.SUSPENDING, ClusterCondition.SUSPENDED}:
        return
    suspending = phase in (Phase.BEGINNING, Phase.SUSPENDING)
    yield Fact(ClusterCondition.SUSPENDING, suspending, "UserRequestedSuspend" if suspending else "NotSuspending")
    suspended = phase is Phase.SUSPENDED
    yield Fact(ClusterCondition.SUSPENDED, suspended, "UserRequestedSuspend" if suspended else "NotSuspended")


def _spec_refused(problems: Sequence[Problem]) -> Fact:
    return Fact(ClusterCondition.SPEC_VALID, False, "InvalidRayClusterSpec", "; ".join(map(str, problems)))


def _head_ready(crew: _Crew) -> Fact:
    head = crew.head
    if crew.phase is not Phase.RUNNING:
        return Fact(ClusterCondition.HEAD_POD_READY, False, "Suspended", "the cluster is suspended")
    if head is None:
        if crew.waits_for is not None:
            return Fact(ClusterCondition.HEAD_POD_READY, False, "HeadPodWaiting", crew.waits_for)
        return Fact(ClusterCondition.HEAD_POD_READY, False, "HeadPodNotFound", "the head pod does not exist")
    if head.ready:
        return Fact(ClusterCondition.HEAD_POD_READY, True, "HeadPodRunningAndReady")
    its_own = next((trouble for trouble in crew.troubles if trouble.pod == head.meta.name), None)
    if its_own is not None:
        return Fact(ClusterCondition.HEAD_POD_READY, False, its_own.reason, its_own.words)
    if head.up:
        words = f"{head.meta.name} runs, but its readiness probe fails"
        return Fact(ClusterCondition.HEAD_POD_READY, False, "HeadPodNotReady", words)
    return Fact(ClusterCondition.HEAD_POD_READY, False, "HeadPodStarting", f"{head.meta.name} is starting")


def _head(observed: ObservedRayCluster, head: PodView | None) -> HeadInfo:
    service = observed.services.get(names.head_service_name(observed.cluster))
    address = service.spec.get("clusterIP") if service else None
    ip = head.ip if head else None
    return HeadInfo(
        pod_ip=ip,
        pod_name=head.meta.name if head else None,
        service_ip=ip if address in (None, "None") else address,
        service_name=service.meta.name if service else None,
    )


def _endpoints(observed: ObservedRayCluster) -> dict[str, str]:
    service = observed.services.get(names.head_service_name(observed.cluster))
    ports = service.spec.get("ports") or () if service else ()
    return {port["name"]: str(port.get("nodePort") or port.get("targetPort") or port["port"]) for port in ports}


def _total(cluster: RayCluster, counts: Callable[[str], bool]) -> str:
    spec = cluster.spec
    total = _of_template(spec.head_group_spec.template, counts)
    for group in spec.worker_group_specs:
        total += desired_pods(cluster, group) * _of_template(group.template, counts)
    return format(total.normalize(), "f")


def _of_template(template: Mapping[str, Any], counts: Callable[[str], bool]) -> Decimal:
    total = Decimal()
    for container in template.get("spec", {}).get("containers") or ():
        resources = container.get("resources") or {}
        amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        total += sum(parse_quantity(str(value)) for key, value in amounts.items() if counts(key))
    return total
