from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from rayserve_operator.check import RECENT, troubles
from rayserve_operator.engine import lease
from rayserve_operator.engine.ports import Kube
from rayserve_operator.model.errors import NotFound, OperatorError
from rayserve_operator.model.lease import Record
from rayserve_operator.planning.actions import Kind
from rayserve_operator.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ELECTING = Settings(lease_name="operator", operator_namespace="system")


class Api:
    def __init__(self, record: Record | None = None, *, knows_the_kinds: bool = True) -> None:
        self.record = record
        self.knows_the_kinds = knows_the_kinds

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        if self.record is None:
            raise NotFound(name)
        return {"metadata": {"resourceVersion": "1"}, "spec": self.record.spec()}

    async def living(self, kind: Kind) -> None:
        if not self.knows_the_kinds:
            raise OperatorError("no such kind")


async def found(api: Api, settings: Settings) -> str:
    return "\n".join([trouble async for trouble in troubles(cast("Kube", api), settings, NOW)])


HELD = lease.claimed(None, "a", NOW - RECENT / 2)


@pytest.mark.parametrize(
    ("api", "settings", "trouble"),
    [
        (Api(HELD), ELECTING, ""),
        (Api(), Settings(), ""),
        (Api(HELD, knows_the_kinds=False), ELECTING, "RayServices cannot be listed: no such kind\nRayClusters"),
        (Api(), ELECTING, "ever taken"),
        (Api(lease.released(HELD, NOW)), ELECTING, "nobody did"),
        (Api(lease.claimed(HELD, "a", NOW - timedelta(hours=1))), ELECTING, "a did until 2025-12-31T23:00"),
    ],
)
async def test_what_is_wrong_is_told(api: Api, settings: Settings, trouble: str) -> None:
    told = await found(api, settings)
    assert trouble in told
    assert bool(told) == bool(trouble)
