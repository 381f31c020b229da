from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceSpec
from rayserve_operator.model.unsupported import unsupported_in_service

TEMPLATE = {"spec": {"containers": [{"name": "ray"}]}}
HEAD = {"template": TEMPLATE}


@pytest.mark.parametrize(
    ("fields", "config", "named"),
    [
        ({}, {}, ()),
        ({"suspend": True}, {}, ("spec.suspend",)),
        ({"suspend": False}, {"authOptions": {"mode": "disabled"}}, ()),
        ({}, {"authOptions": {"mode": "token"}}, ("spec.rayClusterConfig.authOptions",)),
        ({}, {"gcsFaultToleranceOptions": {}}, ("spec.rayClusterConfig.gcsFaultToleranceOptions",)),
        ({}, {"networkPolicy": {}, "tlsOptions": {}}, ("spec.rayClusterConfig.networkPolicy",)),
        (
            {},
            {"headGroupSpec": {**HEAD, "enableIngress": True}},
            ("spec.rayClusterConfig.headGroupSpec.enableIngress",),
        ),
    ],
)
def test_what_has_no_effect_is_named(fields: dict[str, Any], config: dict[str, Any], named: tuple[str, ...]) -> None:
    spec = {"rayClusterConfig": {"headGroupSpec": HEAD, **config}, **fields}
    assert unsupported_in_service(RayServiceSpec.model_validate(spec)) == named
