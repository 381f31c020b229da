"""The endpoint over TLS, as an API server meets it."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from rayserve_operator.adapters import webhook as module
from rayserve_operator.adapters.certificates import AUTHORITIES, X509
from rayserve_operator.adapters.webhook import AT_ONCE, LARGEST, Webhook
from rayserve_operator.engine.ports import Pair
from rayserve_operator.planning.admission import Review, review
from rayserve_operator.planning.custody import Custody
from rayserve_operator.planning.dry_run.drafts import Draft
from rayserve_operator.planning.dry_run.verdicts import Answer
from rayserve_operator.render.options import RenderOptions
from tests.lint.cases import CASES, GOOD, TRIED

HOST = "localhost"


class Reviewer:
    """Counts and times what it is asked; `held` makes it wait."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.answer = Answer(201)
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.at_work = 0
        self.most = 0

    def __call__(self, asked: Any) -> Review:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.may_go_on.wait()
        self.at_work -= 1
        if asked == "bug":
            raise KeyError("bug")
        return review(asked, Custody(), RenderOptions())

    async def try_(self, drafts: Sequence[Draft]) -> list[Answer]:
        return [self.answer] * len(drafts)

    def tell(self, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(result)


def fresh() -> tuple[Pair, ssl.SSLContext]:
    """A certificate, and a client that trusts only its authority."""
    data = X509().issue(HOST, (), datetime.now(UTC))
    stock = X509().read(data)
    assert stock is not None
    return stock.pair, ssl.create_default_context(cadata=data[AUTHORITIES])


class Client:
    def __init__(self, port: int) -> None:
        self.url = f"https://{HOST}:{port}/validate"

    async def post(self, body: Any, trusts: ssl.SSLContext) -> tuple[int, Any]:
        """Post over a connection of its own."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, data=io.BytesIO(data), ssl=trusts) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if response.status == 200 else text


@pytest.fixture
def reviewer() -> Reviewer:
    return Reviewer()


@pytest.fixture
def port() -> int:
    return unused_port()


@pytest.fixture
def client(port: int) -> Client:
    return Client(port)


@pytest.fixture
async def webhook(reviewer: Reviewer, port: int) -> AsyncIterator[Webhook]:
    webhook = Webhook(reviewer, reviewer.try_, port, reviewer.tell)
    yield webhook
    reviewer.may_go_on.set()
    await webhook.close()


@pytest.fixture
async def trusts(webhook: Webhook) -> ssl.SSLContext:
    pair, trusts = fresh()
    await webhook.show(pair)
    return trusts


def asked(manifest: Any) -> dict[str, Any]:
    request = {"uid": "u", "operation": "CREATE", "object": manifest, "oldObject": None}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


async def test_reviews_are_answered(client: Client, trusts: ssl.SSLContext, reviewer: Reviewer) -> None:
    status, answer = await client.post(asked(GOOD), trusts)
    assert (status, answer["response"]) == (200, {"uid": "u", "allowed": True})
    status, answer = await client.post(asked(CASES[0].manifest), trusts)
    assert (status, answer["response"]["allowed"]) == (200, False)
    assert reviewer.told == ["allowed", "refused"]


async def test_the_answer_waits_for_the_pods_that_are_tried(
    client: Client, trusts: ssl.SSLContext, reviewer: Reviewer
) -> None:
    reviewer.answer = TRIED[0].said
    _, answer = await client.post(asked(GOOD), trusts)
    assert not answer["response"]["allowed"]
    assert reviewer.told == ["refused"]


async def test_nobody_is_answered_before_there_is_a_certificate(client: Client, webhook: Webhook) -> None:
    _, trusts = fresh()
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.post(asked(GOOD), trusts)


async def test_a_new_certificate_is_shown_to_whoever_comes_then(
    client: Client, webhook: Webhook, trusts: ssl.SSLContext
) -> None:
    pair, trusts_the_new = fresh()
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await client.post(asked(GOOD), trusts_the_new)
    await webhook.show(pair)
    assert (await client.post(asked(GOOD), trusts_the_new))[0] == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await client.post(asked(GOOD), trusts)


@pytest.mark.parametrize(
    "body",
    [b"", b"no JSON", b"\xff", b"[" * 900_000, b"[" + b"{}," * 500_000 + b"{}]", {"kind": "Pod"}],
    ids=["empty", "no-json", "no-text", "deep", "many", "another-kind"],
)
async def test_what_cannot_be_read_is_refused_as_a_request(
    body: Any, client: Client, trusts: ssl.SSLContext, reviewer: Reviewer
) -> None:
    assert (await client.post(body, trusts))[0] == 400
    assert reviewer.told == ["unreadable"]


async def test_a_review_as_large_as_the_api_server_sends_is_read(
    client: Client, trusts: ssl.SSLContext, reviewer: Reviewer
) -> None:
    large = {**asked(GOOD), "padding": "x" * (LARGEST - 100_000)}
    assert (await client.post(large, trusts))[0] == 200
    assert (await client.post({**large, "more": "x" * 200_000}, trusts))[0] == 413
    assert reviewer.told == ["allowed", "unreadable"]


async def test_a_failure_is_no_verdict(
    client: Client, trusts: ssl.SSLContext, reviewer: Reviewer, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await client.post("bug", trusts))[0] == 500
    assert reviewer.told == ["failed"]


async def test_only_so_many_are_read_and_one_is_thought_about(
    client: Client, trusts: ssl.SSLContext, reviewer: Reviewer
) -> None:
    reviewer.may_go_on.clear()
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(client.post(asked(GOOD), trusts)) for _ in range(3 * AT_ONCE)]
        group.create_task(asyncio.to_thread(reviewer.may_go_on.set))
    assert [post.result()[0] for post in posts] == [200] * len(posts)
    assert reviewer.most == 1


async def test_who_waits_too_long_is_told_so(
    client: Client, trusts: ssl.SSLContext, reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    reviewer.may_go_on.clear()
    assert (await client.post(asked(GOOD), trusts))[0] == 503
    assert reviewer.told == ["failed"]
