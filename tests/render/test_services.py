"""Services: what they select, and which ports lead where."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.render import labels, pods, services
from rayserve_operator.render.options import RenderOptions

MakeCluster = Callable[..., RayCluster]

SERVES = {labels.FROM_CRD: "RayService"}
DEFAULTS = {"client": 10001, "dashboard": 8265, "gcs-server": 6379, "metrics": 8080, "serve": 8000}


def service_of(cluster: RayCluster, **spec: Any) -> RayService:
    meta = Meta.parse({"metadata": {"name": "rs", "namespace": "ns", "uid": "s-1"}})
    body = {"rayClusterConfig": cluster.spec.manifest(), **spec}
    return RayService(meta, RayServiceSpec.model_validate(body), RayServiceStatus())


def ports(service: dict[str, Any]) -> dict[str, int]:
    listed = service["spec"]["ports"]
    assert len({(port["port"], port.get("protocol", "TCP")) for port in listed}) == len(listed)
    return {port["name"]: port["port"] for port in listed}


def selects(service: dict[str, Any], pod: dict[str, Any]) -> bool:
    return bool(service["spec"]["selector"].items() <= pod["metadata"]["labels"].items())


@pytest.mark.parametrize(
    ("declared", "head", "serve"),
    [
        ([], DEFAULTS, {"serve": 8000}),
        ([{"containerPort": 1}], {"1-port": 1, "metrics": 8080}, {"serve": 8000}),
        ([{"containerPort": 1, "name": "serve"}], {"serve": 1, "metrics": 8080}, {"serve": 1}),
        (
            [{"containerPort": 1, "name": "serve-grpc"}, {"containerPort": 2, "name": "served"}],
            {"serve-grpc": 1, "served": 2, "metrics": 8080},
            {"serve-grpc": 1},
        ),
        ([{"containerPort": 8080, "name": "mine"}], {"mine": 8080}, {"serve": 8000}),
    ],
)
def test_ports(make_cluster: MakeCluster, declared: list[Any], head: dict[str, int], serve: dict[str, int]) -> None:
    cluster = make_cluster(container={"ports": declared})
    assert ports(services.cluster_head_service(cluster)) == head
    assert ports(services.stable_head_service(service_of(cluster), cluster)) == head
    assert ports(services.stable_serve_service(service_of(cluster), cluster)) == serve


def test_default_ports_lead_where_ray_listens(make_cluster: MakeCluster) -> None:
    params = {"port": "1", "dashboard-port": "2", "ray-client-server-port": "3", "metrics-export-port": "4"}
    noted = {labels.SERVE_OPTIONS: '{"http_options": {"port": 5}}'}
    cluster = make_cluster(group={"rayStartParams": params}, annotations=noted)
    found = {"gcs-server": 1, "dashboard": 2, "client": 3, "metrics": 4, "serve": 5}
    assert ports(services.cluster_head_service(cluster)) == found
    assert ports(services.stable_serve_service(service_of(cluster), cluster)) == {"serve": 5}


def test_selectors_find_their_pods(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels=SERVES, metadata={"labels": {labels.APP_NAME: "mine", labels.CREATED_BY: "me"}})
    head = pods.head_pod(cluster, RenderOptions())
    worker = pods.worker_pod(cluster, cluster.spec.worker_group_specs[0], RenderOptions())
    for service in (services.cluster_head_service(cluster), services.stable_head_service(service_of(cluster), cluster)):
        assert selects(service, head)
        assert not selects(service, worker)
    for service in (
        services.stable_serve_service(service_of(cluster), cluster),
        services.cluster_serve_service(cluster),
        services.headless_worker_service(cluster),
    ):
        assert selects(service, worker)
        assert not selects(service, head)


def test_the_serve_service_says_which_cluster_is_active(make_cluster: MakeCluster) -> None:
    service = services.stable_serve_service(service_of(make_cluster()), make_cluster())
    assert service["metadata"]["annotations"] == {labels.ACTIVE_CLUSTER: "rc"}
    assert service["spec"]["selector"] == {labels.CLUSTER: "rc", labels.SERVE: "true"}
    assert service["metadata"]["ownerReferences"][0]["uid"] == "s-1"


def test_outside_a_rayservice_all_pods_serve(make_cluster: MakeCluster) -> None:
    assert services.cluster_serve_service(make_cluster())["spec"]["selector"] == {labels.CLUSTER: "rc"}


@pytest.mark.parametrize(
    ("kind", "headless", "typed"),
    [(None, True, None), ("", True, None), ("ClusterIP", True, None), ("NodePort", False, "NodePort")],
)
def test_type_of_the_head_service(
    make_cluster: MakeCluster, kind: str | None, headless: bool, typed: str | None
) -> None:
    spec = services.cluster_head_service(make_cluster(headGroupSpec=_head(make_cluster, serviceType=kind)))["spec"]
    assert (spec.get("clusterIP") == "None") is headless
    assert spec.get("publishNotReadyAddresses", False) is headless
    assert spec.get("type") == typed


def test_a_users_head_service_keeps_what_is_its_own(make_cluster: MakeCluster) -> None:
    custom = {
        "metadata": {"name": "mine", "labels": {"a": "1", labels.CLUSTER: "x"}, "annotations": {"a": "1", "b": "1"}},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"x": "y"},
            "externalTrafficPolicy": "Local",
            "ports": [{"name": "dashboard", "port": 80, "targetPort": 8265}],
        },
    }
    cluster = make_cluster(headGroupSpec=_head(make_cluster, headService=custom), headServiceAnnotations={"b": "2"})
    service = services.cluster_head_service(cluster)
    assert service["metadata"]["name"] == "mine"
    assert service["metadata"]["labels"].items() >= {"a": "1", labels.CLUSTER: "rc"}.items()
    assert service["metadata"]["annotations"] == {"a": "1", "b": "2"}
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    assert "x" not in service["spec"]["selector"]
    assert "clusterIP" not in service["spec"]
    assert ports(service) == {**DEFAULTS, "dashboard": 80}


def test_a_users_serve_service_never_gets_a_port_twice(make_cluster: MakeCluster) -> None:
    custom = {"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 8000}], "type": "NodePort"}}
    cluster = make_cluster()
    service = services.stable_serve_service(service_of(cluster, serveService=custom), cluster)
    assert service["metadata"]["name"] == "web"
    assert service["spec"]["type"] == "NodePort"
    assert ports(service) == {"http": 8000}


def test_every_service_is_found_by_the_narrow_watch(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    made = [
        services.cluster_head_service(cluster),
        services.headless_worker_service(cluster),
        services.cluster_serve_service(cluster),
        services.stable_head_service(service_of(cluster), cluster),
        services.stable_serve_service(service_of(cluster), cluster),
    ]
    for service in made:
        assert service["metadata"]["labels"][labels.FROM_CRD] in ("RayCluster", "RayService")
        assert service["metadata"]["namespace"] == "ns"


def test_label_values_fit(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels=SERVES)
    longest = RayCluster(replace(cluster.meta, name="a" * 52 + "9"), cluster.spec, cluster.status)
    for service in (services.cluster_serve_service(longest), services.headless_worker_service(longest)):
        assert all(len(value) <= 63 for value in service["metadata"]["labels"].values())


def _head(make_cluster: MakeCluster, **more: Any) -> dict[str, Any]:
    return {**make_cluster().spec.head_group_spec.manifest(), **more}
