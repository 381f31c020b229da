"""Which of a RayService's clusters is which.

The active cluster is the one that the serve Service names, never what status remembers. The candidate is the living
cluster that is already as the goal wants it: the active one when nothing but the Serve config differs, else the one
being made ready to take over. All others are on their way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rayserve_operator.model.serve import ServeStatus
from rayserve_operator.planning import notes
from rayserve_operator.planning.observed import Failure, ObservedCluster, ObservedService, RevisionView, ServiceView
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.planning.service.share import Sharing, share_of
from rayserve_operator.render import labels, ports


@dataclass(frozen=True, slots=True)
class Roles:
    """The clusters of a RayService by what is to become of them."""

    active: ObservedCluster | None
    candidate: ObservedCluster | None
    leaving: tuple[ObservedCluster, ...]
    stamped: bool
    """Whether the serve Service itself says which cluster is active; if not, nothing may be deleted or created
    as long as any cluster was found."""
    retreat: Sharing | None
    """A cluster that is not to take over any more and gives its share of the traffic back, as the active one comes to
    the capacity for it. There is no candidate until it has."""

    @property
    def everyone(self) -> tuple[ObservedCluster, ...]:
        """All living clusters."""
        return (*self.watched, *self.leaving)

    @property
    def watched(self) -> tuple[ObservedCluster, ...]:
        """The clusters whose Serve applications are looked after."""
        return tuple(c for c in (self.active, self.beside) if c is not None)

    @property
    def beside(self) -> ObservedCluster | None:
        """The other of two clusters between which traffic may be shared."""
        return self.pending if self.retreat is None else self.retreat.pending

    @property
    def pending(self) -> ObservedCluster | None:
        """The candidate while it does not take traffic yet."""
        return None if self.candidate is self.active else self.candidate


def assign_roles(observed: ObservedService, goal: Goal) -> Roles:
    """Tell the clusters apart."""
    active = _by_name(observed, stamped_cluster(observed))
    stamped = active is not None
    if active is None and not is_detached(observed):
        active = next(_fallbacks(observed), None)
    candidate = _candidate(observed, goal, active)
    retreat = next(_retreats(observed, goal, active, candidate), None)
    staying = (active, candidate) if retreat is None else (active, retreat.pending)
    return Roles(
        active=active,
        candidate=candidate if retreat is None else None,
        leaving=tuple(c for c in observed.living if not any(c is one for one in staying)),
        stamped=stamped or active is None,
        retreat=retreat,
    )


def revision_of(observed: ObservedService, goal: Goal) -> RevisionView | None:
    """The goal's revision, once it is written down."""
    return next((revision for revision in observed.revisions if revision.meta.name == goal.revision), None)


def is_begun(observed: ObservedService, goal: Goal) -> bool:
    """Whether it is written down that the goal is aimed at, now or again, and with what it is to be reached by now."""
    revision = revision_of(observed, goal)
    if revision is None:
        return False
    if goal.instead_of is not None:
        return revision.meta.annotations.get(labels.LAST_GOOD) == goal.instead_of.since
    if any(r.number > revision.number for r in observed.revisions):
        return False
    if notes.time_of(revision.meta, labels.STARTED_AT) is None:
        return False
    failure = revision.failure
    return failure is None or None in (failure.means, goal.means) or failure.means == goal.means


def is_given(observed: ObservedService, goal: Goal, cluster: ObservedCluster) -> bool:
    """Whether it is noted on the cluster that it serves the goal. Until then its notes are of another one."""
    return is_begun(observed, goal) and cluster.cluster.meta.annotations.get(labels.REVISION) == goal.revision


def given_up(observed: ObservedService, goal: Goal) -> Failure | None:
    """Why the goal's rollout was given up. When the spec has changed meanwhile, it begins anew."""
    revision = revision_of(observed, goal)
    return None if revision is None or not is_begun(observed, goal) else revision.failure


def last_good(observed: ObservedService) -> RevisionView | None:
    """The revision that comes back if the goal fails while no cluster takes traffic, where one is noted."""
    return next((revision for revision in observed.revisions if labels.LAST_GOOD in revision.meta.annotations), None)


def comes_back(observed: ObservedService, goal: Goal) -> Failure | None:
    """Why the last good revision is aimed at instead of this goal; None where it is not."""
    good = last_good(observed)
    if good is None or good.meta.name == goal.revision or assign_roles(observed, goal).active is not None:
        return None
    return given_up(observed, goal)


def is_detached(observed: ObservedService) -> bool:
    """Whether the serve Service leads nowhere, because the cluster that it led to makes room for the next."""
    return stamped_cluster(observed) == labels.NO_CLUSTER


def stamped_cluster(observed: ObservedService) -> str | None:
    """Name of the cluster that the serve Service was given with its traffic, if ours and stamped.

    KubeRay moves traffic by the selector alone. So a stamp says nothing where that leads to a cluster of KubeRay's.
    """
    service = observed.serve_service
    if service is None or is_conflict(observed):
        return None
    stamp, selected = service.meta.annotations.get(labels.ACTIVE_CLUSTER), _selected(service)
    was_moved = stamp != selected and any(c.name == selected and is_kuberays(c) for c in observed.living)
    return None if was_moved else stamp


def is_conflict(observed: ObservedService) -> bool:
    """Whether somebody else's Service stands under the serve Service's name."""
    service = observed.serve_service
    return service is not None and service.meta.owner != observed.service.meta.uid


def needs_new_cluster(observed: ObservedCluster, goal: Goal) -> tuple[str, ...]:
    """Paths in the RayService's spec that this cluster cannot take in place."""
    return goal.beyond(observed.cluster.spec, ports.serve_options(observed.cluster))


def _candidate(observed: ObservedService, goal: Goal, active: ObservedCluster | None) -> ObservedCluster | None:
    if active is not None and goal.spec.holds_cluster:
        return active
    if active is not None and given_up(observed, goal) is not None:
        return active
    fitting = [c for c in observed.living if not has_ended(c) and not needs_new_cluster(c, goal)]
    if active in fitting:
        return active
    return max(fitting, key=lambda c: c.serving_pods, default=None)


def _retreats(
    observed: ObservedService, goal: Goal, active: ObservedCluster | None, candidate: ObservedCluster | None
) -> Iterator[Sharing]:
    """Where the active cluster is asked for a part of its capacity, and one that shares with it does not go on.

    One of which no pod serves has lost its share already.
    """
    if active is None or labels.CAPACITY not in active.cluster.meta.annotations:
        return
    for cluster in observed.living:
        share = share_of(cluster)
        goes_on = cluster is candidate and is_given(observed, goal, cluster)
        if cluster is active or goes_on or has_ended(cluster) or not cluster.serving_pods:
            continue
        if share is not None and share.percent > 0:
            yield Sharing(active, cluster, share)


def _fallbacks(observed: ObservedService) -> Iterator[ObservedCluster]:
    """Clusters that may be taking traffic though no stamp says so, the likeliest first."""
    if is_conflict(observed):
        return
    if observed.serve_service is not None:
        yield from _named(observed, _selected(observed.serve_service))
    status = observed.service.status.active_service_status
    if status is not None:
        yield from _named(observed, status.ray_cluster_name)
    if observed.serve_service is None and not any(was_routed(c) for c in observed.living):
        return
    living = [c for c in observed.living if not has_ended(c)]
    running = [c for c in living if isinstance(c.serve, ServeStatus) and c.serve.all_running]
    if len(running) == 1:
        yield running[0]
    yield from (c for c in living if was_routed(c))


def was_routed(observed: ObservedCluster) -> bool:
    """Whether the cluster has ever taken traffic."""
    return labels.ROUTED_AT in observed.cluster.meta.annotations


def may_have_served(observed: ObservedCluster) -> bool:
    """Whether clients may cling to the cluster. Of one that KubeRay made nothing says whether it has taken traffic."""
    return was_routed(observed) or labels.REVISION not in observed.cluster.meta.annotations


def has_ended(observed: ObservedCluster) -> bool:
    """Whether the cluster's pods were given up."""
    return labels.ENDED_AT in observed.cluster.meta.annotations


def is_kuberays(observed: ObservedCluster) -> bool:
    """Whether KubeRay wrote the cluster last, and it is yet to be taken over."""
    return observed.cluster.meta.annotations.get(labels.KUBERAY_VERSION, labels.TAKEN_OVER) != labels.TAKEN_OVER


def _selected(service: ServiceView) -> str | None:
    found: str | None = (service.spec.get("selector") or {}).get(labels.CLUSTER)
    return found


def _named(observed: ObservedService, name: str | None) -> Iterator[ObservedCluster]:
    cluster = _by_name(observed, name)
    if cluster is not None:
        yield cluster


def _by_name(observed: ObservedService, name: str | None) -> ObservedCluster | None:
    return next((c for c in observed.living if c.name == name), None)
