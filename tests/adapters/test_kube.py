"""What is asked of the API server once, beside objects of the kinds that are watched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from rayserve_operator.adapters.kube import KubeApi, Selection
from rayserve_operator.model.errors import NotFound, NotServed
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.dry_run.verdicts import Answer

SCHEMA = {"type": "object", "properties": {"spec": {"type": "object"}}}
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rayservices.ray.io"
OPENAPI = "/openapi/v3/apis/ray.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3Dray-operator-leader"


def serving(**answers: Any) -> AbstractAsyncContextManager[KubeApi]:
    """An API server that gives these answers, by path, says what is `missing`, and refuses all else."""

    async def answer(request: web.Request) -> web.Response:
        missing = answers.get("missing", {}).get(request.raw_path)
        if missing is not None:
            return web.Response(text=missing if isinstance(missing, str) else json.dumps(missing), status=404)
        found = answers["paths"].get(request.raw_path)
        return web.json_response(found or {"message": "forbidden"}, status=200 if found else 403)

    return answering(answer)


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[KubeApi]:
    """An API server that answers so."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        configuration = client.Configuration()
        configuration.host = f"http://{server.host}:{server.port}"
        kube = KubeApi(client.ApiClient(configuration), ())
        try:
            yield kube
        finally:
            await kube.close()


async def test_the_schema_is_that_of_the_version_which_is_read() -> None:
    versions = [
        {"name": "v1alpha1", "schema": {"openAPIV3Schema": {}}},
        {"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}},
    ]
    async with serving(paths={CRD: {"spec": {"versions": versions}}}) as kube:
        assert await kube.schema(Kind.RAY_SERVICE) == SCHEMA


async def test_who_may_not_see_the_crd_is_told_what_everybody_is() -> None:
    kind = {"group": "ray.io", "version": "v1", "kind": "RayService"}
    described = {**SCHEMA, "x-kubernetes-group-version-kind": [kind]}
    listed = {"x-kubernetes-group-version-kind": [{**kind, "kind": "RayServiceList"}]}
    schemas = {"io.ray.v1.RayServiceList": listed, "io.ray.v1.RayService": described, "io.k8s.Meta": {}}
    async with serving(paths={OPENAPI: {"components": {"schemas": schemas}}}) as kube:
        assert await kube.schema(Kind.RAY_SERVICE) == described
        with pytest.raises(NotFound):
            await kube.schema(Kind.RAY_CLUSTER)


async def test_leases_of_a_name_are_found_in_whatever_namespace() -> None:
    found = [{"metadata": {"name": "ray-operator-leader", "namespace": "anywhere"}}]
    async with serving(paths={LEASES: {"items": found}}) as kube:
        assert await kube.leases("ray-operator-leader") == found
    async with serving(paths={LEASES: {"items": None}}) as kube:
        assert await kube.leases("ray-operator-leader") == ()


POD = {"metadata": {"namespace": "team", "generateName": "shop-"}}
TRY = "/api/v1/namespaces/team/pods?fieldManager=rayserve-operator&dryRun=All&fieldValidation=Strict"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (web.json_response({"kind": "Pod"}, status=201), Answer(201)),
        (web.json_response({"message": "no"}, status=422), Answer(422, {"message": "no"})),
        (web.Response(text="bad gateway", status=502), Answer(502, {"message": "bad gateway"})),
        (web.json_response(["odd"], status=500), Answer(500, {"message": '["odd"]'})),
    ],
)
async def test_whatever_is_said_to_a_dry_run_is_its_answer(response: web.Response, said: Answer) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return response

    async with answering(answer) as kube:
        assert await kube.dry_run(Kind.POD, POD) == said
    assert asked == [TRY]


ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/mine"


@pytest.mark.parametrize(
    ("body", "is_served"),
    [
        ({"reason": "NotFound", "details": {"name": "mine", "kind": "httproutes"}}, True),
        ({"reason": "NotFound", "details": {}}, False),
        ({"reason": "NotFound"}, False),
        ("404 page not found", False),
    ],
)
async def test_a_kind_that_is_not_served_is_told_from_an_object_that_is_not_there(body: Any, is_served: bool) -> None:
    async with serving(paths={}, missing={ROUTE: body}) as kube:
        with pytest.raises(NotFound) as caught:
            await kube.get(Kind.HTTP_ROUTE, "default", "mine")
    assert isinstance(caught.value, NotServed) is not is_served


PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version}}


@asynccontextmanager
async def watched(*streams: list[tuple[str, dict[str, Any]]]) -> AsyncIterator[KubeApi]:
    """An API server that lists pods a and b, and answers each watch with one of these streams."""
    left = iter(streams)

    async def answer(request: web.Request) -> web.Response:
        assert request.path == PODS
        assert request.query["labelSelector"] == "of=demo"
        if "watch" not in request.query:
            listed = {"metadata": {"resourceVersion": "5"}, "items": [pod("a", "1"), pod("b", "2")]}
            return web.json_response(listed)
        assert request.query["resourceVersion"] == "5"
        events = (json.dumps({"type": type_, "object": found}) for type_, found in next(left))
        return web.Response(text="\n".join(events))

    async with answering(answer) as kube:
        yield kube


async def families(kube: KubeApi, count: int) -> list[list[tuple[str, str]]]:
    found = []
    async with aclosing(kube.families(Kind.POD, "default", Selection(labels="of=demo"))) as seen:
        async for family in seen:
            found.append([(one["metadata"]["name"], one["metadata"]["resourceVersion"]) for one in family])
            if len(found) == count:
                break
    return found


async def test_a_family_is_followed_as_its_members_come_change_and_go() -> None:
    events = [("MODIFIED", pod("a", "6")), ("ADDED", pod("c", "7")), ("DELETED", pod("b", "8"))]
    async with watched(events) as kube:
        assert await families(kube, 4) == [
            [("a", "1"), ("b", "2")],
            [("a", "6"), ("b", "2")],
            [("a", "6"), ("b", "2"), ("c", "7")],
            [("a", "6"), ("c", "7")],
        ]


async def test_a_family_is_listed_anew_when_its_watch_is_cut() -> None:
    expired = {"kind": "Status", "code": 410}
    async with watched([("DELETED", pod("b", "6")), ("ERROR", expired)], [("ADDED", pod("c", "7"))]) as kube:
        assert [len(family) for family in await families(kube, 4)] == [2, 1, 2, 3]


async def test_what_is_not_there_has_no_states() -> None:
    path = "/apis/ray.io/v1/namespaces/default/rayservices?limit=100&fieldSelector=metadata.name%3Ddemo"
    async with serving(paths={path: {"metadata": {"resourceVersion": "5"}, "items": []}}) as kube:
        with pytest.raises(NotFound, match="there is no RayService demo"):
            [state async for state in kube.states(Kind.RAY_SERVICE, "default", "demo")]


async def test_a_pod_is_asked_through_the_api_server() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/log"):
            return web.Response(text=f"last {request.query['tailLines']}")
        return web.Response(text=request.path)

    async with answering(answer) as kube:
        path = f"{PODS}/head:8265/proxy/api/serve"
        assert await kube.through_pod("default", "head", 8265, "/api/serve") == path
        assert await kube.logs("default", "operator", 5) == "last 5"
