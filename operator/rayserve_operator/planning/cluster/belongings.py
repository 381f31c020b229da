"""What a RayCluster has beside its pods: Services, rights of the autoscaler, storage, policies, a disruption budget.

All of it is applied when it is missing or not as it should be, and what is no longer wanted is deleted, but never what
holds data or what somebody else made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from rayserve_operator.model.scale import hosts
from rayserve_operator.planning.actions import Announcement, Apply, Delete, Kind, Patch, Step
from rayserve_operator.planning.cluster import budget
from rayserve_operator.planning.drift import disown, drifted, fitted, has_drifted, stamped
from rayserve_operator.planning.observed import BelongingView, ObservedRayCluster, ServiceView
from rayserve_operator.render import disruption, gang, ingress, labels, network_policies, rbac, services, storage, tls
from rayserve_operator.render.options import RenderOptions

_REMOVABLE = frozenset({Kind.NETWORK_POLICY, Kind.INGRESS, Kind.BUDGET, Kind.POD_GROUP, Kind.VOLCANO_POD_GROUP})
_ROLES = (labels.HEAD, labels.WORKER)
_BESIDE = frozenset({Kind.INGRESS, Kind.BUDGET})
"""Kinds without which a cluster works as well."""
_MADE_ONCE = frozenset({Kind.CLAIM})
"""Kinds whose spec cannot change once they are there."""


class Keeping(NamedTuple):
    """What brings everything but the pods into order."""

    needed: tuple[Step, ...]
    """What no pod may start without."""
    beside: Step


def keep(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Keeping:
    """Compare what there is with what there is to be."""
    actions = (*_keep_services(observed), *_keep_others(observed, options, now))
    beside = tuple(action for action in actions if isinstance(action, Delete) or action.kind in _BESIDE)
    # The API server gives a Role only where there is one.
    bindings = tuple(action for action in actions if action.kind is Kind.ROLE_BINDING)
    return Keeping((tuple(action for action in actions if action not in (*beside, *bindings)), bindings), beside)


def _keep_others(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Iterator[Apply | Delete]:
    live = {(belonging.kind, belonging.meta.name): belonging for belonging in observed.belongings}
    for manifest in map(stamped, _wanted(observed, options, now)):
        kind = _kind_of(manifest)
        found = live.pop((kind, manifest["metadata"]["name"]), None)
        if found is None or (kind not in _MADE_ONCE and has_drifted(found.meta, found.content, manifest)):
            yield Apply(kind=kind, manifest=manifest, is_first=found is None)
    yield from _remove(view for view in live.values() if view.kind in _REMOVABLE)


def _kind_of(manifest: Mapping[str, Any]) -> Kind:
    is_volcanos = manifest["apiVersion"].startswith("scheduling.volcano.sh/")
    return Kind.VOLCANO_POD_GROUP if is_volcanos else Kind(manifest["kind"])


def _wanted(observed: ObservedRayCluster, options: RenderOptions, now: datetime) -> Iterator[Mapping[str, Any]]:
    cluster = observed.cluster
    if cluster.spec.autoscaling:
        account = rbac.service_account(cluster)
        yield from (manifest for manifest in (account, rbac.role(cluster), rbac.role_binding(cluster)) if manifest)
    alone = (storage.gcs_claim(cluster), ingress.head_ingress(cluster), gang.pod_group(cluster, options))
    yield from (manifest for manifest in alone if manifest)
    yield from network_policies.network_policies(cluster, operator_namespace=options.operator_namespace)
    yield from tls.certificates(cluster, options, {role: _named_ips(observed, role) for role in _ROLES})
    fewest = budget.min_available(observed, now)
    if fewest is not None:
        yield disruption.worker_budget(cluster, fewest)


def _named_ips(observed: ObservedRayCluster, role: str) -> frozenset[str]:
    """The addresses that the certificate of a role has to name.

    Every change means a new certificate, and a minute until the kubelets have brought it to all pods. So the address
    of a pod that is gone stays named until another has to be added anyway.
    """
    known = {(b.kind, b.meta.name): b.content.get("spec") or {} for b in observed.belongings}
    live = known.get((Kind.CERTIFICATE, tls.certificate_name(observed.cluster, role)), {})
    named = frozenset(live.get("ipAddresses") or ())
    pods = observed.heads if role == labels.HEAD else observed.workers
    present = frozenset(pod.ip for pod in pods if pod.ip and pod.alive)
    return named if present.issubset(named) else present


def _keep_services(observed: ObservedRayCluster) -> Iterator[Apply | Delete | Patch]:
    live = dict(observed.services)
    for manifest in map(stamped, _wanted_services(observed)):
        found = live.pop(manifest["metadata"]["name"], None)
        possible = manifest if found is None else fitted(found, manifest)
        if found is None or drifted(found, possible):
            yield Apply(kind=Kind.SERVICE, manifest=possible, is_first=found is None)
        elif (patch := disown(found)) is not None:
            yield patch
    yield from _remove(live.values())


def _wanted_services(observed: ObservedRayCluster) -> Iterator[Mapping[str, Any]]:
    cluster = observed.cluster
    yield services.cluster_head_service(cluster)
    if any(hosts(group) > 1 for group in cluster.spec.worker_group_specs):
        yield services.headless_worker_service(cluster)
    noted = cluster.meta.annotations
    if noted.get(labels.ENABLE_SERVE_SERVICE) == "true" or labels.ROUTE in noted:
        yield services.cluster_serve_service(cluster)


def _remove(unwanted: Iterable[BelongingView | ServiceView]) -> Iterator[Delete]:
    for view in unwanted:
        meta, kind = view.meta, view.kind if isinstance(view, BelongingView) else Kind.SERVICE
        if labels.APPLIED in meta.annotations and not meta.deleting:
            word = kind.partition(" ")[0]
            told = Announcement(f"Deleted{word}", f"Deleted {kind} {meta.name}: it is no longer wanted")
            yield Delete(kind=kind, name=meta.name, uid=meta.uid, announce=told)
