import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rayserve_operator.adapters.ray import Load, RayApi, loads, ongoing, traffic
from rayserve_operator.model.errors import Unavailable
from rayserve_operator.planning.observed import Traffic

NODE = 'ray_node_mem_used{NodeAddress="10.0.0.1"} 5.0\n'
PROXY = "# TYPE ray_serve_num_ongoing_http_requests gauge\n"


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ("", None),
        ("python_info 1.0\n", None),
        (NODE, 0),
        (NODE + PROXY + 'ray_serve_num_ongoing_http_requests{node="a"} 0.0\n', 0),
        (
            NODE
            + PROXY
            + 'ray_serve_num_ongoing_http_requests{node="a"} 2.0\nray_serve_num_ongoing_http_requests{node="b"} 1.0\n',
            3,
        ),
        (NODE + "ray_serve_num_ongoing_grpc_requests 1.0\n", 1),
        (NODE + "ray_serve_replica_processing_queries 4.0\n", 4),
        (NODE + "ray_serve_deployment_request_counter_total 7.0\n", 0),
    ],
    ids=["empty", "none of Ray's", "no request yet", "idle", "two proxies", "gRPC", "in a replica", "a counter"],
)
def test_requests_under_way_are_read_from_a_pods_metrics(metrics: str, expected: int | None) -> None:
    assert ongoing(metrics) == expected


@pytest.mark.parametrize("body", ["null", "[]", '"ok"', '{"applications": ["app"]}', "<html>", '{"proxies": {"a": 1}}'])
async def test_what_is_no_status_of_serve_is_no_answer(body: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body)

    application = web.Application()
    application.router.add_get("/api/serve/applications/", answer)
    ray = RayApi("test")
    async with TestServer(application) as server:
        with pytest.raises(Unavailable):
            await ray.serve_status(f"{server.host}:{server.port}", None)
    await ray.close()


COUNTED = """\
# TYPE ray_serve_num_http_requests_total counter
ray_serve_num_http_requests_total{route="/a",status_code="200"} 90.0
ray_serve_num_http_requests_total{route="/a",status_code="404"} 6.0
ray_serve_num_http_requests_total{route="/b",status_code="503"} 4.0
ray_serve_num_http_requests_total{route="/-/healthz",status_code="500"} 1000.0
# TYPE ray_serve_http_request_latency_ms histogram
ray_serve_http_request_latency_ms_bucket{route="/a",le="5"} 90.0
ray_serve_http_request_latency_ms_sum{route="/a"} 900.5
ray_serve_http_request_latency_ms_sum{route="/b"} 99.5
ray_serve_http_request_latency_ms_sum{route="/-/healthz"} 7777.0
ray_serve_http_request_latency_ms_count{route="/a"} 96.0
"""


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [("", None), ("python_info 1.0\n", None), (NODE, Traffic(0, 0, 0.0)), (NODE + COUNTED, Traffic(100, 4, 1000.0))],
    ids=["empty", "none of Ray's", "no request yet", "counted"],
)
def test_answers_are_counted_without_those_to_health_checks(metrics: str, expected: Traffic | None) -> None:
    assert traffic(metrics) == expected


async def test_an_answer_is_its_status_and_no_redirect_is_followed() -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://elsewhere.invalid/")

    application = web.Application()
    application.router.add_get("/away", away)
    ray = RayApi("test")
    async with TestServer(application) as server:
        assert await ray.answers(str(server.host), server.port or 0, "/away", https=False) == 302
        assert await ray.answers(str(server.host), server.port or 0, "/none", https=False) == 404
        assert not await ray.proxy_answers(str(server.host), server.port or 0, https=False)
    assert await ray.answers("127.0.0.1", 1, "/", https=False) is None
    await ray.close()


def test_the_load_of_a_deployment_is_summed_over_its_replicas_and_handles() -> None:
    metrics = """\
ray_serve_deployment_queued_queries{application="a",deployment="D",handle="1"} 2.0
ray_serve_deployment_queued_queries{application="a",deployment="D",handle="2"} 1.0
ray_serve_replica_processing_queries{application="a",deployment="D",replica="x"} 4.0
ray_serve_deployment_replica_healthy{application="a",deployment="D",replica="x"} 1.0
ray_serve_deployment_replica_healthy{application="a",deployment="D",replica="y"} 0.0
ray_serve_deployment_replica_healthy{application="b",deployment="D",replica="z"} 1.0
"""
    assert loads(metrics) == {("a", "D"): Load(1, 3, 4), ("b", "D"): Load(1, 0, 0)}
    assert loads("ray_node_cpu_count 2.0\n") == {}
    assert loads("process_cpu_seconds_total 2.0\n") is None
