from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from rayserve_operator.adapters.census import Census
from rayserve_operator.adapters.counting import Counts
from rayserve_operator.adapters.metrics import DEFINITIONS, PREFIX
from rayserve_operator.adapters.requests import Request
from rayserve_operator.engine.milestones import GivenUp, Phase, PhaseEnded, Switched
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.ports import Clock, Kube, Meter, Ray
from rayserve_operator.planning.actions import Announcement, Kind
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions
from tests.sim.virtual_time import run

CREATED, PROVISIONED = "2030-01-01T00:00:00Z", "2030-01-01T00:01:30Z"


def condition(type_: str, status: str, reason: str = "Why") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": PROVISIONED}


def thing(name: str, *conditions: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    about = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    return {
        "metadata": about | {"creationTimestamp": CREATED} | metadata,
        "status": {"conditions": list(conditions)},
    }


class Scrape:
    """An operator that knows nothing yet, and what a scrape of its metrics finds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counts = Counts(self.registry)
        nobody = cast(Any, None)
        self.operator = Operator(
            cast(Kube, nobody), cast(Ray, nobody), cast(Clock, nobody), RenderOptions(), meter=self.counts
        )
        self.registry.register(Census(self.operator))

    def put(self, kind: Kind, manifest: dict[str, Any]) -> None:
        self.operator.store.put(kind, manifest)

    def __call__(self, metric: str, /, **of: str) -> float | None:
        async def ask() -> float | None:
            return self.registry.get_sample_value(metric, of)

        return run(ask())


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def of(name: str) -> dict[str, str]:
    return {"namespace": "shop", "name": name, "uid": f"uid-{name}"}


def put(scrape: Scrape, kind: Kind, *manifests: dict[str, Any]) -> None:
    async def come() -> None:
        for manifest in manifests:
            scrape.put(kind, manifest)

    run(come())


def test_a_service_is_told_of_as_kuberay_does(scrape: Scrape) -> None:
    put(
        scrape,
        Kind.RAY_SERVICE,
        thing("a", condition("Ready", "True"), condition("UpgradeInProgress", "Unknown")),
        thing("b"),
    )
    assert scrape("kuberay_service_info", **of("a")) == 1
    assert scrape("kuberay_service_condition_ready", **of("a"), condition="true") == 1
    assert scrape("kuberay_service_condition_ready", **of("a"), condition="false") is None
    assert scrape("kuberay_service_condition_upgrade_in_progress", **of("a"), condition="false") == 1
    assert scrape("kuberay_service_condition_ready", **of("b"), condition="false") == 1


def test_a_cluster_is_told_of_as_kuberay_does(scrape: Scrape) -> None:
    made = {"labels": {labels.FROM_CRD: "RayService"}}
    put(
        scrape,
        Kind.RAY_CLUSTER,
        thing("a", condition("RayClusterProvisioned", "True"), **made),
        thing("b", condition("RayClusterProvisioned", "False")),
    )
    assert scrape("kuberay_cluster_info", **of("a"), owner_kind="RayService") == 1
    assert scrape("kuberay_cluster_info", **of("b"), owner_kind="None") == 1
    assert scrape("kuberay_cluster_condition_provisioned", **of("a"), condition="true") == 1
    assert scrape("kuberay_cluster_provisioned_duration_seconds", **of("a")) == 90
    assert scrape("kuberay_cluster_provisioned_duration_seconds", **of("b")) is None


@pytest.mark.parametrize("time", ["", "yesterday", "2030-01-01T00:01:30"])
def test_a_time_that_cannot_be_read_spoils_no_scrape(scrape: Scrape, time: str) -> None:
    spoilt = condition("RayClusterProvisioned", "True") | {"lastTransitionTime": time}
    put(scrape, Kind.RAY_CLUSTER, thing("a", spoilt))
    assert scrape("kuberay_cluster_provisioned_duration_seconds", **of("a")) is None
    assert scrape("kuberay_cluster_condition_provisioned", **of("a"), condition="true") == 1


def test_a_service_that_is_well_adds_no_series_of_our_own(scrape: Scrape) -> None:
    async def series() -> set[tuple[str, ...]]:
        own = (family for family in scrape.registry.collect() if family.name.startswith(PREFIX))
        return {(sample.name, *sample.labels.values()) for family in own for sample in family.samples}

    well = condition("Ready", "True"), condition("ApplicationsHealthy", "True"), condition("Suspended", "False")
    put(scrape, Kind.RAY_SERVICE, thing("a", *well))
    before = run(series())
    put(scrape, Kind.RAY_SERVICE, thing("b", *well))
    assert run(series()) == before


@pytest.mark.parametrize(
    ("type_", "status"),
    [("Stalled", "True"), ("Suspended", "True"), ("SpecValid", "False"), ("ServiceConflict", "True")],
)
def test_a_service_that_wants_attention_is_named(scrape: Scrape, type_: str, status: str) -> None:
    put(scrape, Kind.RAY_SERVICE, thing("a", condition("Ready", "False"), condition(type_, status)))
    assert scrape(f"{PREFIX}service_attention", namespace="shop", name="a", condition=type_, reason="Why") == 1


def test_objects_are_counted_by_kind_and_by_condition(scrape: Scrape) -> None:
    stalled = condition("Stalled", "True", "ImageError")
    put(scrape, Kind.RAY_SERVICE, thing("a", stalled), thing("b", stalled), thing("c"))
    about = {"kind": "RayService", "condition": "Stalled", "status": "True", "reason": "ImageError"}
    assert scrape(f"{PREFIX}conditions", **about) == 2
    assert scrape(f"{PREFIX}objects", kind="RayService") == 3
    assert scrape(f"{PREFIX}passes_waiting") == 3
    assert scrape(f"{PREFIX}passes_held") == 1


def test_an_object_that_is_gone_is_told_of_no_more(scrape: Scrape) -> None:
    async def go() -> None:
        scrape.operator.store.remove(Kind.RAY_SERVICE, "uid-a")

    put(scrape, Kind.RAY_SERVICE, thing("a"))
    run(go())
    assert scrape("kuberay_service_info", **of("a")) is None


def test_what_the_engine_tells_is_counted(scrape: Scrape) -> None:
    meter: Meter = scrape.counts
    meter.passed(Kind.RAY_SERVICE, "acted", timedelta(seconds=2))
    meter.reached(PhaseEnded(Phase.DRAIN, timedelta(seconds=70)))
    meter.reached(Switched())
    meter.reached(GivenUp("ImageError"))
    meter.announced(Kind.RAY_SERVICE, Announcement("SwitchedTraffic", "words"))
    meter.event_lost()
    meter.saw(Kind.POD, None)
    meter.doubted()
    meter.listed("done", timedelta(seconds=1))
    assert scrape(f"{PREFIX}passes_total", kind="RayService", result="acted") == 1
    assert scrape(f"{PREFIX}pass_duration_seconds_sum", kind="RayService") == 2
    assert scrape(f"{PREFIX}rollout_phase_duration_seconds_sum", phase="drain") == 70
    assert scrape(f"{PREFIX}switches_total") == 1
    assert scrape(f"{PREFIX}rollouts_given_up_total", reason="ImageError") == 1
    about = {"kind": "RayService", "type": "Normal", "reason": "SwitchedTraffic"}
    assert scrape(f"{PREFIX}announcements_total", **about) == 1
    assert scrape(f"{PREFIX}events_lost_total") == 1
    assert scrape(f"{PREFIX}watch_events_total", kind="Pod", event="LISTED") == 1
    assert scrape(f"{PREFIX}watch_interruptions_total") == 1
    assert scrape(f"{PREFIX}relists_total", result="done") == 1


def test_requests_are_counted_without_the_names_in_them(scrape: Scrape) -> None:
    scrape.counts.asked_kubernetes(Request("GET", "/api/v1/namespaces/shop/pods/head", {}, "404", 0.2))
    scrape.counts.asked_ray(Request("PUT", "/api/serve/applications/", {}, "timeout", 3.0))
    assert scrape(f"{PREFIX}api_requests_total", verb="get", resource="pods", code="404") == 1
    assert scrape(f"{PREFIX}api_request_duration_seconds_sum", verb="get") == 0.2
    about = {"method": "PUT", "path": "/api/serve/applications/"}
    assert scrape(f"{PREFIX}ray_requests_total", **about, code="timeout") == 1
    assert scrape(f"{PREFIX}ray_request_duration_seconds_sum", **about) == 3.0


def test_rollouts_that_may_fail_show_a_zero_before(scrape: Scrape) -> None:
    assert scrape(f"{PREFIX}rollouts_given_up_total", reason="CrashLoop") == 0
    assert scrape(f"{PREFIX}rollout_phase_duration_seconds_count", phase="prepare") == 0


def test_what_is_exposed_is_what_is_defined(scrape: Scrape) -> None:
    async def ask() -> set[tuple[str, str]]:
        return {(family.name, family.type) for family in scrape.registry.collect()}

    defined = {(definition.name.removesuffix("_total"), definition.type) for definition in DEFINITIONS}
    own = {(name, type_) for name, type_ in run(ask()) if not name.startswith("process_")}
    assert own == defined
