"""The stand-ins before which memory is measured."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web

from benchmarks.memory import objects
from benchmarks.memory.apiserver import ApiServer
from benchmarks.memory.listening import free_port, listening
from benchmarks.memory.rays import Rays
from rayserve_operator.adapters.kube import APPLY, JSON_PATCH, METADATA_LIST
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.observed import PodView

SERVICES = "/apis/ray.io/v1/namespaces/default/rayservices"
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
DASHBOARD, SERVE = 7001, 7002


def pod(number: int, group: str) -> dict[str, Any]:
    node_type = "worker" if group in objects.GROUPS else "head"
    noted = {"ray.io/node-type": node_type, "ray.io/group": group, "ray.io/cluster": "a"}
    metadata = {
        "name": f"pod-{group}",
        "namespace": "default",
        "labels": {**noted, "benchmark/service": f"measured-{number:04d}"},
    }
    return {"metadata": metadata, "spec": {"containers": [{"name": "ray", "image": "ray:2"}]}}


@pytest.fixture
def api() -> ApiServer:
    found = ApiServer(lambda _kind, _manifest: None)
    for manifest in objects.ray_services(3, DASHBOARD, SERVE):
        found.create(Kind.RAY_SERVICE, manifest)
    return found


@pytest.fixture
async def session(api: ApiServer) -> AsyncIterator[ClientSession]:
    port = free_port()
    async with listening(api.runner, port), ClientSession(f"http://127.0.0.1:{port}") as found:
        yield found


async def read(session: ClientSession, path: str, **headers: str) -> Any:
    async with session.get(path, headers=headers) as answer:
        return await answer.json()


async def test_a_list_comes_in_pages(session: ClientSession) -> None:
    first = await read(session, f"{SERVICES}?limit=2")
    rest = await read(session, f"{SERVICES}?limit=2&continue={first['metadata']['continue']}")
    names = [item["metadata"]["name"] for page in (first, rest) for item in page["items"]]
    assert names == ["measured-0000", "measured-0001", "measured-0002"]
    assert rest["metadata"]["continue"] == ""


async def test_a_list_of_metadata_has_no_more(session: ClientSession) -> None:
    found = await read(session, SERVICES, Accept=METADATA_LIST)
    assert [item.keys() for item in found["items"]] == [{"metadata"}] * 3


async def test_what_is_applied_is_made_and_then_changed(session: ClientSession) -> None:
    budget = {"metadata": {"name": "workers", "namespace": "default"}, "spec": {"minAvailable": 1}}
    versions = []
    for least in (1, 2):
        budget["spec"] = {"minAvailable": least}
        async with session.patch(
            f"{BUDGETS}/workers", data=json.dumps(budget), headers={"Content-Type": APPLY}
        ) as answer:
            versions.append((await answer.json())["metadata"]["resourceVersion"])
    found = await read(session, f"{BUDGETS}/workers")
    assert found["spec"] == {"minAvailable": 2}
    assert int(versions[0]) < int(versions[1]) == int(found["metadata"]["resourceVersion"])


async def test_a_watch_tells_what_is_written(session: ClientSession, api: ApiServer) -> None:
    async with session.get(f"{SERVICES}?watch=true") as watch:
        status = [{"op": "add", "path": "/status", "value": {"serviceStatus": "Running"}}]
        path = f"{SERVICES}/measured-0001/status"
        async with session.patch(path, data=json.dumps(status), headers={"Content-Type": JSON_PATCH}) as answer:
            assert answer.status == 200
        event = json.loads(await watch.content.readline())
    assert event["type"] == "MODIFIED"
    assert event["object"]["metadata"]["name"] == "measured-0001"
    assert event["object"]["status"] == {"serviceStatus": "Running"}
    await api.ready(1)


async def test_what_is_listed_is_counted(session: ClientSession, api: ApiServer) -> None:
    async with session.get(SERVICES) as answer:
        assert api.listed_bytes == len(await answer.read())


def test_a_copy_belongs_to_a_shard() -> None:
    [service] = objects.ray_services(1, DASHBOARD, SERVE)
    [unnamed], [named] = (objects.copies([service], 7, shard) for shard in (0, 2))
    assert "rayserve.ray.io/shard" not in unnamed["metadata"].get("labels", {})
    assert named["metadata"]["labels"]["rayserve.ray.io/shard"] == "shard-2"
    assert named["metadata"]["name"] == "measured-0007"


async def test_what_is_not_there_is_told_from_a_kind_that_is_not(session: ClientSession) -> None:
    assert (await read(session, f"{SERVICES}/other"))["details"] == {"name": "other"}
    issuers = await read(session, "/apis/cert-manager.io/v1/namespaces/default/issuers")
    assert issuers["details"] == {"name": ""}


def test_pods_run_at_once_each_at_an_address_of_its_own() -> None:
    manifests = [objects.created(Kind.POD, pod(7, group)) for group in ("headgroup", *objects.GROUPS)]
    views = [PodView.parse(manifest) for manifest in manifests]
    assert [view.ip for view in views] == objects.addresses(7)
    assert all(view.up and view.ready for view in views)
    assert not set(objects.addresses(7)) & set(objects.addresses(8))


def test_managed_fields_name_the_fields_and_no_values() -> None:
    manifest = objects.created(Kind.POD, pod(0, "headgroup"))
    applied, updated = manifest["metadata"]["managedFields"]
    assert applied["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"ray"}']["f:image"] == {}
    assert "f:phase" in updated["fieldsV1"]["f:status"]
    again = objects.with_managed_fields(manifest)
    assert again == manifest


async def test_every_ray_runs_what_it_is_sent() -> None:
    rays, port = Rays(), free_port()
    [head, *_] = objects.addresses(0)
    rays.saw(Kind.POD, objects.created(Kind.POD, pod(0, "headgroup")))
    async with listening(rays.runner, port), ClientSession(f"http://{head}:{port}") as session:
        config = {"applications": [{"name": "echo"}]}
        async with session.put("/api/serve/applications/", json=config) as answer:
            assert answer.status == web.HTTPOk.status_code
        told = await read(session, "/api/serve/applications/")
    assert told["applications"]["echo"]["status"] == "RUNNING"
    assert rays.requests == 1
