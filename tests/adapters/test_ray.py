import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rayserve_operator.adapters.ray import RayApi, ongoing
from rayserve_operator.model.errors import Unavailable

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
