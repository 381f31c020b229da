from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import unused_port
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from rayserve_operator.adapters.web import Endpoints


class State:
    alive = True
    ready = False


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
async def address(state: State) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    Counter("seen", "Things.", registry=registry).inc()
    endpoints = Endpoints(registry, is_alive=lambda: state.alive, is_ready=lambda: state.ready)
    port = unused_port()
    await endpoints.open(port)
    yield f"http://127.0.0.1:{port}"
    await endpoints.close()


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


async def test_probes_say_what_is_so_now(address: str, state: State) -> None:
    assert (await status(f"{address}/healthz"), await status(f"{address}/readyz")) == (200, 503)
    state.alive, state.ready = False, True
    assert (await status(f"{address}/healthz"), await status(f"{address}/readyz")) == (503, 200)


async def test_metrics_are_what_prometheus_reads(address: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
        [family] = [f for f in text_string_to_metric_families(await response.text()) if f.name == "seen"]
    assert ("seen_total", 1.0) in [(sample.name, sample.value) for sample in family.samples]
