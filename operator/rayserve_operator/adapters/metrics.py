"""The operator's Prometheus metrics, all defined here; docs/metrics.md is made from these definitions.

Under our own prefix single objects are told of only while they want a person's attention, so that a thousand that are
well cost no more series than one. Those under `kuberay_` tell of each object, because KubeRay's do, and its dashboards
read them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily

PREFIX: Final = "rayserve_operator_"

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_ROLLOUT_SECONDS = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()

    def counter(self, registry: CollectorRegistry) -> Counter:
        """The metric as one that is counted up."""
        return Counter(self.name, self.help, self.labels, registry=registry)

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """The metric as one whose values are sorted into buckets."""
        return Histogram(self.name, self.help, self.labels, buckets=self.buckets, registry=registry)

    def gauge(self) -> GaugeMetricFamily:
        """The metric as one that is found out when it is asked for."""
        return GaugeMetricFamily(self.name, self.help, labels=self.labels)


DEFINITIONS: Final[list[Definition]] = []
"""All metrics, in the order of this module."""


def _define(
    name: str,
    type_: Literal["counter", "gauge", "histogram"],
    labels_: tuple[str, ...],
    help_: str,
    buckets: tuple[float, ...] = (),
) -> Definition:
    definition = Definition(name, type_, labels_, help_, buckets)
    DEFINITIONS.append(definition)
    return definition


PASSES = _define(
    f"{PREFIX}passes_total",
    "counter",
    ("kind", "result"),
    "Passes that have ended, by result: acted, rested (nothing was to be done), or the type of their error.",
)
PASS_SECONDS = _define(
    f"{PREFIX}pass_duration_seconds",
    "histogram",
    ("kind",),
    "Duration of passes, with the requests to Kubernetes and Ray that were waited for.",
    _REQUEST_SECONDS,
)
PASSES_RUNNING = _define(f"{PREFIX}passes_running", "gauge", (), "Passes under way.")
PASSES_WAITING = _define(
    f"{PREFIX}passes_waiting",
    "gauge",
    (),
    "Objects that are due for a pass, which does not begin because passes are held.",
)
PASSES_HELD = _define(
    f"{PREFIX}passes_held",
    "gauge",
    (),
    "1 while no pass begins here, as from when a watch is cut until what there is has been listed; else 0.",
)
LONGEST_PASS = _define(
    f"{PREFIX}longest_pass_seconds", "gauge", (), "Age of the oldest pass under way; 0 where none is."
)
PHASE_SECONDS = _define(
    f"{PREFIX}rollout_phase_duration_seconds",
    "histogram",
    ("phase",),
    "Duration of the parts of rollouts, from the stamps on RayClusters and ControllerRevisions.",
    _ROLLOUT_SECONDS,
)
SWITCHES = _define(
    f"{PREFIX}switches_total", "counter", (), "Times that traffic was moved to another cluster, or given its first one."
)
GIVEN_UP = _define(
    f"{PREFIX}rollouts_given_up_total",
    "counter",
    ("reason",),
    "Rollouts that were given up and, where that is possible, rolled back, by the reason of condition Stalled.",
)
ANNOUNCEMENTS = _define(
    f"{PREFIX}announcements_total",
    "counter",
    ("kind", "type", "reason"),
    "Decisions and changes of conditions that were told as Kubernetes events, without the repetitions of warnings.",
)
EVENTS_LOST = _define(f"{PREFIX}events_lost_total", "counter", (), "Kubernetes events that could not be written.")
RAY_REQUESTS = _define(
    f"{PREFIX}ray_requests_total",
    "counter",
    ("method", "path", "code"),
    "Requests to Ray, by HTTP status; timeout or error where there was no answer.",
)
RAY_SECONDS = _define(
    f"{PREFIX}ray_request_duration_seconds",
    "histogram",
    ("method", "path"),
    "Time until Ray's answer began, or the request was given up.",
    _REQUEST_SECONDS,
)
API_REQUESTS = _define(
    f"{PREFIX}api_requests_total",
    "counter",
    ("verb", "resource", "code"),
    "Requests of the engine to the API server, by HTTP status; timeout or error where there was no answer.",
)
API_SECONDS = _define(
    f"{PREFIX}api_request_duration_seconds",
    "histogram",
    ("verb",),
    "Time until the API server's answer began, or the request was given up.",
    _REQUEST_SECONDS,
)
WATCH_EVENTS = _define(
    f"{PREFIX}watch_events_total",
    "counter",
    ("kind", "event"),
    "Objects that a watch has shown, by type of the event; or LISTED.",
)
INTERRUPTIONS = _define(
    f"{PREFIX}watch_interruptions_total",
    "counter",
    (),
    "Times that a watch was cut or the API server not reached, so that passes were held until all was listed.",
)
RELISTS = _define(
    f"{PREFIX}relists_total",
    "counter",
    ("result",),
    "Times that everything watched was listed, by result: done or failed.",
)
RELIST_SECONDS = _define(
    f"{PREFIX}relist_duration_seconds",
    "histogram",
    (),
    "Time that it took to list everything watched.",
    _REQUEST_SECONDS,
)
REVIEW_SECONDS = _define(
    f"{PREFIX}review_duration_seconds",
    "histogram",
    ("result",),
    "Time until the webhook's answer, by result: allowed, refused, unreadable, or failed (none was found in time).",
    _REQUEST_SECONDS,
)
OBJECTS = _define(f"{PREFIX}objects", "gauge", ("kind",), "Objects that the operator knows.")
CONDITIONS = _define(
    f"{PREFIX}conditions",
    "gauge",
    ("kind", "condition", "status", "reason"),
    "RayServices and RayClusters whose status has this condition.",
)
ATTENTION = _define(
    f"{PREFIX}service_attention",
    "gauge",
    ("namespace", "name", "condition", "reason"),
    "1 for each RayService whose condition Stalled, ServiceConflict, Suspending or Suspended is true, or SpecValid,"
    " ApplicationsHealthy or RouteReady false. There is no series for a service that is well.",
)
BUILD = _define(f"{PREFIX}build_info", "gauge", ("version", "python"), "1, with what runs.")

_OBJECT = ("namespace", "name", "uid")
CLUSTER_INFO = _define(
    "kuberay_cluster_info",
    "gauge",
    (*_OBJECT, "owner_kind"),
    "1 for each RayCluster, with the kind that it was made for: RayService, RayJob or None.",
)
CLUSTER_PROVISIONED = _define(
    "kuberay_cluster_condition_provisioned",
    "gauge",
    (*_OBJECT, "condition"),
    "1 for each RayCluster, with whether condition RayClusterProvisioned is true or false.",
)
CLUSTER_PROVISIONED_SECONDS = _define(
    "kuberay_cluster_provisioned_duration_seconds",
    "gauge",
    _OBJECT,
    "Time from the creation of a RayCluster until all its pods were ready for the first time.",
)
SERVICE_INFO = _define("kuberay_service_info", "gauge", _OBJECT, "1 for each RayService.")
SERVICE_READY = _define(
    "kuberay_service_condition_ready",
    "gauge",
    (*_OBJECT, "condition"),
    "1 for each RayService, with whether condition Ready is true or false.",
)
SERVICE_UPGRADE = _define(
    "kuberay_service_condition_upgrade_in_progress",
    "gauge",
    (*_OBJECT, "condition"),
    "1 for each RayService, with whether condition UpgradeInProgress is true or false.",
)
