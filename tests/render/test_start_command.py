"""The flags of `ray start`, and the command around them."""

# ruff: noqa: S104 (what stands inside containers)

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels
from rayserve_operator.render.node import Node
from rayserve_operator.render.options import RenderOptions
from rayserve_operator.render.start_command import container_command, start_command, start_params

MakeCluster = Callable[..., RayCluster]

HEAD = {
    "block": "true",
    "dashboard-agent-listen-port": "52365",
    "dashboard-host": "0.0.0.0",
    "metrics-export-port": "8080",
}
WORKER = {
    "address": "rc-head-svc.ns.svc.cluster.local:6379",
    "block": "true",
    "dashboard-agent-listen-port": "52365",
    "metrics-export-port": "8080",
}


def head(cluster: RayCluster, **options: Any) -> Node:
    return Node(cluster, cluster.spec.head_group_spec, RenderOptions(**options))


def worker(cluster: RayCluster, **options: Any) -> Node:
    return Node(cluster, cluster.spec.worker_group_specs[0], RenderOptions(**options))


def test_defaults(make_cluster: MakeCluster) -> None:
    assert start_params(head(make_cluster())) == HEAD
    assert start_params(worker(make_cluster())) == WORKER
    assert start_params(worker(make_cluster(), cluster_domain="corp"))["address"] == "rc-head-svc.ns.svc.corp:6379"


def test_the_autoscaler_of_the_head_is_not_started_twice(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(enableInTreeAutoscaling=True)
    assert start_params(head(cluster)) == {**HEAD, "no-monitor": "true"}
    assert start_params(worker(cluster)) == WORKER


@pytest.mark.parametrize(
    ("params", "group", "expected"),
    [
        ({"num-cpus": "0"}, {}, {"num-cpus": "0", "resources": '\'{"TPU":4}\''}),
        ({"block": "false"}, {}, {"num-cpus": "3", "resources": '\'{"TPU":4}\''}),
        ({"resources": '"{\\"A\\": 1}"'}, {}, {"num-cpus": "3", "resources": '\'{"A":1,"TPU":4}\''}),
        ({"resources": '\'{"TPU": 1}\''}, {}, {"num-cpus": "3", "resources": '\'{"TPU":1}\''}),
        ({"resources": "$MINE"}, {}, {"num-cpus": "3", "resources": "$MINE"}),
        ({"num-cpus": "1"}, {"resources": {"cpu": "2"}}, {"num-cpus": "2", "resources": '\'{"TPU":4}\''}),
        ({"resources": "{}"}, {"resources": {"x": "1"}}, {"num-cpus": "3", "resources": '\'{"x":1}\''}),
        ({}, {"labels": {"b": "2", "a": "1"}},
         {"num-cpus": "3", "resources": '\'{"TPU":4}\'', "labels": "a=1,b=2"}),
    ],
)  # fmt: skip
def test_who_wins(
    make_cluster: MakeCluster, params: dict[str, str], group: dict[str, Any], expected: dict[str, str]
) -> None:
    container = {"resources": {"limits": {"cpu": "3", "google.com/tpu": "4"}}}
    cluster = make_cluster(container=container, group={"rayStartParams": params, **group})
    assert start_params(worker(cluster)) == {**WORKER, **expected}


def test_the_ports_of_the_head_lead_the_workers(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(group={"rayStartParams": {"port": "7000"}})
    assert start_params(worker(cluster))["address"].endswith(":7000")


def test_redis_credentials_come_from_the_environment(make_cluster: MakeCluster) -> None:
    redis = {"redisAddress": "redis:6379", "redisUsername": {"value": "u"}, "redisPassword": {"value": "p"}}
    cluster = make_cluster(gcsFaultToleranceOptions=redis)
    assert start_params(head(cluster)) == {
        **HEAD,
        "redis-username": "$REDIS_USERNAME",
        "redis-password": "$REDIS_PASSWORD",
    }
    assert start_params(worker(cluster)) == WORKER


def test_spelling_of_flags(make_cluster: MakeCluster) -> None:
    params = {"verbose": "true", "quiet": "false", "include-dashboard": "false", "log-color": "true", "temp-dir": "/x"}
    command = start_command(head(make_cluster(group={"rayStartParams": params})))
    assert command == (
        "ray start --head --block --dashboard-agent-listen-port=52365 --dashboard-host=0.0.0.0"
        " --include-dashboard=false --log-color=true --metrics-export-port=8080 --temp-dir=/x --verbose"
    )


def test_json_survives_the_shell(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(group={"resources": {"it's": "1"}})
    assert shlex.split(start_command(worker(cluster)))[-1] == '--resources={"it\'s":1}'


ULIMIT = "ulimit -n ${RAY_START_ULIMIT_OPEN_FILES:-65536}; exec ray start"


@pytest.mark.parametrize(
    ("container", "begins"),
    [
        ({}, ULIMIT),
        ({"command": ["echo", "hi"]}, f"echo hi && {ULIMIT}"),
        ({"args": ["a", "b"]}, f"a b && {ULIMIT}"),
        ({"command": ["x"], "args": ["y"]}, f"x y && {ULIMIT}"),
    ],
)
def test_the_users_command_runs_first(make_cluster: MakeCluster, container: dict[str, Any], begins: str) -> None:
    made = container_command(head(make_cluster(container=container)))
    assert made["command"] == ["/bin/bash", "-c", "--"]
    assert len(made["args"]) == 1
    assert made["args"][0].startswith(begins)


def test_a_user_who_starts_ray_is_left_alone(make_cluster: MakeCluster) -> None:
    own = {"command": ["bash"], "args": ["-c", "ray start --head --block"]}
    assert container_command(head(make_cluster(container=own))) == own
    kept = make_cluster(container={"command": ["mine"]}, annotations={labels.OVERWRITE_COMMAND: "true"})
    assert container_command(head(kept)) == {"command": ["mine"]}


def test_login_shell(make_cluster: MakeCluster) -> None:
    assert container_command(head(make_cluster(), login_shell=True))["command"][1] == "-cl"
