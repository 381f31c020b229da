import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from rayserve_operator.adapters.requests import Request, api_call, tracing


async def nobody_answers(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def forbids(_: web.Request) -> web.Response:
    return web.Response(status=403)


@pytest.fixture
async def seen() -> list[Request]:
    """The requests that are told of: one that is refused, one that is not answered, and one that nobody takes."""
    found: list[Request] = []
    application = web.Application()
    application.router.add_get("/slow", nobody_answers)
    application.router.add_put("/api/serve/applications/", forbids)
    async with (
        TestServer(application) as server,
        aiohttp.ClientSession(trace_configs=[tracing(found.append)]) as session,
    ):
        (await session.put(server.make_url("/api/serve/applications/"))).close()
        with pytest.raises(TimeoutError):
            await session.get(server.make_url("/slow"), timeout=aiohttp.ClientTimeout(total=0.01))
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{unused_port()}/metrics")
    return found


async def test_every_request_is_told_with_what_came_of_it(seen: list[Request]) -> None:
    assert [(request.method, request.path, request.code) for request in seen] == [
        ("PUT", "/api/serve/applications/", "403"),
        ("GET", "/slow", "timeout"),
        ("GET", "/metrics", "error"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "query", "verb", "resource"),
    [
        ("GET", "/api/v1/pods", {"limit": "100"}, "list", "pods"),
        ("GET", "/api/v1/namespaces/shop/pods", {}, "list", "pods"),
        ("GET", "/api/v1/namespaces/shop/pods", {"watch": "true"}, "watch", "pods"),
        ("GET", "/api/v1/namespaces/shop/pods/head", {}, "get", "pods"),
        ("GET", "/api/v1/nodes/worker-1", {}, "get", "nodes"),
        ("GET", "/api/v1/namespaces/shop", {}, "get", "namespaces"),
        ("GET", "/apis/ray.io/v1/rayservices", {}, "list", "rayservices"),
        ("POST", "/apis/ray.io/v1/namespaces/shop/rayclusters", {}, "create", "rayclusters"),
        ("PATCH", "/apis/ray.io/v1/namespaces/shop/rayservices/demo/status", {}, "patch", "rayservices/status"),
        ("DELETE", "/api/v1/namespaces/shop/pods/head", {}, "delete", "pods"),
    ],
)
def test_a_request_to_the_api_server_is_read_as_its_access_rules_name_it(
    method: str, path: str, query: dict[str, str], verb: str, resource: str
) -> None:
    assert api_call(Request(method, path, query, "200", 0.1)) == (verb, resource)
