"""The admission webhook: an HTTPS endpoint that answers reviews, bounded in what it reads, keeps and computes."""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web

from rayserve_operator.engine.ports import Pair
from rayserve_operator.model.documents import TooLarge, read_json
from rayserve_operator.planning.admission import NotAReview, Review
from rayserve_operator.planning.dry_run.drafts import Draft
from rayserve_operator.planning.dry_run.verdicts import Answer

logger = logging.getLogger(__name__)

PATH = "/validate"
LARGEST = 8 * 1024 * 1024
"""Bytes of a review. The API server takes 3 MiB in a request, and a review of an update holds the object twice."""
AT_ONCE = 8
"""Reviews that are read at a time, each of which may be in memory whole; the others wait with their bodies unread."""
PATIENCE = 5.0
"""Seconds that a review may take, as the API server waits for its answer."""

Read = Callable[[Any], Review]
"""Reads an AdmissionReview. Raises NotAReview."""
Try = Callable[[Sequence[Draft]], Awaitable[Sequence[Answer]]]
"""Has the API server try pods; takes well under PATIENCE."""
Tell = Callable[[str, float], None]
"""Is told how a review ended, and how many seconds it took."""


class Webhook:
    """Answers reviews over TLS, from its first certificate on."""

    def __init__(self, read: Read, try_: Try, port: int, tell: Tell = lambda _result, _seconds: None) -> None:
        self._read = read
        self._try = try_
        self._port = port
        self._tell = tell
        self._turn = asyncio.Semaphore(AT_ONCE)
        # One, because Python computes on one processor at a time, and so that a review that nobody waits for any more
        # is followed by no second one beside it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="review")
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._listens = False
        application = web.Application(client_max_size=LARGEST)
        application.router.add_post(PATH, self._answer)
        self._runner = web.AppRunner(application, access_log=None)

    async def show(self, pair: Pair) -> None:
        """Show this certificate on every connection from now on; listen, if that was not so."""
        self._load(pair)
        if not self._listens:
            await self._runner.setup()
            await web.TCPSite(self._runner, port=self._port, ssl_context=self._tls).start()
            self._listens = True

    def _load(self, pair: Pair) -> None:
        # Python lets OpenSSL read certificates and keys from files alone.
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = Path(folder, "certificate"), Path(folder, "key")
            certificate.write_text(pair.certificate)
            key.write_text(pair.key)
            self._tls.load_cert_chain(certificate, key)

    async def close(self) -> None:
        """Listen no more."""
        await self._runner.cleanup()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        began, result = loop.time(), "failed"
        try:
            async with asyncio.timeout(PATIENCE), self._turn:
                body = await request.read()
                review = await loop.run_in_executor(self._thread, self._review, body)
                tried = await self._try(review.to_be_tried)
                answer = await loop.run_in_executor(self._thread, review.answer, tried)
                result = "allowed" if answer["response"]["allowed"] else "refused"
        except TimeoutError:
            return web.Response(status=503, text="no answer in time")
        except web.HTTPRequestEntityTooLarge:
            result = "unreadable"
            raise
        except NotAReview as error:
            result = "unreadable"
            return web.Response(status=400, text=str(error))
        finally:
            self._tell(result, loop.time() - began)
        return web.json_response(answer)

    def _review(self, body: bytes) -> Review:
        try:
            asked = read_json(body)
        except (ValueError, TooLarge) as error:
            raise NotAReview(str(error)) from error
        return self._read(asked)
