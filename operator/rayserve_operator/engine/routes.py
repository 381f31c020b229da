"""Asks the API server for the Gateway and the HTTPRoutes of a RayService whose traffic they share.

They are asked for and not watched: few RayServices have any, one of the user's bears no label by which a watch could be
narrowed, and an API that is installed later is found without a restart.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.store import Store
from rayserve_operator.model.errors import NotFound, NotServed, Refused
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import GatewayView, ObservedService, Routing
from rayserve_operator.planning.service import routes
from rayserve_operator.planning.service.roles import Roles
from rayserve_operator.render import names


@dataclass(frozen=True, slots=True)
class Routes:
    """Where the traffic of RayServices is led from outside."""

    kube: Kube
    store: Store

    async def add(self, observed: ObservedService, roles: Roles) -> ObservedService:
        """Add what is found, where it matters."""
        wanted = sorted(routes.names_of(observed))
        if not wanted:
            return observed
        namespace = observed.service.meta.namespace
        try:
            gateway, *found = await asyncio.gather(
                self._find(Kind.GATEWAY, namespace, names.gateway_name(observed.service.meta.name)),
                *(self._find(Kind.HTTP_ROUTE, namespace, name) for name in wanted),
            )
        except NotServed:
            return replace(observed, routing=Routing(is_served=False))
        except Refused as refusal:
            return replace(observed, routing=Routing(silence=str(refusal)))
        known = Routing(gateway=gateway, routes=dict(zip(wanted, found, strict=True)))
        observed = replace(observed, routing=known)
        services = frozenset(name for name in routes.backends_of(observed) if self.store.kube_service(namespace, name))
        in_question = routes.needs_endpoints(observed, roles)
        reached = await asyncio.gather(*(self._reaches(namespace, cluster.name) for cluster in in_question))
        names_reached = frozenset(c.name for c, reaches in zip(in_question, reached, strict=True) if reaches)
        return replace(observed, routing=replace(known, services=services, reached=names_reached))

    async def _find(self, kind: Kind, namespace: str, name: str) -> GatewayView | None:
        try:
            return GatewayView.parse(await self.kube.get(kind, namespace, name))
        except NotServed:
            raise
        except NotFound:
            return None

    async def _reaches(self, namespace: str, cluster: str) -> bool:
        """Whether the cluster's own serve Service leads to pods."""
        service = names.cluster_serve_service_name(cluster)
        if self.store.kube_service(namespace, service) is None:
            return False
        return bool(await self.kube.endpoints(namespace, service))
