"""What the engine needs of the world: a handful of verbs, so that a fake of it is small."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from rayserve_operator.engine.milestones import Milestone
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.actions import Announcement, Kind
from rayserve_operator.planning.certificates import Authority, Held
from rayserve_operator.planning.dry_run.verdicts import Answer
from rayserve_operator.planning.observed import Traffic

Manifest = Mapping[str, Any]


class Listing(NamedTuple):
    """What a list named, and the version at which it was taken."""

    uids: frozenset[str]
    version: str


class Kube(Protocol):
    """The Kubernetes API. Every verb raises `OperatorError`s of model.errors and nothing else."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Read an object afresh. Raises NotFound."""

    def everything(self, kind: Kind) -> AsyncIterator[Manifest]:
        """Every object of the kind that is watched, whole."""

    async def living(self, kind: Kind) -> Listing:
        """Every object of the kind that is watched, by a metadata-only list."""

    async def schema(self, kind: Kind) -> Manifest:
        """The OpenAPI schema by which a kind of ours is served. Raises NotFound and Refused."""

    async def leases(self, name: str) -> Sequence[Manifest]:
        """The Leases of that name, in whatever namespace."""

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """POST. Raises AlreadyExists, and OutcomeUnknown where no answer came."""

    async def dry_run(self, kind: Kind, manifest: Manifest) -> Answer:
        """What is said to a create that makes nothing, and in which no field may be unknown. Only silence raises."""

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply, taking over fields of others. A resourceVersion is a precondition."""

    async def patch(self, kind: Kind, namespace: str, name: str, operations: Sequence[Manifest]) -> Manifest:
        """JSON patch. Raises Superseded where a `test` fails."""

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        """JSON merge patch."""

    async def write_status(self, kind: Kind, namespace: str, name: str, status: Manifest) -> Manifest:
        """Replace the status."""

    async def endpoints(self, namespace: str, service: str) -> frozenset[str]:
        """Names of the pods that the Service's EndpointSlices send traffic to."""

    async def delete(
        self, kind: Kind, namespace: str, name: str, uid: str, *, grace: int | None = None
    ) -> Manifest | None:
        """Delete the object with this uid, dependents in the background; a pod is given `grace` seconds to end.

        Returns what is left of it while it terminates, or None once it is gone. Raises NotFound and Superseded.
        """


class Ray(Protocol):
    """Ray's own HTTP endpoints. Every verb raises `OperatorError`s of model.errors and nothing else."""

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        """GET the Serve applications from the dashboard at `host:port`. Raises TokenRefused."""

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        """PUT a Serve config. Raises Refused with Ray's words, and TokenRefused."""

    async def ongoing_requests(self, host: str, port: int) -> int | None:
        """Requests under way on the pod whose metrics are there; None where they cannot be known."""

    async def traffic(self, host: str, port: int) -> Traffic | None:
        """What the pod whose metrics are there has counted of HTTP requests; None where that cannot be known."""

    async def answers(self, host: str, port: int, path: str, *, https: bool) -> int | None:
        """The status with which the Serve proxy there answers a GET; None where no answer comes."""

    async def proxy_answers(self, host: str, port: int, *, https: bool) -> bool:
        """Whether the Serve proxy there passes its health check; every kind of failure is a no."""


class Pair(NamedTuple):
    """A certificate, with what leads to its authority, and its key; both in PEM."""

    certificate: str
    key: str


class Stock(NamedTuple):
    """A certificate, and what is decided from."""

    held: Held
    pair: Pair


class Workshop(Protocol):
    """Makes and reads certificates."""

    def issue(self, name: str, keep: Sequence[Authority], now: datetime) -> Mapping[str, str]:
        """Data of a Secret with a new certificate for a DNS name, and with older authorities that stay trusted."""

    def read(self, data: Mapping[str, str]) -> Stock | None:
        """What the data of a Secret holds; None where that is no certificate that can be shown."""


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """The time, with its zone."""


class Meter(Protocol):
    """Counts and times what the engine does, without telling objects apart. No verb raises or waits."""

    def passed(self, kind: Kind, result: str, took: timedelta) -> None:
        """A pass has ended: it `acted`, it `rested`, or it failed with an error of this type's name."""

    def reached(self, milestone: Milestone) -> None:
        """A rollout has come to a point."""

    def announced(self, kind: Kind, announcement: Announcement) -> None:
        """Something was told about an object of this kind."""

    def event_lost(self) -> None:
        """A Kubernetes event could not be written."""

    def saw(self, kind: Kind, event: str | None) -> None:
        """A watch has shown an object; without a type, because it was listed."""

    def doubted(self) -> None:
        """A watch was cut, or the API server not reached: no pass begins until all was listed."""

    def listed(self, result: str, took: timedelta) -> None:
        """Everything that is watched was listed: `done`, or `failed`."""


class Unmetered:
    """A Meter that keeps nothing."""

    def passed(self, kind: Kind, result: str, took: timedelta) -> None:
        """Nothing."""

    def reached(self, milestone: Milestone) -> None:
        """Nothing."""

    def announced(self, kind: Kind, announcement: Announcement) -> None:
        """Nothing."""

    def event_lost(self) -> None:
        """Nothing."""

    def saw(self, kind: Kind, event: str | None) -> None:
        """Nothing."""

    def doubted(self) -> None:
        """Nothing."""

    def listed(self, result: str, took: timedelta) -> None:
        """Nothing."""
