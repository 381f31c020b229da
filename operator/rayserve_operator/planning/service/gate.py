"""How far a cluster is from being fit for traffic."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.observed import ObservedCluster, PodView, Silence
from rayserve_operator.planning.service import capacity
from rayserve_operator.render import labels

_OTHER_WAY = "; where two clusters never fit, upgradeStrategy.type: Recreate deletes the old one first"


class Stage(StrEnum):
    """Where a cluster stands on its way to traffic; the reasons of condition Reconciling."""

    PROVISIONING = "Provisioning"
    """Its head does not run yet."""
    CONFIGURING = "Configuring"
    """Ray does not run the wanted Serve config yet."""
    WARMING = "Warming"
    """Ray runs the config; an application, or a pod that would take traffic, is not ready yet."""
    MATCHING = "MatchingCapacity"
    """It works, and does not yet have the capacity of the cluster that it is to take over from."""
    FIT = "Fit"
    """It can take traffic."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A stage, and in words what is still missing."""

    stage: Stage
    message: str


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is asked of a cluster that is to take over, beyond what is asked of one that serves."""

    endpoints: int | None
    """Pods that must take traffic; None where it is no longer waited for to match the cluster that serves."""


def judge(observed: ObservedCluster, config: ServeConfig, newcomer: Newcomer | None = None) -> Verdict:
    """Tell how far the cluster is with this Serve config, which is the one that it was sent."""
    stage, words = _judge(observed, config, newcomer)
    is_one_too_many = newcomer is not None and stage is not Stage.FIT and any(_unplaced(observed))
    return Verdict(stage, f"cluster {observed.name}{words}{_OTHER_WAY if is_one_too_many else ''}")


def _judge(observed: ObservedCluster, config: ServeConfig, newcomer: Newcomer | None) -> tuple[Stage, str]:
    if not can_be_asked(observed):
        return Stage.PROVISIONING, f": {_why_not_running(observed)}"
    if isinstance(observed.serve, Silence):
        return Stage.PROVISIONING, f": Ray does not answer yet ({observed.serve.reason})"
    if not config.application_names:
        return Stage.CONFIGURING, " serves nothing: serveConfigV2 names no applications; add one to serve"
    if not in_sync(observed, config):
        return Stage.CONFIGURING, ": the Serve config is being submitted"
    return _with_applications(observed, observed.serve, config, newcomer)


def _with_applications(
    observed: ObservedCluster, report: ServeStatus, config: ServeConfig, newcomer: Newcomer | None
) -> tuple[Stage, str]:
    short = _shortfall(observed, report, newcomer)
    waiting = applications_waiting(report, config)
    if waiting:
        is_short = bool(short) and all(_only_short(observed, report, name) for name in waiting)
        words = "; ".join([*waiting.values(), *short, *_unplaced(observed)])
        return (Stage.MATCHING if is_short else Stage.WARMING), f": {words}"
    if newcomer is not None:
        taking = (pod.meta.name for pod in _taking_traffic(observed, report))
        silent = [name for name in taking if name not in observed.answering]
        if silent:
            return Stage.WARMING, f": the Serve proxy of {', '.join(silent)} does not take traffic yet"
    if observed.serving_pods == 0:
        return Stage.WARMING, ": no pod answers Serve's health check yet"
    return (Stage.MATCHING, f": {'; '.join([*short, *_unplaced(observed)])}") if short else (Stage.FIT, " serves")


def in_sync(observed: ObservedCluster, config: ServeConfig) -> bool:
    """Whether Ray runs exactly this config, as far as it tells."""
    if isinstance(observed.serve, Silence):
        return False
    deployed = observed.serve.deployed
    return not config.differences(deployed) or spelling(observed) == (config.digest, deployed.digest)


def is_settled(observed: ObservedCluster, config: ServeConfig) -> bool:
    """Whether the cluster runs this config with all the replicas that it asks for now."""
    if isinstance(observed.serve, Silence) or not in_sync(observed, config):
        return False
    return not applications_waiting(observed.serve, config) and not capacity.growing(observed.serve)


def spelling(observed: ObservedCluster) -> tuple[str, str] | None:
    """The pair of digests (sent, answered) that counts as applied though they differ."""
    recorded = observed.cluster.meta.annotations.get(labels.SERVE_SPELLING)
    if recorded is None:
        return None
    sent, _, answered = recorded.partition(":")
    return sent, answered


def applications_waiting(report: ServeStatus, config: ServeConfig) -> dict[str, str]:
    """The config's applications that do not run, each with Ray's words."""
    waiting = {}
    for name in config.application_names:
        application = report.applications.get(name)
        if application is None:
            waiting[name] = f"application {name} is not deployed yet"
        elif application.status != "RUNNING":
            detail = application.words
            waiting[name] = f"application {name} is {application.status}" + (f" ({detail})" if detail else "")
    return waiting


def can_be_asked(observed: ObservedCluster) -> bool:
    """Whether there is a head that could answer."""
    head = observed.head
    return head is not None and head.ip is not None and head.ray is not None and head.ray.running


def to_be_asked(observed: ObservedCluster, config: ServeConfig) -> tuple[PodView, ...]:
    """The pods whose proxy is asked whether it answers: those that would take traffic, once this config runs.

    Applications that somebody has deployed beside the config are not waited for.
    """
    if isinstance(observed.serve, Silence) or applications_waiting(observed.serve, config):
        return ()
    return tuple(pod for pod in _taking_traffic(observed, observed.serve) if pod.ready)


def _taking_traffic(observed: ObservedCluster, report: ServeStatus) -> tuple[PodView, ...]:
    """The pods that the stable Service would select and on which Ray calls a proxy healthy."""
    healthy = report.healthy_proxy_ips
    return tuple(p for p in observed.pods if p.alive and p.meta.labels.get(labels.SERVE) == "true" and p.ip in healthy)


def _shortfall(observed: ObservedCluster, report: ServeStatus, newcomer: Newcomer | None) -> list[str]:
    """What a new cluster lacks of the capacity of the one that it is to take over from, in words."""
    if newcomer is None or newcomer.endpoints is None:
        return []
    short = capacity.shortfall(report, capacity.floors_of(observed))
    if observed.serving_pods < newcomer.endpoints:
        short.append(f"{observed.serving_pods} of {newcomer.endpoints} pods take traffic")
    starting = [pod.meta.name for pod in observed.pods if pod.alive and pod.ip in report.starting_proxy_ips]
    if starting:
        short.append(f"the Serve proxy of {', '.join(starting)} starts")
    if capacity.portion_of(observed) is not None:
        short += capacity.growing(report)
    return short


def _unplaced(observed: ObservedCluster) -> list[str]:
    """The first of the pods that fit no node, with what the scheduler says is missing."""
    unplaced = [pod for pod in observed.pods if pod.alive and pod.unschedulable is not None]
    return [f"{pod.meta.name} fits no node: {pod.unschedulable}" for pod in unplaced[:1]]


def _only_short(observed: ObservedCluster, report: ServeStatus, application: str) -> bool:
    state = report.applications.get(application)
    return state is not None and capacity.only_short(state, capacity.floors_of(observed).get(application, {}))


def _why_not_running(observed: ObservedCluster) -> str:
    head = observed.head
    if observed.cluster.spec.suspend:
        return "it is suspended"
    if head is None:
        return "the head pod is being created"
    if head.unschedulable is not None:
        return f"the head pod {head.meta.name} fits no node: {head.unschedulable}"
    for container in (*head.init_containers, *head.containers):
        if container.waiting not in (None, "ContainerCreating", "PodInitializing"):
            return f"the head pod {head.meta.name} waits: {container.waiting} {container.waiting_message}".rstrip()
    return f"the head pod {head.meta.name} is starting"
