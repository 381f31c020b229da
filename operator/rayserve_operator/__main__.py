"""The composition root: settings, clients, engine, kopf."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import kopf
from typing_extensions import override

from rayserve_operator import __version__
from rayserve_operator.adapters.clock import SystemClock
from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.adapters.ray import RayApi
from rayserve_operator.engine.election import Election
from rayserve_operator.engine.operator import Operator
from rayserve_operator.handlers import watching
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.settings import Settings

USER_AGENT = f"rayserve-operator/{__version__}"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main() -> None:
    """Run the operator until it is told to stop. Settings come from the environment, see `settings`."""
    try:
        settings = Settings.read(os.environ)
    except ValueError as error:
        sys.exit(str(error))
    _log(settings)

    async def assemble() -> tuple[Operator, Callable[[], Awaitable[None]]]:
        kube = await KubeApi.connect(settings.watch_namespaces, USER_AGENT)
        ray = RayApi(USER_AGENT)
        options = RenderOptions(
            cluster_domain=settings.cluster_domain,
            container_env=settings.default_container_env,
            batch_scheduler=settings.batch_scheduler,
            operator_namespace=settings.operator_namespace,
        )
        # The Lease has a connection of its own, so that its renewal waits behind no other request.
        lease = await KubeApi.connect((), USER_AGENT)
        operator = Operator(
            kube,
            ray,
            SystemClock(),
            options,
            timedelta(seconds=settings.node_lost_after),
            shard=settings.shard,
            election=_election(settings, lease),
        )

        async def disconnect() -> None:
            await ray.close()
            await kube.close()
            await lease.close()

        try:
            await operator.open()
        except BaseException:
            await disconnect()
            raise
        return operator, disconnect

    registry = kopf.OperatorRegistry()
    watching.register(registry, assemble)
    kopf.run(
        registry=registry,
        standalone=True,
        clusterwide=not settings.watch_namespaces,
        namespaces=settings.watch_namespaces,
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
    )


def _election(settings: Settings, kube: KubeApi) -> Election | None:
    """What decides whether this replica acts; None where it is the only one."""
    if settings.lease_name is None or settings.operator_namespace is None:
        return None
    # Whoever has lost the Lease ends on the spot: what it had under way must not go on beside the next leader's work.
    end = partial(os._exit, 1)
    return Election(kube, SystemClock(), settings.operator_namespace, settings.lease_name, settings.identity, end)


def _log(settings: Settings) -> None:
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    handler.setFormatter(JsonLines() if settings.log_format == "json" else text)
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
