"""The operator's Prometheus metrics, all defined here; docs/metrics.md is made from these definitions.

Under our own prefix single objects are told of only while they want a person's attention, so that a thousand that are
well cost no more series than one. Those under `kuberay_` tell of each object, because KubeRay's do, and its dashboards
read them by name.
"""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from rayserve_operator import __version__
from rayserve_operator.adapters.requests import Request, api_call
from rayserve_operator.engine.milestones import GivenUp, Milestone, Phase, PhaseEnded, Switched
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.store import ClusterRecord, ServiceRecord
from rayserve_operator.model.conditions import ClusterCondition, Condition, ServiceCondition
from rayserve_operator.planning.actions import Announcement, Kind
from rayserve_operator.planning.service.giving_up import Reason
from rayserve_operator.render import labels

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
    "1 for each RayService whose condition Stalled, ServiceConflict, Suspending or Suspended is true, or SpecValid or"
    " ApplicationsHealthy false. There is no series for a service that is well.",
)
BUILD = _define(f"{PREFIX}build_info", "gauge", ("version", "python"), "1, with what runs.")

_CALLS_FOR_ATTENTION: Final = frozenset(
    {
        (ServiceCondition.STALLED, "True"),
        (ServiceCondition.SERVICE_CONFLICT, "True"),
        (ServiceCondition.SUSPENDING, "True"),
        (ServiceCondition.SUSPENDED, "True"),
        (ServiceCondition.SPEC_VALID, "False"),
        (ServiceCondition.APPLICATIONS_HEALTHY, "False"),
    }
)
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


class Metrics:
    """The `Meter` of the engine, and what its requests are told to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # When a series was made is of no use here, and would double their number.
        disable_created_metrics()
        ProcessCollector(registry=registry)
        self._passes = PASSES.counter(registry)
        self._pass_seconds = PASS_SECONDS.histogram(registry)
        self._phases = PHASE_SECONDS.histogram(registry)
        self._switches = SWITCHES.counter(registry)
        self._given_up = GIVEN_UP.counter(registry)
        self._announcements = ANNOUNCEMENTS.counter(registry)
        self._events_lost = EVENTS_LOST.counter(registry)
        self._ray_requests = RAY_REQUESTS.counter(registry)
        self._ray_seconds = RAY_SECONDS.histogram(registry)
        self._api_requests = API_REQUESTS.counter(registry)
        self._api_seconds = API_SECONDS.histogram(registry)
        self._watch_events = WATCH_EVENTS.counter(registry)
        self._interruptions = INTERRUPTIONS.counter(registry)
        self._relists = RELISTS.counter(registry)
        self._relist_seconds = RELIST_SECONDS.histogram(registry)
        # A counter that begins with its first event shows no increase for that one.
        for phase in Phase:
            self._phases.labels(phase)
        for reason in Reason:
            self._given_up.labels(reason)

    def passed(self, kind: Kind, result: str, took: timedelta) -> None:
        """Count a pass."""
        self._passes.labels(kind, result).inc()
        self._pass_seconds.labels(kind).observe(took.total_seconds())

    def reached(self, milestone: Milestone) -> None:
        """Count what has become of a rollout."""
        match milestone:
            case PhaseEnded(phase, took):
                self._phases.labels(phase).observe(took.total_seconds())
            case Switched():
                self._switches.inc()
            case GivenUp(reason):
                self._given_up.labels(reason).inc()

    def announced(self, kind: Kind, announcement: Announcement) -> None:
        """Count something that was told."""
        self._announcements.labels(kind, announcement.type, announcement.reason).inc()

    def event_lost(self) -> None:
        """Count an event that could not be written."""
        self._events_lost.inc()

    def saw(self, kind: Kind, event: str | None) -> None:
        """Count a watch event."""
        self._watch_events.labels(kind, event or "LISTED").inc()

    def doubted(self) -> None:
        """Count a cut."""
        self._interruptions.inc()

    def listed(self, result: str, took: timedelta) -> None:
        """Count a listing."""
        self._relists.labels(result).inc()
        self._relist_seconds.observe(took.total_seconds())

    def asked_ray(self, request: Request) -> None:
        """Count a request to Ray. Its paths are few and fixed."""
        self._ray_requests.labels(request.method, request.path, request.code).inc()
        self._ray_seconds.labels(request.method, request.path).observe(request.seconds)

    def asked_kubernetes(self, request: Request) -> None:
        """Count a request to the API server."""
        call = api_call(request)
        self._api_requests.labels(call.verb, call.resource, request.code).inc()
        self._api_seconds.labels(call.verb).observe(request.seconds)


class Census(Collector):
    """What there is, found out whenever it is asked for."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    @override
    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        load, store = self._operator.loop.load(), self._operator.store
        yield _one(BUILD, 1, __version__, platform.python_version())
        yield _one(PASSES_RUNNING, load.running)
        yield _one(PASSES_WAITING, load.waiting)
        yield _one(PASSES_HELD, load.is_held)
        yield _one(LONGEST_PASS, load.longest.total_seconds())
        objects = OBJECTS.gauge()
        for kind, count in store.counts():
            objects.add_metric([kind], count)
        yield objects
        services, clusters = list(store.services()), list(store.clusters())
        yield _conditions(services, clusters)
        yield _attention(services)
        yield from _of_services(services)
        yield from _of_clusters(clusters)


def _one(definition: Definition, value: float, *of: str) -> Metric:
    family = definition.gauge()
    family.add_metric(of, value)
    return family


def _conditions(services: list[ServiceRecord], clusters: list[ClusterRecord]) -> Metric:
    tally = Tally(
        (kind, condition.type, condition.status, condition.reason)
        for kind, records in ((Kind.RAY_SERVICE, services), (Kind.RAY_CLUSTER, clusters))
        for record in records
        for condition in record.status.conditions
    )
    family = CONDITIONS.gauge()
    for found, count in tally.items():
        family.add_metric(found, count)
    return family


def _attention(services: list[ServiceRecord]) -> Metric:
    family = ATTENTION.gauge()
    for record in services:
        for condition in record.status.conditions:
            if (condition.type, condition.status) in _CALLS_FOR_ATTENTION:
                family.add_metric([record.meta.namespace, record.meta.name, condition.type, condition.reason], 1)
    return family


def _of_services(services: list[ServiceRecord]) -> Iterator[Metric]:
    info, ready, upgrade = SERVICE_INFO.gauge(), SERVICE_READY.gauge(), SERVICE_UPGRADE.gauge()
    for record in services:
        about = _about(record)
        info.add_metric(about, 1)
        ready.add_metric([*about, _holds(record, ServiceCondition.READY)], 1)
        upgrade.add_metric([*about, _holds(record, ServiceCondition.UPGRADE_IN_PROGRESS)], 1)
    yield from (info, ready, upgrade)


def _of_clusters(clusters: list[ClusterRecord]) -> Iterator[Metric]:
    info, provisioned = CLUSTER_INFO.gauge(), CLUSTER_PROVISIONED.gauge()
    seconds = CLUSTER_PROVISIONED_SECONDS.gauge()
    for record in clusters:
        about = _about(record)
        info.add_metric([*about, record.meta.labels.get(labels.FROM_CRD, "None")], 1)
        provisioned.add_metric([*about, _holds(record, ClusterCondition.PROVISIONED)], 1)
        took = _provisioned_after(record)
        if took is not None:
            seconds.add_metric(about, took.total_seconds())
    yield from (info, provisioned, seconds)


def _provisioned_after(record: ClusterRecord) -> timedelta | None:
    """How long the cluster took; None where it is not there yet, or its status was written by a careless hand."""
    condition = _condition(record, ClusterCondition.PROVISIONED)
    if condition is None or condition.status != "True" or record.meta.created is None:
        return None
    try:
        return datetime.fromisoformat(condition.last_transition_time) - record.meta.created
    except (ValueError, TypeError):
        return None


def _about(record: ServiceRecord | ClusterRecord) -> tuple[str, str, str]:
    return record.meta.namespace, record.meta.name, record.meta.uid


def _holds(record: ServiceRecord | ClusterRecord, type_: str) -> str:
    condition = _condition(record, type_)
    return "true" if condition is not None and condition.status == "True" else "false"


def _condition(record: ServiceRecord | ClusterRecord, type_: str) -> Condition | None:
    return next((found for found in record.status.conditions if found.type == type_), None)
