"""Shares of the traffic by an HTTPRoute, on the API objects alone: the test is the controller.

The CRDs are those of the Gateway API's own release.
"""

from pathlib import Path

import pytest

from scenarios.harness import gateways, manifests, published
from scenarios.harness import kube as kubernetes
from scenarios.harness.kube import Kube, Manifest, kubectl
from scenarios.harness.rayservice import RayService
from scenarios.harness.waiting import OFTEN, until

STEPS = {"steps": [20, 50], "intervalSeconds": 1}
MADE = "minimal-httproute"
MINE = "mine"
SOON = 40.0
"""Seconds until an operator at rest has looked again, and a rollout has gone on."""

pytestmark = pytest.mark.usefixtures("ray", "operator")


def _sample(**way: object) -> Manifest:
    strategy = {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {**STEPS, **way},
        # The fake Ray has no metrics, so the old cluster of a rollout goes at the timeout.
        "drainTimeoutSeconds": 2,
    }
    sample = manifests.with_spec(
        manifests.sample("minimal"), rayClusterDeletionDelaySeconds=1, upgradeStrategy=strategy
    )
    return {**sample, "metadata": {"name": "minimal"}}


@pytest.fixture(scope="module")
def crd_files() -> list[Path]:
    """The CRDs of Gateways and HTTPRoutes."""
    return published.GATEWAYS.files(gateways.PLURALS)


@pytest.fixture
def gateway_api(crd_files: list[Path]) -> None:
    """The Gateway API, without any controller."""
    published.install(crd_files)


@pytest.fixture
def no_gateway_api() -> None:
    """An API server that does not know the Gateway API."""
    kubectl("delete", "crd", "--ignore-not-found", "--wait", *gateways.CRDS)


def _serving(kube: Kube, namespace: str, manifest: Manifest) -> RayService:
    service = RayService(kube, namespace, "minimal")
    service.apply(manifest)
    service.wait_ready(SOON)
    return service


def _weights(kube: Kube, namespace: str, name: str) -> dict[str, int]:
    """The backends of the last rule of an HTTPRoute, each with its weight."""
    rule = kube.get("httproutes", namespace, name)["spec"]["rules"][-1]
    return {ref["name"]: ref["weight"] for ref in rule["backendRefs"]}


def _own(cluster: str) -> str:
    return f"{cluster}-serve-svc"


def _accept(kube: Kube, namespace: str, name: str) -> None:
    """Say of an HTTPRoute what a controller says that has taken it as it is now."""
    route = kube.get("httproutes", namespace, name)
    told = {
        "status": "True",
        "observedGeneration": route["metadata"]["generation"],
        "lastTransitionTime": "2030-01-01T00:00:00Z",
        "reason": "Taken",
        "message": "",
    }
    [parent] = route["spec"]["parentRefs"]
    conditions = [{"type": type_, **told} for type_ in ("Accepted", "ResolvedRefs")]
    entry = {
        "parentRef": parent,
        "controllerName": "test.example.com/gateways",
        "conditions": conditions,
    }
    kube.merge("httproutes", namespace, name, {"status": {"parents": [entry]}}, "status")


def _steps(service: RayService, name: str) -> list[dict[str, int]]:
    """The weights one after the other, each accepted as soon as it is seen, until all is done."""
    seen: list[dict[str, int]] = []

    def is_done() -> bool:
        found = _weights(service.kube, service.namespace, name)
        if seen[-1:] != [found]:
            seen.append(found)
        _accept(service.kube, service.namespace, name)
        return len(seen) > 1 and len(found) == 1

    until(is_done, "all the traffic has moved", 3 * SOON, every=OFTEN)
    return seen


def _reason(service: RayService, condition: str) -> str:
    reason: str = service.conditions.get(condition, {}).get("reason", "")
    return reason


@pytest.mark.usefixtures("no_gateway_api")
def test_it_serves_without_the_gateway_api_and_finds_it_later(
    kube: Kube, namespace: str, crd_files: list[Path]
) -> None:
    """A condition says what to install; once it is there, no restart is needed."""
    service = _serving(kube, namespace, _sample(gatewayClassName="any"))
    until(lambda: _reason(service, "RouteReady") == "GatewayAPIMissing", "it is told", SOON)
    published.install(crd_files)
    until(lambda: service.holds("RouteReady"), "it is found", SOON)
    assert _weights(kube, namespace, MADE) == {_own(service.active_cluster): 100}
    gateway = kube.get("gateways", namespace, "minimal-gateway")
    assert gateway["spec"]["gatewayClassName"] == "any"


@pytest.mark.usefixtures("gateway_api")
def test_weights_move_as_the_controller_sees_them(kube: Kube, namespace: str) -> None:
    """Step by step, never before the last one was seen, and then one backend is left."""
    service = _serving(kube, namespace, _sample(gatewayClassName="any"))
    until(lambda: service.holds("RouteReady"), "it is made", SOON)
    old = service.active_cluster
    _accept(kube, namespace, MADE)
    service.patch(manifests.with_env(_sample(gatewayClassName="any"), "COLOUR", "green"))
    until(lambda: len(_weights(kube, namespace, MADE)) == 2, "both are led to", SOON)
    unseen = "has not seen it yet"
    until(lambda: unseen in service.conditions["Reconciling"]["message"], "it waits", SOON)
    [new] = set(service.clusters) - {old}
    assert _weights(kube, namespace, MADE) == {_own(old): 100, _own(new): 0}
    assert _steps(service, MADE) == [
        {_own(old): 100, _own(new): 0},
        {_own(old): 80, _own(new): 20},
        {_own(old): 50, _own(new): 50},
        {_own(new): 100},
    ]
    assert service.active_cluster == new
    service.wait_ready(SOON)


@pytest.mark.usefixtures("gateway_api")
def test_a_route_of_the_users_is_divided_and_given_back(kube: Kube, namespace: str) -> None:
    """Only its own backend is touched, and in the end it is as it was written."""
    rules = [
        {"backendRefs": [{"name": "shop", "port": 80}], "matches": [{"path": {"value": "/shop"}}]},
        {"backendRefs": [{"name": "minimal-serve-svc", "port": 8000}]},
    ]
    route = {
        "apiVersion": gateways.API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {"name": MINE, "namespace": namespace},
        "spec": {"parentRefs": [{"name": "front"}], "rules": rules},
    }
    kubernetes.apply(route)
    before = kube.get("httproutes", namespace, MINE)
    service = _serving(kube, namespace, _sample(httpRoute=MINE))
    until(lambda: service.holds("RouteReady"), "it is in order", SOON)
    assert (
        kube.get("httproutes", namespace, MINE)["metadata"]["resourceVersion"]
        == (before["metadata"]["resourceVersion"])
    )
    old = service.active_cluster
    service.patch(manifests.with_env(_sample(httpRoute=MINE), "COLOUR", "green"))
    whole, first, *_, last = _steps(service, MINE)
    [new] = first.keys() - {_own(old)}
    assert (whole, first, last) == (
        {"minimal-serve-svc": 1},
        {_own(old): 100, new: 0},
        {"minimal-serve-svc": 1},
    )
    assert kube.get("httproutes", namespace, MINE)["spec"] == before["spec"]
    assert kube.find("httproutes", namespace, MADE) is None
    service.wait_ready(SOON)


@pytest.mark.usefixtures("gateway_api")
def test_a_hand_edited_route_is_healed(kube: Kube, namespace: str) -> None:
    """What is made is kept, and listeners that others add to the Gateway stay."""
    service = _serving(kube, namespace, _sample(gatewayClassName="any"))
    until(lambda: service.holds("RouteReady"), "it is made", SOON)
    led_away = [{"op": "replace", "path": "/spec/rules/0/backendRefs", "value": []}]
    added = [{"op": "add", "path": "/spec/listeners/-", "value": _OTHER}]
    for plural, name, patch in (
        ("httproutes", MADE, led_away),
        ("gateways", "minimal-gateway", added),
    ):
        path = kubernetes.path_of(plural, namespace, name)
        kube.request("PATCH", path, patch, "application/json-patch+json")
    wanted = {_own(service.active_cluster): 100}
    until(lambda: _weights(kube, namespace, MADE) == wanted, "it is led back", SOON)
    listeners = kube.get("gateways", namespace, "minimal-gateway")["spec"]["listeners"]
    assert {listener["name"] for listener in listeners} == {"http", "other"}


_OTHER = {"name": "other", "port": 8080, "protocol": "HTTP"}
