"""Which Serve config goes to which cluster, and how often one that fails is sent again.

Ray's GET alone tells whether a config is applied, and a failing one is safe to send again: Ray builds it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rayserve_operator.model.serve import ApplicationState, ServeConfig, ServeStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.actions import Announcement, AnyAction, Step, SubmitServe
from rayserve_operator.planning.observed import ObservedCluster
from rayserve_operator.planning.service import gate
from rayserve_operator.planning.service.course import Course
from rayserve_operator.planning.words import few
from rayserve_operator.render import labels, names
from rayserve_operator.render.ports import dashboard_address

TRIES = 3
"""How often a config may fail before it counts as failed: a download or a busy node can spoil one try."""
_FIRST_PAUSE, _LAST_PAUSE = timedelta(seconds=10), timedelta(minutes=5)
"""Between tries of a config that is never given up, because nothing else is there to serve."""
_WORDS = 1000
"""Characters of Ray's words that are kept."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What came of a config on a cluster so far."""

    failed: int = 0
    words: str = ""
    """Ray's, where it refused the config outright."""
    sent: float | None = None
    """When the config was sent that failed last, by Ray's clock. A failure counts once, however often it is seen."""


def tries_of(cluster: ObservedCluster, config: ServeConfig) -> Tries:
    """How often this config has failed on the cluster."""
    noted = notes.record_of(cluster.cluster.meta, labels.SERVE_TRIES)
    if noted.get("config") != config.digest or not isinstance(noted.get("failed"), int):
        return Tries()
    return Tries(noted["failed"], str(noted.get("words", "")), noted.get("sent"))


def refused(config: ServeConfig, times: int, refusal: Exception) -> dict[str, str]:
    """What is written down on a cluster whose Ray has refused a config so many times in a row."""
    return {labels.SERVE_TRIES: _written(config, Tries(times, str(refusal)[:_WORDS]))}


def exhausted(cluster: ObservedCluster, config: ServeConfig) -> str | None:
    """What is wrong with a config that has failed as often as it may; None where it has not."""
    tries = tries_of(cluster, config)
    if not gate.in_sync(cluster, config):
        return tries.words if tries.failed >= TRIES else None
    failed = _failed_applications(cluster, config)
    if not failed or _with_the_last(tries, failed).failed < TRIES:
        return None
    return "; ".join(f"application {name}: {state.words or state.status}" for name, state in failed.items())


def steps(course: Course) -> Iterator[Step]:
    """Send what is to be sent, to the clusters whose applications are looked after."""
    decided = [tuple(_submit(course, cluster)) for cluster in course.roles.watched]
    yield tuple(step for pair in decided for step in pair[:-1])
    yield tuple(pair[-1] for pair in decided if pair)


def _submit(course: Course, cluster: ObservedCluster) -> Iterator[AnyAction]:
    config, head, report = course.config_of(cluster), cluster.head, cluster.serve
    if config is None or head is None or head.ip is None or not isinstance(report, ServeStatus):
        return
    tries, is_given_up = tries_of(cluster, config), _is_given_up(course, cluster)
    if gate.in_sync(cluster, config):
        failed = _failed_applications(cluster, config)
        if not failed:
            return
        counted = _with_the_last(tries, failed)
        if not _is_due(counted, course.now, is_given_up=is_given_up):
            return
        if counted is not tries:
            yield _note(cluster, config, counted)
    elif not (config.application_names or report.started) or (is_given_up and report.started and tries.failed >= TRIES):
        return
    yield SubmitServe(
        cluster=cluster.name,
        cluster_uid=cluster.cluster.meta.uid,
        address=dashboard_address(cluster.cluster, head.ip),
        secret=names.token_secret_name(cluster.cluster),
        config=config,
        failed_before=tries.failed if tries.failed < TRIES else None,
        announce=Announcement("UpdatedServeApplications", _what_changes(cluster, config, report)),
    )


def _is_given_up(course: Course, cluster: ObservedCluster) -> bool:
    """Whether a config that fails was given up, and is not what is known to run and is repaired for ever.

    The pass that gives it up sends nothing.
    """
    if course.failure is not None and course.is_given_the_goal(cluster):
        return True
    noted = cluster.cluster.meta.annotations
    return course.goal.spec.rolls_back and noted.get(labels.SERVED) not in (None, noted.get(labels.REVISION))


def _with_the_last(tries: Tries, failed: dict[str, ApplicationState]) -> Tries:
    """The tries with the failure that is seen now."""
    sent = max(state.last_deployed_time_s or 0 for state in failed.values())
    return tries if tries.sent == sent else Tries(tries.failed + 1, sent=sent)


def _is_due(tries: Tries, now: datetime, *, is_given_up: bool) -> bool:
    if tries.failed < TRIES:
        return True
    if is_given_up:
        return False
    pause = min(_FIRST_PAUSE * 2 ** min(tries.failed - TRIES, 16), _LAST_PAUSE)
    is_due: bool = now >= datetime.fromtimestamp(tries.sent or 0, UTC) + pause
    return is_due


def _note(cluster: ObservedCluster, config: ServeConfig, tries: Tries) -> AnyAction:
    return notes.on_cluster(cluster, {labels.SERVE_TRIES: _written(config, tries)})


def _written(config: ServeConfig, tries: Tries) -> str:
    words = {"words": tries.words} if tries.words else {}
    sent = {"sent": tries.sent} if tries.sent else {}
    return notes.written({"config": config.digest, "failed": tries.failed, **words, **sent})


def _failed_applications(cluster: ObservedCluster, config: ServeConfig) -> dict[str, ApplicationState]:
    if not isinstance(cluster.serve, ServeStatus):
        return {}
    return {
        name: state
        for name, state in cluster.serve.applications.items()
        if name in config.applications and state.status == "DEPLOY_FAILED"
    }


def _what_changes(cluster: ObservedCluster, config: ServeConfig, report: ServeStatus) -> str:
    if not report.deployed.apps:
        return f"Submitted the Serve config to {cluster.name}"
    paths = config.differences(report.deployed)
    if not paths:
        return f"Submitted the Serve config to {cluster.name} again, because it failed to deploy"
    return f"Updated the Serve config of {cluster.name} in place: {few(paths)}"
