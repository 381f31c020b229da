"""Counts and times what the engine and its requests tell of."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from rayserve_operator.adapters import metrics
from rayserve_operator.adapters.requests import Request, api_call
from rayserve_operator.engine.milestones import GivenUp, Milestone, Phase, PhaseEnded, Switched
from rayserve_operator.planning.actions import Announcement, Kind
from rayserve_operator.planning.service.giving_up import Reason


class Counts:
    """The `Meter` of the engine, and what its requests are told to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # When a series was made is of no use here, and would double their number.
        disable_created_metrics()
        ProcessCollector(registry=registry)
        self._passes = metrics.PASSES.counter(registry)
        self._pass_seconds = metrics.PASS_SECONDS.histogram(registry)
        self._phases = metrics.PHASE_SECONDS.histogram(registry)
        self._switches = metrics.SWITCHES.counter(registry)
        self._given_up = metrics.GIVEN_UP.counter(registry)
        self._announcements = metrics.ANNOUNCEMENTS.counter(registry)
        self._events_lost = metrics.EVENTS_LOST.counter(registry)
        self._ray_requests = metrics.RAY_REQUESTS.counter(registry)
        self._ray_seconds = metrics.RAY_SECONDS.histogram(registry)
        self._api_requests = metrics.API_REQUESTS.counter(registry)
        self._api_seconds = metrics.API_SECONDS.histogram(registry)
        self._watch_events = metrics.WATCH_EVENTS.counter(registry)
        self._interruptions = metrics.INTERRUPTIONS.counter(registry)
        self._relists = metrics.RELISTS.counter(registry)
        self._relist_seconds = metrics.RELIST_SECONDS.histogram(registry)
        self._review_seconds = metrics.REVIEW_SECONDS.histogram(registry)
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

    def reviewed(self, result: str, seconds: float) -> None:
        """Count a review of the webhook."""
        self._review_seconds.labels(result).observe(seconds)

    def asked_ray(self, request: Request) -> None:
        """Count a request to Ray. Its paths are few and fixed."""
        self._ray_requests.labels(request.method, request.path, request.code).inc()
        self._ray_seconds.labels(request.method, request.path).observe(request.seconds)

    def asked_kubernetes(self, request: Request) -> None:
        """Count a request to the API server."""
        call = api_call(request)
        self._api_requests.labels(call.verb, call.resource, request.code).inc()
        self._api_seconds.labels(call.verb).observe(request.seconds)
