"""KubeRay, as far as the operator notices it: what it writes while it leads, and that it says so in its Lease."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels
from scenarios.harness import kuberay as written

from .manifests import Json, copied, merged, name_of, uid_of
from .rules import NAME
from .virtual_time import wait
from .world import World

RENEWED_EVERY = 2.0
PODS_START = 20.0
"""Long enough for pods and proxies."""


class KubeRay:
    """KubeRay in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.addresses = False
        """Whether its head Services have addresses."""
        self._timer: asyncio.TimerHandle | None = None

    def lead(self) -> None:
        """Renew the Lease, now and from now on."""
        self.world.leases = [written.lease(self.world.stamp())]
        self._timer = asyncio.get_running_loop().call_later(RENEWED_EVERY, self.lead)

    def stop(self) -> None:
        """Do nothing more; the Lease stays as it is."""
        if self._timer is not None:
            self._timer.cancel()

    async def serve(self, *names: str) -> None:
        """Bring the RayService to one cluster after the other, the last of which gets the traffic."""
        for name in names:
            cluster = await self._make_cluster(name)
            self._point_at(cluster)
            self.tell(name)

    def tell(self, active: str) -> None:
        """Take the RayService up and write its status, as in every pass."""
        service = self._service
        generation = service["metadata"]["generation"]
        status = written.service_status(active, generation=generation, endpoints=len(self.world.serving_pods(active)))
        finalizers = {"metadata": {"finalizers": [written.FINALIZER]}}
        self.world.put(Kind.RAY_SERVICE, {**merged(service, finalizers), "status": status})

    def bring_up_to_date(self, active: str) -> None:
        """What it does to a cluster that another version has noted: the whole spec anew, in place, with a new hash."""
        found = self.world.find(Kind.RAY_CLUSTER, active)
        assert found is not None
        assert found["metadata"]["annotations"].get(labels.KUBERAY_VERSION) != written.VERSION, "it would roll"
        wanted = written.ray_cluster(self._service, active)
        noted = {"metadata": {"annotations": wanted["metadata"]["annotations"]}}
        self.world.put(Kind.RAY_CLUSTER, {**merged(found, noted), "spec": wanted["spec"]})

    @property
    def _service(self) -> Json:
        found = self.world.find(Kind.RAY_SERVICE, NAME)
        assert found is not None
        return found

    async def _make_cluster(self, name: str) -> Json:
        world = self.world
        cluster = world.put(Kind.RAY_CLUSTER, written.ray_cluster(self._service, name))
        [head_service, *_] = self._services(cluster)
        world.put(Kind.SERVICE, head_service)
        if cluster["spec"].get("enableInTreeAutoscaling"):
            for manifest in written.rights(cluster):
                world.put(Kind(manifest["kind"]), manifest)
        head = world.put(Kind.POD, written.head_pod(cluster))
        for worker in written.workers(cluster):
            world.put(Kind.POD, worker)
        await wait(PODS_START)
        config = parse_serve_config(self._service["spec"]["serveConfigV2"])
        world.heads[uid_of(head)].put(config, world.seconds)
        world.stir()
        await wait(PODS_START)
        self._let_in(name_of(head))
        return cluster

    def _services(self, cluster: Mapping[str, Any]) -> list[Json]:
        return list(written.services(self._service, cluster, addresses=self.addresses))

    def _let_in(self, head: str) -> None:
        found = self.world.find(Kind.POD, head)
        assert found is not None
        assert self.world.proxy_answers(found)
        self.world.put(Kind.POD, merged(found, {"metadata": {"labels": {labels.SERVE: "true"}}}))

    def _point_at(self, cluster: Mapping[str, Any]) -> None:
        """Create the stable Services, or give them another spec; their metadata stay as they are."""
        _, *stable = self._services(cluster)
        for wanted in stable:
            found = self.world.find(Kind.SERVICE, name_of(wanted))
            self.world.put(Kind.SERVICE, {**found, "spec": copied(wanted["spec"])} if found else wanted)
