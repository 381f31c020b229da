"""The status of a RayCluster: a projection of its pods, rebuilt in every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rayserve_operator.model.base import INT32_MAX
from rayserve_operator.model.conditions import ClusterCondition
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.problems import Problem
from rayserve_operator.model.raycluster import HeadInfo, RayClusterStatus
from rayserve_operator.model.unsupported import unsupported_in_cluster
from rayserve_operator.planning.condition_list import Fact, acceptance, carried, dated, replaced, timestamp
from rayserve_operator.planning.observed import ObservedRayCluster, PodView
from rayserve_operator.planning.scale import desired_pods, fewest_pods, most_pods
from rayserve_operator.render import names
from rayserve_operator.render.resources import parse_quantity


def project(observed: ObservedRayCluster, problems: list[Problem], now: datetime) -> RayClusterStatus:
    """The status that says what was observed. Its time is the old one unless anything else differs."""
    cluster, before = observed.cluster, observed.cluster.status
    groups = cluster.spec.worker_group_specs
    workers = [pod for pod in observed.pods if not pod.is_head and pod.alive]
    head = next((pod for pod in observed.pods if pod.is_head and pod.alive), None)
    desired = sum(desired_pods(cluster, group) for group in groups)
    state, reason = _state(cluster, head, workers, desired)
    transitions = before.state_transition_times
    if state and state != before.state:
        transitions = {**transitions, state: timestamp(now)}
    status = before.model_copy(
        update={
            "state": state,
            "reason": reason,
            "state_transition_times": transitions,
            "desired_worker_replicas": desired,
            "min_worker_replicas": sum(map(fewest_pods, groups)),
            "max_worker_replicas": min(sum(map(most_pods, groups)), INT32_MAX),
            "available_worker_replicas": sum(pod.phase == "Running" for pod in workers),
            "ready_worker_replicas": sum(pod.up for pod in workers),
            "desired_cpu": _total(cluster, lambda resource: resource == "cpu"),
            "desired_memory": _total(cluster, lambda resource: resource == "memory"),
            "desired_gpu": _total(cluster, lambda resource: resource.endswith("gpu")),
            "desired_tpu": _total(cluster, lambda resource: resource == "google.com/tpu"),
            "endpoints": _endpoints(observed),
            "head": _head(observed, head),
            "observed_generation": cluster.meta.generation,
            "conditions": carried(
                before.conditions, _facts(cluster, head, workers, desired, problems), cluster.meta.generation, now
            ),
        }
    )
    return dated(status, before, now)


def refuse(meta: Meta, before: RayClusterStatus, problems: tuple[Problem, ...], now: datetime) -> RayClusterStatus:
    """The status of a RayCluster whose spec cannot be read; what is known of its pods stays."""
    conditions = replaced(before.conditions, _spec_refused(problems), meta.generation, now)
    status = before.model_copy(update={"observed_generation": meta.generation, "conditions": conditions})
    return dated(status, before, now)


def blamed(status: RayClusterStatus, words: str, now: datetime) -> RayClusterStatus:
    """The status, saying that what is to happen next was refused, and why."""
    fact = Fact(ClusterCondition.REPLICA_FAILURE, True, "ActionRefused", words)
    generation = status.observed_generation or 0
    return status.model_copy(update={"conditions": replaced(status.conditions, fact, generation, now)})


def trouble_of(pod: PodView) -> tuple[str, str] | None:
    """What keeps a pod from running, as a reason and in words a person can act on; None while it just starts."""
    if pod.unschedulable is not None:
        return "Unschedulable", f"{pod.meta.name} fits no node: {pod.unschedulable}"
    for container in (*pod.init_containers, *pod.containers):
        if container.waiting not in (None, "ContainerCreating", "PodInitializing"):
            detail = f": {container.message}" if container.message else ""
            return str(container.waiting), f"{pod.meta.name}, container {container.name}{detail}"
        if container.terminated not in (None, "Completed"):
            return str(container.terminated), f"{pod.meta.name}, container {container.name} ended"
    return None


def _state(
    cluster: RayCluster, head: PodView | None, workers: Sequence[PodView], desired: int
) -> tuple[Any, str | None]:
    if cluster.spec.suspend:
        return ("suspended", None) if head is None and not workers else (None, "pods are still stopping")
    up = sum(pod.up for pod in workers)
    if head is not None and head.up and up >= desired:
        return "ready", None
    missing = [] if head is not None and head.up else ["the head is not up"]
    if up < desired:
        missing.append(f"{up} of {desired} workers are up")
    troubles = [trouble[1] for pod in (head, *workers) if pod is not None and (trouble := trouble_of(pod))]
    return None, "; ".join([*missing, *troubles[:3]])


def _facts(
    cluster: RayCluster, head: PodView | None, workers: Sequence[PodView], desired: int, problems: list[Problem]
) -> Iterator[Fact]:
    if problems:
        yield _spec_refused(problems)
    else:
        yield acceptance(ClusterCondition.SPEC_VALID, unsupported_in_cluster(cluster.spec))
    yield _head_ready(head)
    up = sum(pod.up for pod in workers)
    provisioned = head is not None and head.up and up >= desired
    was = any(c.type == ClusterCondition.PROVISIONED and c.status == "True" for c in cluster.status.conditions)
    yield Fact(
        ClusterCondition.PROVISIONED,
        provisioned or was,
        "AllPodRunningAndReadyFirstTime" if provisioned or was else "RayClusterPodsProvisioning",
    )
    troubles = [trouble for pod in (head, *workers) if pod is not None and (trouble := trouble_of(pod))]
    if troubles:
        yield Fact(
            ClusterCondition.REPLICA_FAILURE, True, troubles[0][0], "; ".join(words for _, words in troubles[:3])
        )


def _spec_refused(problems: Sequence[Problem]) -> Fact:
    return Fact(ClusterCondition.SPEC_VALID, False, "InvalidRayClusterSpec", "; ".join(map(str, problems)))


def _head_ready(head: PodView | None) -> Fact:
    if head is None:
        return Fact(ClusterCondition.HEAD_POD_READY, False, "HeadPodNotFound", "the head pod does not exist")
    if head.ready:
        return Fact(ClusterCondition.HEAD_POD_READY, True, "HeadPodRunningAndReady")
    trouble = trouble_of(head)
    reason, message = trouble or ("HeadPodStarting", f"{head.meta.name} is starting")
    return Fact(ClusterCondition.HEAD_POD_READY, False, reason, message)


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
        total += sum((parse_quantity(str(value)) for key, value in amounts.items() if counts(key)), Decimal())
    return total
