"""A RayService on its way to its goal: what is there, what is aimed at, and which cluster plays which part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from rayserve_operator.model.durations import parse_duration
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import Failure, ObservedCluster, ObservedService, RevisionView
from rayserve_operator.planning.service import capacity, gate
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.roles import (
    Roles,
    assign_roles,
    given_up,
    is_begun,
    is_given,
    last_good,
    revision_of,
)
from rayserve_operator.planning.service.share import Sharing, share_of
from rayserve_operator.render import fault_tolerance, labels

_SPARE_ENDPOINTS = 2
"""Pods that take traffic, above which a new cluster is not asked for more: the loss of one is survived."""


@dataclass(frozen=True)
class Course:
    """Everything that a pass over a RayService decides from."""

    observed: ObservedService
    goal: Goal
    now: datetime

    @cached_property
    def roles(self) -> Roles:
        """Which cluster plays which part."""
        return assign_roles(self.observed, self.goal)

    @cached_property
    def revision(self) -> RevisionView | None:
        """The goal's revision, once it is written down."""
        return revision_of(self.observed, self.goal)

    @cached_property
    def failure(self) -> Failure | None:
        """Why the goal was given up. A service without any cluster is not held back by an earlier failure."""
        return given_up(self.observed, self.goal) if self.roles.active is not None else None

    @cached_property
    def is_begun(self) -> bool:
        """Whether the present attempt at the goal is written down."""
        return is_begun(self.observed, self.goal)

    @property
    def is_first_start(self) -> bool:
        """Whether no cluster takes traffic yet."""
        return self.roles.active is None

    @property
    def may_be_given_up(self) -> bool:
        """Whether something that is known to work would be left, or come back, if the goal were given up."""
        active = self.roles.active
        if given_up(self.observed, self.goal) is not None:
            return False
        if active is None:
            return self.last_good is not None and self.last_good.meta.name != self.goal.revision
        served = active.cluster.meta.annotations.get(labels.SERVED)
        return self.roles.pending is not None or served not in (None, self.goal.revision)

    @cached_property
    def last_good(self) -> RevisionView | None:
        """The revision that comes back if the goal fails, while no cluster takes traffic."""
        return last_good(self.observed) if self.is_first_start else None

    @property
    def makes_room(self) -> bool:
        """Whether the cluster that serves is to leave before there is another one that is as the goal wants it."""
        is_other = self.roles.active is not None and self.roles.candidate is not self.roles.active
        return self.goal.spec.recreates and is_other and self.roles.retreat is None and not self.is_fit

    @property
    def has_room(self) -> bool:
        """Whether a cluster may be made beside those that there are."""
        return not (self.goal.spec.recreates and self.roles.everyone)

    @property
    def deadline(self) -> datetime | None:
        """When the goal must be reached; None until it is written down that its revision is the goal, now or again.

        A cluster that is made later, because a suspension ends or the one before it was lost or had to leave first, has
        all the time again, and so has one that has taken a further share of the traffic.
        """
        begun = self.revision if self.is_begun else None
        started = None if begun is None else notes.time_of(begun.meta, labels.STARTED_AT)
        made = None if self.roles.candidate is None else self.roles.candidate.cluster.meta.created
        share = None if self.roles.pending is None else share_of(self.roles.pending)
        detached = None if self.last_good is None else notes.time_of(self.last_good.meta, labels.LAST_GOOD)
        allowed = timedelta(seconds=self.goal.spec.progress_deadline)
        if self.is_first_start and self.last_good is None:
            allowed = first_start_timeout(self.observed.service.meta) or allowed
        if started is None:
            return None
        moments = (started, made, None if share is None else share.since, detached)
        return max(moment for moment in moments if moment is not None) + allowed

    @property
    def is_overdue(self) -> bool:
        """Whether the goal should have been reached by now."""
        return self.deadline is not None and self.now >= self.deadline

    @cached_property
    def sharing(self) -> Sharing | None:
        """Between which clusters the traffic is to be shared; None where it is not."""
        active, pending = self.roles.active, self.roles.pending
        if active is None or pending is None:
            return self.roles.retreat
        share = share_of(pending)
        return self.roles.retreat if share is None else Sharing(active, pending, share)

    @property
    def is_by_route(self) -> bool:
        """Whether an HTTPRoute shares the traffic, and not the pods."""
        return self.goal.spec.route_options is not None

    def is_given_the_goal(self, cluster: ObservedCluster) -> bool:
        """Whether it is noted on the cluster that it serves the goal. Until then its notes are of another one."""
        return is_given(self.observed, self.goal, cluster)

    def config_of(self, cluster: ObservedCluster) -> ServeConfig | None:
        """The Serve config that the cluster is to run; None where none is known."""
        is_aimed_at = cluster is self.roles.candidate and self.failure is None
        config = self.goal.serve if is_aimed_at else cluster.assigned
        if config is None:
            return None
        return capacity.in_part(capacity.on_floors(config, capacity.floors_of(cluster)), capacity.percent_of(cluster))

    @cached_property
    def holder_of_state(self) -> ObservedCluster | None:
        """The cluster that keeps its state where a new one is to, which would take it for its own.

        The head of the new one would count as a new head of the old cluster, and whichever ends first wipes out both.
        """
        # A new cluster has the annotations of the RayService. A state that is named after a cluster is never another's.
        wanted = RayCluster(self.observed.service.meta, self.goal.spec.ray_cluster_config, RayClusterStatus())
        state = fault_tolerance.state_of(wanted)
        holders = (c for c in self.observed.clusters if state and fault_tolerance.state_of(c.cluster) == state)
        return next(holders, None)

    @cached_property
    def verdict(self) -> gate.Verdict | None:
        """How far the candidate is; None where there is none, or nothing is known of what it should run."""
        candidate = self.roles.candidate
        config = None if candidate is None else self.config_of(candidate)
        if candidate is None or config is None:
            return None
        return gate.judge(candidate, config, self._newcomer)

    @property
    def is_fit(self) -> bool:
        """Whether the candidate can take traffic as it is now."""
        return self.verdict is not None and self.verdict.stage is gate.Stage.FIT

    @property
    def warm_up_ends(self) -> datetime | None:
        """When a new cluster that works is no longer waited for to match the old one; None while it does not work."""
        pending = self.roles.pending
        if pending is None or not self.is_given_the_goal(pending):
            return None
        since = notes.time_of(pending.cluster.meta, labels.WARM_SINCE)
        return None if since is None else since + timedelta(seconds=self.goal.spec.warm_up_timeout)

    @property
    def is_warm_up_over(self) -> bool:
        """Whether the new cluster has had its time to match the old one."""
        return self.warm_up_ends is not None and self.now >= self.warm_up_ends

    @property
    def _newcomer(self) -> gate.Newcomer | None:
        """What is asked of the candidate if it is to take over. Where nothing serves yet, any pod that does is good."""
        active, pending = self.roles.active, self.roles.pending
        if active is None or pending is None:
            return None
        if self.is_warm_up_over and not self.goal.spec.needs_parity:
            return gate.Newcomer(endpoints=None)
        possible = _possible_workers(pending) + (0 if self.goal.spec.exclude_head_pod_from_serve_svc else 1)
        return gate.Newcomer(endpoints=max(1, min(_SPARE_ENDPOINTS, active.serving_pods, possible)))


def _possible_workers(cluster: ObservedCluster) -> int:
    """Workers that may take traffic. Ray runs no proxy where no replica is, so that nobody can wait for others."""
    if not isinstance(cluster.serve, ServeStatus):
        return 0
    places = cluster.serve.places
    return sum(pod.alive and not pod.is_head and pod.ip in places for pod in cluster.pods)


def first_start_timeout(meta: Meta) -> timedelta | None:
    """How long KubeRay's annotation lets the first start take; None where it does not say."""
    try:
        return parse_duration(meta.annotations[labels.INITIALIZING_TIMEOUT])
    except (KeyError, ValueError):
        return None
