"""How far a cluster is from being fit for traffic."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.observed import ObservedCluster, PodView, Silence
from rayserve_operator.render import labels


class Stage(StrEnum):
    """Where a cluster stands on its way to traffic; the reasons of condition Reconciling."""

    PROVISIONING = "Provisioning"
    """Its head does not run yet."""
    CONFIGURING = "Configuring"
    """Ray does not run the wanted Serve config yet."""
    WARMING = "Warming"
    """Ray runs the config; an application, or a pod that would take traffic, is not ready yet."""
    FIT = "Fit"
    """It can take traffic."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A stage, and in words what is still missing."""

    stage: Stage
    message: str


def judge(observed: ObservedCluster, config: ServeConfig) -> Verdict:
    """Tell how far the cluster is with this Serve config."""
    head = observed.head
    if head is None or head.ip is None or head.ray is None or not head.ray.running:
        why = "it is suspended" if observed.cluster.spec.suspend else _why_not_running(head)
        return Verdict(Stage.PROVISIONING, f"cluster {observed.name}: {why}")
    if isinstance(observed.serve, Silence):
        return Verdict(
            Stage.PROVISIONING, f"cluster {observed.name}: Ray does not answer yet ({observed.serve.reason})"
        )
    if not config.application_names:
        return Verdict(Stage.CONFIGURING, "serveConfigV2 names no applications; add one to serve")
    if not in_sync(observed, config):
        return Verdict(Stage.CONFIGURING, f"cluster {observed.name}: the Serve config is being submitted")
    waiting = applications_waiting(observed.serve, config)
    if waiting:
        return Verdict(Stage.WARMING, f"cluster {observed.name}: {'; '.join(waiting)}")
    if observed.serving_pods == 0:
        return Verdict(Stage.WARMING, f"cluster {observed.name}: no pod answers Serve's health check yet")
    return Verdict(Stage.FIT, f"cluster {observed.name} serves")


def in_sync(observed: ObservedCluster, config: ServeConfig) -> bool:
    """Whether Ray runs exactly this config, as far as it tells."""
    if isinstance(observed.serve, Silence):
        return False
    deployed = observed.serve.deployed
    return not config.differences(deployed) or spelling(observed) == (config.digest, deployed.digest)


def spelling(observed: ObservedCluster) -> tuple[str, str] | None:
    """The pair of digests (sent, answered) that counts as applied though they differ."""
    recorded = observed.cluster.meta.annotations.get(labels.SERVE_SPELLING)
    if recorded is None:
        return None
    sent, _, answered = recorded.partition(":")
    return sent, answered


def applications_waiting(report: ServeStatus, config: ServeConfig) -> list[str]:
    """The config's applications that do not run, each with Ray's words."""
    waiting = []
    for name in config.application_names:
        application = report.applications.get(name)
        if application is None:
            waiting.append(f"application {name} is not deployed yet")
        elif application.status != "RUNNING":
            detail = _first_line(application.message) or next(
                (
                    f"deployment {deployment}: {_first_line(state.message)}"
                    for deployment, state in application.deployments.items()
                    if state.message and state.status != "HEALTHY"
                ),
                "",
            )
            waiting.append(f"application {name} is {application.status}" + (f" ({detail})" if detail else ""))
    return waiting


def _why_not_running(head: PodView | None) -> str:
    if head is None:
        return "the head pod is being created"
    if head.unschedulable is not None:
        return f"the head pod {head.meta.name} fits no node: {head.unschedulable}"
    for container in (*head.init_containers, *head.containers):
        if container.waiting not in (None, "ContainerCreating", "PodInitializing"):
            return f"the head pod {head.meta.name} waits: {container.waiting} {container.waiting_message}".rstrip()
    return f"the head pod {head.meta.name} is starting"


def _first_line(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:300]
