import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rayserve_operator.adapters.ray import (
    LARGEST,
    LONGEST_SAMPLE,
    MOST_SAMPLES,
    WORDS,
    Load,
    RayApi,
    loads,
    ongoing,
    traffic,
)
from rayserve_operator.model.errors import Refused, Unavailable
from rayserve_operator.model.serve import ServeConfig
from rayserve_operator.planning.observed import Traffic

Answer = Callable[[web.Request], web.Response]
Answering = Callable[[Answer], AbstractAsyncContextManager[tuple[RayApi, str]]]


@pytest.fixture
def answering() -> Answering:
    """A Ray that gives this answer to everything, at an address, and the API over it."""

    @asynccontextmanager
    async def answers(answer: Answer) -> AsyncIterator[tuple[RayApi, str]]:
        async def handle(request: web.Request) -> web.Response:
            return answer(request)

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handle)
        ray = RayApi("test")
        async with TestServer(application) as server:
            yield ray, f"{server.host}:{server.port}"
            await ray.close()

    return answers


def place(address: str) -> tuple[str, int]:
    host, _, port = address.partition(":")
    return host, int(port)


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
async def test_what_is_no_status_of_serve_is_no_answer(body: str, answering: Answering) -> None:
    async with answering(lambda _: web.Response(text=body)) as (ray, address):
        with pytest.raises(Unavailable):
            await ray.serve_status(address, None)


@pytest.mark.parametrize(
    "body",
    [b'{"applications": {}}' + b" " * LARGEST, b"[" * 100_000, b'{"a": [' + b"0," * 1_000_000 + b"0]}", b"\xff"],
    ids=["too long", "too deep", "too many values", "no text"],
)
async def test_no_answer_is_read_without_end(body: bytes, answering: Answering) -> None:
    async with answering(lambda _: web.Response(body=body)) as (ray, address):
        with pytest.raises(Unavailable):
            await ray.serve_status(address, None)
        assert await ray.ongoing_requests(*place(address)) is None


async def test_what_unfolds_itself_is_no_answer(answering: Answering) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        folded = gzip.compress(b'{"applications": {}}')
        return web.Response(body=folded, headers={"Content-Encoding": "gzip"})

    async with answering(answer) as (ray, address):
        with pytest.raises(Unavailable):
            await ray.serve_status(address, None)
    assert asked == ["identity"]


async def test_a_long_refusal_is_told_by_its_end(answering: Answering) -> None:
    words = b"\xff" + b"x" * 10_000 + b" no such module"
    async with answering(lambda _: web.Response(status=400, body=words)) as (ray, address):
        with pytest.raises(Refused, match=r"no such module$") as refusal:
            await ray.submit(address, ServeConfig({}), None)
    assert len(str(refusal.value)) < WORDS + 100


async def test_no_ray_sends_the_operator_elsewhere(answering: Answering) -> None:
    reached: list[str] = []

    def elsewhere(request: web.Request) -> web.Response:
        reached.append(request.method)
        return web.json_response({"applications": {}})

    async with answering(elsewhere) as (_, other):

        def away(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"http://{other}/api/serve/applications/")

        async with answering(away) as (ray, address):
            with pytest.raises(Unavailable):
                await ray.serve_status(address, "token")
            with pytest.raises(Unavailable):
                await ray.submit(address, ServeConfig({}), "token")
            assert await ray.ongoing_requests(*place(address)) is None
            assert await ray.traffic(*place(address)) is None
    assert reached == []


@pytest.mark.parametrize("path", ["/@elsewhere.invalid/", "//elsewhere.invalid/", "/\\@elsewhere.invalid", "/a b?c#d"])
async def test_a_smoke_request_goes_to_the_pod_whatever_its_path(path: str, answering: Answering) -> None:
    async with answering(lambda _: web.Response(status=418)) as (ray, address):
        assert await ray.answers(*place(address), path, https=False) == 418


async def test_what_a_ray_gives_to_be_remembered_reaches_no_other(answering: Answering) -> None:
    seen: list[str | None] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        given = web.json_response({"applications": {}})
        given.set_cookie("session", "x" * 1000)
        return given

    async with answering(answer) as (ray, address):
        named = f"localhost:{place(address)[1]}"
        await ray.serve_status(named, None)
        await ray.serve_status(named, None)
    assert seen == [None, None]


@pytest.mark.parametrize(
    "metrics",
    [
        "ray_serve_num_ongoing_http_requests",
        "ray_serve_num_ongoing_http_requests{",
        "ray_serve_num_ongoing_http_requests{a=",
        "ray_serve_num_ongoing_http_requests}",
        "ray_serve_num_ongoing_http_requests +Inf",
        "ray_serve_num_ongoing_http_requests NaN",
        "ray_serve_num_ongoing_http_requests 1\n" * (MOST_SAMPLES + 1),
        f'ray_serve_num_ongoing_http_requests{{a="{"x" * LONGEST_SAMPLE}"}} 1',
    ],
    ids=["no value", "no labels", "no label", "no beginning", "endless", "no number", "too many", "too long"],
)
async def test_metrics_that_make_no_sense_tell_nothing(metrics: str, answering: Answering) -> None:
    async with answering(lambda _: web.Response(text=metrics)) as (ray, address):
        assert await ray.ongoing_requests(*place(address)) is None


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


async def test_a_connection_to_a_dashboard_is_kept_and_one_to_a_proxy_is_not(answering: Answering) -> None:
    clients = []

    def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        clients.append(request.transport.get_extra_info("peername"))
        return web.json_response({"applications": {}})

    async with answering(answer) as (ray, address):
        for _ in range(2):
            await ray.serve_status(address, None)
        for _ in range(2):
            await ray.proxy_answers(*place(address), https=False)
    dashboard, again, proxy, anew = clients
    assert dashboard == again
    assert len({dashboard, proxy, anew}) == 3


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


async def test_a_pod_may_have_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SplitResult] = []

    def get(_session: aiohttp.ClientSession, url: str, **_: object) -> None:
        asked.append(urlsplit(url))
        raise OSError

    ray = RayApi("test")
    monkeypatch.setattr(aiohttp.ClientSession, "get", get)
    await ray.ongoing_requests("fd00::7", 8080)
    await ray.proxy_answers("fd00::7", 8000, https=True)
    await ray.close()
    assert [(url.hostname, url.port, url.path) for url in asked] == [
        ("fd00::7", 8080, "/metrics"),
        ("fd00::7", 8000, "/-/healthz"),
    ]
