"""Ray's own HTTP endpoints: the Serve REST API on the dashboard, and the health check of a Serve proxy.

Whoever may run a Ray says what it answers. So no answer sends the operator elsewhere, reaches another Ray, or is read
without end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from rayserve_operator.adapters.requests import Request, describe, tracing
from rayserve_operator.model.addresses import authority
from rayserve_operator.model.documents import TooLarge, read_json
from rayserve_operator.model.errors import Refused, TokenRefused, Unavailable
from rayserve_operator.model.serve import ServeConfig, ServeStatus
from rayserve_operator.planning.observed import Traffic

APPLICATIONS = "/api/serve/applications/"
READ_TIMEOUT = aiohttp.ClientTimeout(total=3, connect=1)
SUBMIT_TIMEOUT = aiohttp.ClientTimeout(total=75, connect=2)
"""A first PUT starts Serve, and Ray gives the proxy 60 s for that (Ray's HTTP_PROXY_TIMEOUT)."""
PROXY_TIMEOUT = aiohttp.ClientTimeout(total=2)
METRICS_TIMEOUT = aiohttp.ClientTimeout(total=4, connect=1)
ONGOING = (
    "ray_serve_num_ongoing_http_requests",
    "ray_serve_num_ongoing_grpc_requests",
    "ray_serve_num_ongoing_requests_at_replicas",
    "ray_serve_replica_processing_queries",
)
"""Gauges of requests under way: in a proxy, in a proxy that waits for a replica, and in a replica."""
ANSWERED = "ray_serve_num_http_requests_total"
"""Counter of answers, by `status_code`."""
TOOK = "ray_serve_http_request_latency_ms_sum"
"""What they took together, in milliseconds."""
QUEUED = "ray_serve_deployment_queued_queries"
"""Gauge of requests to a deployment that no replica has taken yet."""
PROCESSING = "ray_serve_replica_processing_queries"
"""Gauge of requests that a replica has taken and not answered yet."""
REPLICA_HEALTHY = "ray_serve_deployment_replica_healthy"
"""Gauge of a replica: 1 if it is healthy."""
SMOKE_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)
WORDS = 2000
LARGEST = 8 * 1024 * 1024
"""Bytes of an answer. Ray's status of ten thousand replicas is smaller, and so are the metrics of a head."""
MOST_SAMPLES = 10_000
LONGEST_SAMPLE = 1024
"""Samples of one pod that are parsed, and their characters, for which the parser's time grows with the square."""

T = TypeVar("T")


class RayApi:
    """The `Ray` of the engine. Connections to dashboards are kept; to all other ports of pods each request has its own.

    A proxy is asked whether it takes new connections, and what a rollout asks of each pod is not asked at rest.
    """

    def __init__(self, user_agent: str, on_request: Callable[[Request], None] = lambda _: None) -> None:
        def session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
            # Ray hides env_vars from clients that look like a browser, so the name must not begin with Mozilla.
            return aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": user_agent, "Accept-Encoding": "identity"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[tracing(on_request)],
            )

        self._dashboards = session(aiohttp.TCPConnector(limit=0, keepalive_timeout=60))
        self._pods = session(aiohttp.TCPConnector(limit=0, force_close=True))

    async def close(self) -> None:
        """Close the connections."""
        await self._dashboards.close()
        await self._pods.close()

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        """GET the Serve applications from the dashboard at `host:port`. Raises Unavailable and TokenRefused."""
        url = f"http://{address}{APPLICATIONS}"
        try:
            async with self._dashboards.get(
                url, headers=_authorization(token), timeout=READ_TIMEOUT, allow_redirects=False
            ) as response:
                _check_token(response.status)
                if response.status != 200:  # noqa: PLR2004
                    raise Unavailable(f"Ray answered {response.status} to GET {APPLICATIONS}")
                return ServeStatus.parse(read_json(await _body(response)))
        except (AttributeError, KeyError, TypeError, TooLarge) as error:
            raise Unavailable(f"what answered in the place of Ray's dashboard is not it: {describe(error)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"no answer from Ray's dashboard: {describe(error)}") from error

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        """PUT a Serve config.

        Raises:
            Refused: with Ray's words; a 500 counts too, because Ray answers so to some configs that never can work.
            Unavailable: no answer, or Ray is not ready for one.
            TokenRefused: Ray asks for another token.
        """
        url = f"http://{address}{APPLICATIONS}"
        try:
            async with self._dashboards.put(
                url,
                json=config.document,
                headers=_authorization(token),
                timeout=SUBMIT_TIMEOUT,
                allow_redirects=False,
            ) as response:
                _check_token(response.status)
                words = (await _body(response)).decode(errors="replace")[-WORDS:].strip()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"no answer from Ray to PUT {APPLICATIONS}: {describe(error)}") from error
        if status in (400, 500):
            raise Refused(f"Ray refused the Serve config ({status}): {words}")
        if status >= 300:  # noqa: PLR2004
            raise Unavailable(f"Ray answered {status} to PUT {APPLICATIONS}: {words}")

    async def ongoing_requests(self, host: str, port: int) -> int | None:
        """Requests under way on the pod whose metrics are there; None where they cannot be known."""
        return await self._measured(host, port, ongoing)

    async def traffic(self, host: str, port: int) -> Traffic | None:
        """What the pod whose metrics are there has counted of HTTP requests; None where that cannot be known."""
        return await self._measured(host, port, traffic)

    async def _measured(self, host: str, port: int, read: Callable[[str], T | None]) -> T | None:
        try:
            async with self._pods.get(
                f"http://{authority(host, port)}/metrics", timeout=METRICS_TIMEOUT, allow_redirects=False
            ) as response:
                return read((await _body(response)).decode()) if response.status == 200 else None  # noqa: PLR2004
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    async def proxy_answers(self, host: str, port: int, *, https: bool) -> bool:
        """Whether the Serve proxy there passes its health check; every kind of failure is a no."""
        return await self._answer(host, port, "/-/healthz", https=https, within=PROXY_TIMEOUT) == 200  # noqa: PLR2004

    async def answers(self, host: str, port: int, path: str, *, https: bool) -> int | None:
        """The status with which the Serve proxy there answers a GET; None where no answer comes."""
        return await self._answer(host, port, path, https=https, within=SMOKE_TIMEOUT)

    async def _answer(
        self, host: str, port: int, path: str, *, https: bool, within: aiohttp.ClientTimeout
    ) -> int | None:
        url = f"{'https' if https else 'http'}://{authority(host, port)}{path}"
        try:
            # A certificate is made out to the name that clients know, and never to the address of a pod.
            async with self._pods.get(url, timeout=within, ssl=False, allow_redirects=False) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None


def ongoing(metrics: str) -> int | None:
    """Requests under way, in a pod's metrics. No gauge yet means no request yet; no metric of Ray means not known.

    Raises:
        ValueError: if the text is no metrics.
    """
    samples = _samples(metrics, ONGOING)
    return None if samples is None else round(sum(sample.value for sample in samples))


def traffic(metrics: str) -> Traffic | None:
    """HTTP requests that were answered, in a pod's metrics; None where no metric is Ray's.

    Raises:
        ValueError: if the text is no metrics.
    """
    samples = _samples(metrics, (ANSWERED, TOOK))
    if samples is None:
        return None
    # The kubelet asks every proxy for its health all the time.
    samples = [sample for sample in samples if not sample.labels.get("route", "").startswith("/-/")]
    answered = [sample for sample in samples if sample.name == ANSWERED]
    return Traffic(
        requests=round(sum(sample.value for sample in answered)),
        errors=round(sum(sample.value for sample in answered if sample.labels.get("status_code", "").startswith("5"))),
        milliseconds=sum(sample.value for sample in samples if sample.name == TOOK),
    )


@dataclass(frozen=True, slots=True)
class Load:
    """What is under way in a deployment."""

    replicas: int = 0
    """Those that are healthy."""
    queued: int = 0
    """Requests that no replica has taken yet."""
    ongoing: int = 0
    """Requests that replicas have taken and not answered yet."""

    def __add__(self, other: Load) -> Load:
        """Both together."""
        return Load(self.replicas + other.replicas, self.queued + other.queued, self.ongoing + other.ongoing)


def loads(metrics: str) -> dict[tuple[str, str], Load] | None:
    """What a pod's metrics tell of deployments, by application and name; None where no metric is Ray's.

    Raises:
        ValueError: if the text is no metrics.
    """
    samples = _samples(metrics, (QUEUED, PROCESSING, REPLICA_HEALTHY))
    if samples is None:
        return None
    found: dict[tuple[str, str], Load] = {}
    for sample in samples:
        key = sample.labels.get("application", ""), sample.labels.get("deployment", "")
        count = round(sample.value)
        told = {QUEUED: Load(queued=count), PROCESSING: Load(ongoing=count), REPLICA_HEALTHY: Load(replicas=count)}
        found[key] = found.get(key, Load()) + told[sample.name]
    return found


def _samples(metrics: str, names: tuple[str, ...]) -> list[Sample] | None:
    lines = [line for line in metrics.splitlines() if line.startswith("ray_")]
    # Of a head's two thousand lines a handful matter, and parsing takes its time.
    wanted = [line for line in lines if line.startswith(names)]
    if len(wanted) > MOST_SAMPLES or any(len(line) > LONGEST_SAMPLE for line in wanted):
        raise ValueError("has more samples than Ray tells, or longer ones")
    families = text_string_to_metric_families("\n".join(wanted))
    found = [sample for family in families for sample in family.samples if sample.name in names]
    if not all(math.isfinite(sample.value) for sample in found):
        raise ValueError("has a sample that is no number")
    return found if lines else None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The whole of an answer. Raises ValueError if it is longer than any that Ray gives."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            raise ValueError(f"the answer is longer than {LARGEST} bytes")
    return bytes(body)


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


def _check_token(status: int) -> None:
    if status in (401, 403):
        raise TokenRefused("Ray refuses the token that it was given" if status == 403 else "Ray asks for a token")  # noqa: PLR2004
