"""Whether an installed operator is at work, for `helm test`. Asks the API server with the operator's own rights."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from rayserve_operator.adapters.clock import SystemClock
from rayserve_operator.adapters.kube import KubeApi
from rayserve_operator.engine.ports import Kube
from rayserve_operator.model.errors import NotFound, OperatorError
from rayserve_operator.model.lease import NOBODY, Record
from rayserve_operator.planning.actions import Kind
from rayserve_operator.settings import Settings

RECENT = timedelta(minutes=1)
"""A Lease that was not renewed for longer has no leader, however different the clocks of two nodes may be."""


async def troubles(kube: Kube, settings: Settings, now: datetime) -> AsyncIterator[str]:
    """What keeps the operator from its work, in words."""
    for kind in (Kind.RAY_SERVICE, Kind.RAY_CLUSTER):
        try:
            await kube.living(kind)
        except OperatorError as error:
            yield f"{kind}s cannot be listed: {error}"
    if settings.lease_name is None:
        return
    try:
        lease = Record.parse(await kube.get(Kind.LEASE, settings.operator_namespace or "", settings.lease_name))
    except NotFound:
        yield f"no operator has ever taken the Lease {settings.lease_name}"
        return
    if lease.holder == NOBODY or now - datetime.fromisoformat(lease.renewed) > RECENT:
        yield f"no operator holds the Lease {settings.lease_name}; {lease.holder or 'nobody'} did until {lease.renewed}"


async def check(settings: Settings) -> list[str]:
    """All troubles of the operator that has these settings."""
    kube = await KubeApi.connect(settings.watch_namespaces, "rayserve-operator-check")
    try:
        return [trouble async for trouble in troubles(kube, settings, SystemClock().now())]
    finally:
        await kube.close()


if __name__ == "__main__":
    sys.exit("\n".join(asyncio.run(check(Settings.read(os.environ)))) or None)
