"""Traffic moves in steps through a real Gateway: by the operator's HTTPRoute, and by the user's."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pytest

from scenarios.harness import gateways, manifests, ray, session, traefik
from scenarios.harness import kube as kubernetes
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube, Manifest
from scenarios.harness.mix import KEPT, NEW, POSTS, Mix
from scenarios.harness.rayservice import ROLLOUT, SERVE_PORT, RayService
from scenarios.harness.rollout import Run, rolled, under_load
from scenarios.harness.sampler import sampling
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until

STEPS = (20, 50)
INTERVAL = 45
"""Seconds for which each share is kept: twice what it takes to see it in the answers."""
SAMPLED = 200
"""Short requests by whose answers a share is told; ten are sent a second."""
SOON = 60.0

SAMPLE = manifests.with_deployment(
    manifests.sample("minimal"),
    "Echo",
    # The one replica has room for the short requests beside the long ones.
    max_ongoing_requests=100,
)
STABLE = "minimal-serve-svc"
GATEWAY, ROUTE = "minimal-gateway", "minimal-httproute"
"""What the operator makes."""
FRONT, MINE = "front", "mine"
"""The user's own Gateway and HTTPRoute, at a port of their own."""


def _in_steps(manifest: Manifest, **way: str) -> Manifest:
    """The RayService whose traffic moves in steps, by a route."""
    options = {"steps": list(STEPS), "intervalSeconds": INTERVAL, **way}
    changed = manifests.with_spec(manifest, rayClusterDeletionDelaySeconds=5)
    return manifests.with_strategy(
        changed, type="NewClusterWithIncrementalUpgrade", clusterUpgradeOptions=options
    )


@pytest.fixture(scope="module", autouse=True)
def controller(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The Gateway API, and Traefik as its implementation."""
    if session.local_cluster() is None:
        pytest.skip("Traefik runs on the node, which only a local cluster lets us do")
    with traefik.running(kube, tmp_path_factory.mktemp("traefik")):
        yield


@pytest.fixture(scope="module")
def service(kube: Kube, namespace: str) -> RayService:
    """The minimal sample, which serves without a Gateway."""
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


@pytest.fixture
def front(kube: Kube, namespace: str) -> Manifest:
    """The user's Gateway, and the HTTPRoute as the user wrote it."""
    gateway = {
        "apiVersion": gateways.API_VERSION,
        "kind": "Gateway",
        "metadata": {"name": FRONT},
        "spec": {
            "gatewayClassName": traefik.CLASS,
            "listeners": [{"name": "http", "port": traefik.PORTS["other"], "protocol": "HTTP"}],
        },
    }
    route = {
        "apiVersion": gateways.API_VERSION,
        "kind": "HTTPRoute",
        "metadata": {"name": MINE},
        "spec": {
            "parentRefs": [{"name": FRONT}],
            "rules": [{"backendRefs": [{"name": STABLE, "port": SERVE_PORT}]}],
        },
    }
    kubernetes.apply(*(manifests.in_namespace(made, namespace) for made in (gateway, route)))
    return kube.get("httproutes", namespace, MINE)


def _led_to(service: RayService, gateway: str, **way: str) -> str:
    """Have the service led to by a route, and return where its Gateway answers."""
    service.patch(_in_steps(service.object, **way))
    until(lambda: service.holds("RouteReady"), "the route is in order", SOON)
    service.wait_ready()

    def address() -> str:
        return traefik.address_of(service.kube, service.namespace, gateway)

    found = until(address, "the Gateway has an address", SOON)
    until(lambda: ray.answer(f"{found}{GREET.path}"), "an answer through the Gateway", SOON)
    return found


@dataclass(frozen=True)
class Moving:
    """A rollout through an HTTPRoute as it goes on."""

    service: RayService
    route: str
    old: str
    """The cluster that served before."""

    @property
    def weights(self) -> dict[str, int]:
        """The weights of the route's only rule, by Service."""
        found = self.service.kube.get("httproutes", self.service.namespace, self.route)
        [rule] = found["spec"]["rules"]
        return {ref["name"]: ref["weight"] for ref in rule["backendRefs"]}

    @property
    def share(self) -> int:
        """What the route leads elsewhere than to the old cluster, in percent."""
        weights = self.weights
        kept = weights.get(f"{self.old}-serve-svc", 0)
        # The Service moves before a route of the user's leads to it again.
        if STABLE in weights and self.service.active_cluster == self.old:
            kept += weights[STABLE]
        return 100 - 100 * kept // sum(weights.values())

    def wait(self, share: int) -> None:
        """Wait until the route leads so much elsewhere."""
        until(lambda: self.share == share, f"{share}% by the route", ROLLOUT, every=OFTEN)

    def observed(self, run: Run, wanted: int) -> str:
        """See a share in the answers, and tell it.

        Raises AssertionError where they are too far from it, or it does not last.
        """
        given = _sample(run.mix, since=time.monotonic() + traefik.TAKEN_UP)
        assert self.share == wanted, "it has moved on while answers were counted"
        taken, expected = given.total() - given[self.old], given.total() * wanted / 100
        assert abs(taken - expected) < _chance(given.total(), wanted), given
        weights = ":".join(str(weight) for weight in self.weights.values())
        share = 100 * taken / given.total()
        return f"{wanted}% wanted: weights {weights}, {share:.1f}% of {given.total()} answers"


def _sample(mix: Mix, since: float) -> Counter[str]:
    """The answers to short requests that were sent since then, by cluster, once there are enough.

    They are counted together, because a Gateway that takes turns does so over all of them.
    """

    def enough() -> Counter[str]:
        short = (request for kind in (NEW, KEPT, POSTS) for request in mix.kinds[kind].requests)
        given = Counter(r.cluster for r in short if r.cluster and r.began > since)
        assert given.total() >= SAMPLED, given
        return given

    return until(enough, "a sample of answers", INTERVAL)


def _chance(requests: int, percent: int) -> float:
    """How far off so many requests may be: four standard deviations of a choice by lot.

    One sample of 16,000 would be further off by chance; a Gateway that takes turns is nearer.
    """
    share = percent / 100
    return 4 * math.sqrt(requests * share * (1 - share))


def _roll(moving: Moving, run: Run, **way: str) -> None:
    """Roll to a new cluster, and see each share in the route and in the answers."""
    service, watch = moving.service, Stopwatch()
    service.patch(_in_steps(rolled(SAMPLE), **way))
    for wanted in STEPS:
        moving.wait(wanted)
        run.steps[f"edit → {wanted}%"].append(watch.seconds)
        run.remarks.append(moving.observed(run, wanted))
    moving.wait(100)
    run.steps["edit → all"].append(watch.seconds)
    service.wait_alone(ROLLOUT)
    run.steps["edit → old pods gone"].append(watch.seconds)
    service.wait_ready()


def _changes(shares: Sequence[int]) -> list[int]:
    return [share for share, _ in groupby(shares)]


def _rolled_through(
    service: RayService, tables: Tables, title: str, gateway: str, route: str, **way: str
) -> Moving:
    """Roll to a new cluster by a route that a Gateway accepts, under load, and lose nothing."""
    address = _led_to(service, gateway, **way)
    moving = Moving(service, route, service.active_cluster)
    with (
        under_load(tables, title, Mix(address).with_long()) as run,
        sampling(lambda: moving.share) as shares,
    ):
        _roll(moving, run, **way)
    assert _changes(shares) == [0, *STEPS, 100]
    return moving


def test_a_gateway_that_is_made(service: RayService, tables: Tables) -> None:
    """A GatewayClass is given; the operator makes the Gateway and the HTTPRoute."""
    title, way = "through a Gateway that is made", {"gatewayClassName": traefik.CLASS}
    moving = _rolled_through(service, tables, title, GATEWAY, ROUTE, **way)
    assert moving.weights == {f"{service.active_cluster}-serve-svc": 100}


def test_a_route_of_the_users(service: RayService, front: Manifest, tables: Tables) -> None:
    """Nothing is made; the user's HTTPRoute is divided, and is as it was in the end."""
    title, way = "through a route of the user's", {"httpRoute": MINE}
    _rolled_through(service, tables, title, FRONT, MINE, **way)
    assert service.kube.get("httproutes", service.namespace, MINE)["spec"] == front["spec"]
    for plural, name in (("gateways", GATEWAY), ("httproutes", ROUTE)):
        assert service.kube.find(plural, service.namespace, name) is None
