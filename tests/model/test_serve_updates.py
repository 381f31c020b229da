from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.model.serve import ServeConfig
from rayserve_operator.model.serve_updates import Effect, updates

BASE: dict[str, Any] = {
    "name": "app",
    "import_path": "app:x",
    "deployments": [
        {"name": "D", "num_replicas": 2},
        {"name": "S", "autoscaling_config": {"min_replicas": 1, "max_replicas": 4}},
    ],
}


def config(*apps: dict[str, Any], **options: Any) -> ServeConfig:
    return ServeConfig({"applications": list(apps), **options})


def found(before: ServeConfig, after: ServeConfig) -> list[tuple[str, str | None, str]]:
    return [(one.application, one.deployment, str(one.effect)) for one in updates(before.as_deployed, after)]


def edited(**changes: Any) -> dict[str, Any]:
    return {**BASE, **changes}


def deployment(index: int, **changes: Any) -> dict[str, Any]:
    return edited(deployments=[{**one, **changes} if n == index else one for n, one in enumerate(BASE["deployments"])])


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (BASE, []),
        (deployment(0, num_replicas=3), [("D", "scaled")]),
        (deployment(0, max_queued_requests=9, max_surge_percent=100), [("D", "scaled")]),
        (deployment(1, autoscaling_config={"min_replicas": 2, "max_replicas": 9}), [("S", "scaled")]),
        (
            deployment(1, autoscaling_config={"min_replicas": 1, "max_replicas": 4, "look_back_period_s": 5}),
            [("S", "reconfigured")],
        ),
        (deployment(0, user_config={"a": 1}), [("D", "reconfigured")]),
        (deployment(0, max_ongoing_requests=9, num_replicas=3), [("D", "reconfigured")]),
        (deployment(0, health_check_period_s=1), [("D", "reconfigured")]),
        (deployment(0, ray_actor_options={"num_cpus": 2}, user_config={}), [("D", "replaced")]),
        (deployment(0, max_replicas_per_node=1), [("D", "replaced")]),
        (edited(route_prefix="/x"), [(None, "reconfigured")]),
        (edited(route_prefix=None), [(None, "reconfigured")]),
        (edited(import_path="app:y"), [(None, "replaced")]),
        (edited(args={"a": 1}), [(None, "replaced")]),
        (edited(runtime_env={"env_vars": {"A": "1"}}), [(None, "replaced")]),
        (deployment(0, num_replicas=None, autoscaling_config={"max_replicas": 3}), [(None, "replaced")]),
        (deployment(1, autoscaling_config=None), [(None, "replaced")]),
        (deployment(1, request_router_config={"request_router_class": "r:R"}), [(None, "replaced")]),
        (edited(deployments=BASE["deployments"][::-1]), []),
        (edited(deployments=BASE["deployments"][1:]), [("D", "scaled")]),
    ],
)
def test_ray_does_the_least_that_an_option_allows(app: dict[str, Any], expected: list[tuple[str | None, str]]) -> None:
    assert found(config(BASE), config(app)) == [("app", *one) for one in expected]


def test_applications_come_and_go_as_a_whole() -> None:
    other = {"name": "other", "import_path": "other:x"}
    assert found(config(BASE), config(other)) == [("app", None, "ended"), ("other", None, "started")]


def test_a_share_of_capacity_scales_all() -> None:
    assert found(config(BASE), config(BASE, target_capacity=50)) == [("app", None, "scaled")]


def test_logging_of_all_is_that_of_each_application() -> None:
    assert found(config(BASE), config(BASE, logging_config={"log_level": "DEBUG"})) == [("app", None, "reconfigured")]


def test_every_path_is_told_though_one_of_them_decides() -> None:
    [update] = updates(config(BASE).as_deployed, config(deployment(0, num_replicas=3, user_config={"a": 1})))
    assert (update.effect, update.paths) == (Effect.RECONFIGURED, ("num_replicas", "user_config"))
