from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.unsupported import unsupported_in_service

TEMPLATE = {"spec": {"containers": [{"name": "ray"}]}}
HEAD = {"template": TEMPLATE}


@pytest.mark.parametrize(
    ("strategy", "named"),
    [
        ({}, ()),
        ({"type": "None"}, ()),
        (
            {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": {"maxSurgePercent": 100}},
            (),
        ),
        (
            {
                "type": "NewClusterWithIncrementalUpgrade",
                "clusterUpgradeOptions": {"gatewayClassName": "x", "maxSurgePercent": 20},
            },
            ("spec.upgradeStrategy.clusterUpgradeOptions.maxSurgePercent (it needs enableInTreeAutoscaling)",),
        ),
    ],
)
def test_what_has_no_effect_is_named(strategy: dict[str, Any], named: tuple[str, ...]) -> None:
    spec = {"rayClusterConfig": {"headGroupSpec": HEAD}, "upgradeStrategy": strategy}
    assert unsupported_in_service(RayServiceSpec.model_validate(spec)) == named


def test_a_surge_has_its_effect_where_the_worker_groups_are_scaled() -> None:
    options = {"stepSizePercent": 10, "intervalSeconds": 5, "maxSurgePercent": 20}
    strategy = {"type": "NewClusterWithIncrementalUpgrade", "clusterUpgradeOptions": options}
    config = {"headGroupSpec": HEAD, "enableInTreeAutoscaling": True}
    spec = RayServiceSpec.model_validate({"rayClusterConfig": config, "upgradeStrategy": strategy})
    assert unsupported_in_service(spec) == ()
