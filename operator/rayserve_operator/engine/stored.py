"""What the store shows of a RayService, before anybody is asked."""

from __future__ import annotations

from dataclasses import replace

from rayserve_operator.engine.store import ServiceRecord, Store
from rayserve_operator.model.objects import RayService
from rayserve_operator.planning.observed import ObservedCluster, ObservedService
from rayserve_operator.planning.service.goal import Goal
from rayserve_operator.render import names


def stored_service(store: Store, record: ServiceRecord, goal: Goal) -> ObservedService:
    """A RayService with all of its that is stored. Raises InvalidSpec if one of its clusters cannot be read."""
    meta = record.meta
    service = RayService(meta, goal.spec, record.status)
    observed = ObservedService(
        service=service,
        clusters=tuple(
            ObservedCluster(found.read(), tuple(store.pods_of(meta.namespace, found.meta.name)))
            for found in store.clusters_of(meta.uid)
        ),
        revisions=tuple(store.revisions_of(meta.uid)),
        serve_service=store.kube_service(meta.namespace, names.serve_service_name(service)),
        head_service=store.kube_service(meta.namespace, names.stable_head_service_name(meta.name)),
        preview_service=store.kube_service(meta.namespace, names.preview_service_name(meta.name)),
    )
    known = {view.meta.uid for view in observed.stable_services}
    strays = (view for view in store.services_of(meta.uid) if view.meta.uid not in known)
    return replace(observed, strays=tuple(strays))
