"""The composition root: settings, clients, engine, kopf."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import kopf
from prometheus_client import CollectorRegistry

from rayserve_operator import __version__
from rayserve_operator.adapters import logs
from rayserve_operator.adapters.census import Census
from rayserve_operator.adapters.clock import SystemClock
from rayserve_operator.adapters.counting import Counts
from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.adapters.ray import RayApi
from rayserve_operator.adapters.web import Endpoints
from rayserve_operator.adapters.webhook import Webhook
from rayserve_operator.engine.certificates import Keeper
from rayserve_operator.engine.dry_runs import tried
from rayserve_operator.engine.election import Election
from rayserve_operator.engine.operator import Operator
from rayserve_operator.handlers import watching
from rayserve_operator.planning.admission import review
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.settings import Settings

USER_AGENT = f"rayserve-operator/{__version__}"


def main() -> None:
    """Run the operator until it is told to stop. Settings come from the environment, see `settings`."""
    try:
        settings = Settings.read(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    logs.begin(settings.log_level, settings.log_format)

    async def assemble() -> tuple[Operator, Callable[[], Awaitable[None]]]:
        exposed = CollectorRegistry()
        counts = Counts(exposed)
        kube = await KubeApi.connect(settings.watch_namespaces, USER_AGENT, counts.asked_kubernetes)
        ray = RayApi(USER_AGENT, counts.asked_ray)
        options = RenderOptions(
            cluster_domain=settings.cluster_domain,
            container_env=settings.default_container_env,
            batch_scheduler=settings.batch_scheduler,
            operator_namespace=settings.operator_namespace,
        )
        # The Lease has a connection of its own, so that its renewal waits behind no other request.
        lease = await KubeApi.connect((), USER_AGENT, counts.asked_kubernetes)
        operator = Operator(
            kube,
            ray,
            SystemClock(),
            options,
            node_lost_after=timedelta(seconds=settings.node_lost_after),
            manage=settings.manage,
            shard=settings.shard,
            election=_election(settings, lease),
            meter=counts,
        )
        exposed.register(Census(operator))
        endpoints = Endpoints(exposed, is_alive=lambda: operator.is_alive, is_ready=lambda: operator.is_ready)
        # So do the pods that reviews have tried: who applies much holds up no pass.
        trials = await KubeApi.connect((), USER_AGENT, counts.asked_kubernetes)
        webhook = Webhook(
            lambda asked: review(asked, operator.passes.custody, options),
            partial(tried, trials),
            settings.webhook_port,
            counts.reviewed,
        )
        keeper = _keeper(settings, kube, webhook)

        async def disconnect() -> None:
            if keeper is not None:
                await keeper.close()
            await webhook.close()
            await endpoints.close()
            await ray.close()
            await kube.close()
            await lease.close()
            await trials.close()

        try:
            await endpoints.open(settings.health_port)
            if keeper is not None:
                keeper.open()
            await operator.open()
        except BaseException:
            await disconnect()
            raise
        # What there is by now mostly stays for good: the garbage collector, which stops everything, passes it over.
        gc.freeze()
        return operator, disconnect

    registry = kopf.OperatorRegistry()
    watching.register(registry, assemble)
    kopf.run(
        registry=registry,
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
    )


def _election(settings: Settings, kube: KubeApi) -> Election | None:
    """What decides whether this replica acts; None where it is the only one."""
    if settings.lease_name is None or settings.operator_namespace is None:
        return None
    # Whoever has lost the Lease ends on the spot: what it had under way must not go on beside the next leader's work.
    end = partial(os._exit, 1)
    return Election(kube, SystemClock(), settings.operator_namespace, settings.lease_name, settings.identity, end)


def _keeper(settings: Settings, kube: KubeApi, webhook: Webhook) -> Keeper | None:
    """What brings the webhook its certificate; None where there is to be no webhook."""
    name, namespace = settings.webhook_name, settings.operator_namespace
    if name is None or namespace is None:
        return None
    # What makes certificates takes 8 MB.
    from rayserve_operator.adapters.certificates import X509  # noqa: PLC0415

    host = f"{name}.{namespace}.svc"
    return Keeper(kube, SystemClock(), X509(), webhook.show, namespace, name, host, settings.webhook_configuration)


if __name__ == "__main__":
    main()
