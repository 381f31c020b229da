"""Which probe asks whom."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

MakePod = Callable[..., dict[str, Any]]

SERVES = {labels.FROM_CRD: "RayService"}
RAYLET = {"path": "/api/local_raylet_healthz", "port": 52365}
PROXY = {"path": "/-/healthz", "port": 8000}


def readiness(pod: dict[str, Any]) -> Any:
    return pod["spec"]["containers"][0]["readinessProbe"]["httpGet"]


def made_for(**options: Any) -> dict[str, str]:
    return {labels.SERVE_OPTIONS: json.dumps(options)}


def test_a_worker_of_a_service_is_ready_when_its_proxy_is(make_worker: MakePod, make_head: MakePod) -> None:
    assert readiness(make_worker(labels=SERVES)) == PROXY
    assert readiness(make_head(labels=SERVES)) == RAYLET
    assert readiness(make_worker()) == RAYLET


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, PROXY),
        ({"proxy_location": "EveryNode"}, PROXY),
        ({"proxy_location": "HeadOnly"}, RAYLET),
        ({"proxy_location": "Disabled"}, RAYLET),
        ({"http_options": {"port": 9000}}, {**PROXY, "port": 9000}),
        ({"http_options": {"ssl_certfile": "/c"}}, {**PROXY, "scheme": "HTTPS"}),
    ],
)
def test_the_options_of_serve_tell_where_its_proxies_are(
    make_worker: MakePod, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert readiness(make_worker(labels=SERVES, annotations=made_for(**options))) == expected


def test_a_port_named_serve_wins(make_worker: MakePod) -> None:
    ports = {"ports": [{"name": "serve", "containerPort": 8123}]}
    pod = make_worker(labels=SERVES, container=ports, annotations=made_for(http_options={"port": 9000}))
    assert readiness(pod)["port"] == 8123


def test_the_agents_port_follows_its_flag(make_head: MakePod) -> None:
    pod = make_head(group={"rayStartParams": {"dashboard-agent-listen-port": "1234"}})
    assert readiness(pod)["port"] == 1234


def test_the_users_probes_stay(make_worker: MakePod) -> None:
    mine = {"exec": {"command": ["true"]}}
    ray = make_worker(labels=SERVES, container={"readinessProbe": mine})["spec"]["containers"][0]
    assert ray["readinessProbe"] == mine
    assert ray["livenessProbe"]["httpGet"] == RAYLET
    assert ray["startupProbe"]["httpGet"] == RAYLET


def test_probes_can_be_left_out(make_worker: MakePod) -> None:
    mine = {"tcpSocket": {"port": 1}}
    pod = make_worker(RenderOptions(inject_probes=False), labels=SERVES, container={"livenessProbe": mine})
    ray = pod["spec"]["containers"][0]
    assert ray["livenessProbe"] == mine
    assert not {"startupProbe", "readinessProbe"} & ray.keys()


def test_times(make_worker: MakePod) -> None:
    """The figures that the module's words promise."""
    ray = make_worker(labels=SERVES)["spec"]["containers"][0]
    lasts = {key: ray[key]["periodSeconds"] * ray[key]["failureThreshold"] for key in ray if key.endswith("Probe")}
    assert lasts == {"startupProbe": 600, "livenessProbe": 600, "readinessProbe": 6}
