"""A steady load of short requests, each on a new connection, as from many clients."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp

from scenarios.harness.asking import Question

TIMEOUT = 10.0


@dataclass(frozen=True)
class Request:
    """What became of one request."""

    began: float
    seconds: float
    cluster: str | None
    """The Ray cluster that answered."""
    failure: str | None
    """Why there was no good answer."""
    repeated: bool = False
    """Whether the client sent it a second time, because its connection was closed at once."""


def read_answer(status: int, text: str) -> tuple[str | None, str | None]:
    """The Ray cluster that gave an answer, and why it is not a good one.

    Raises ValueError where a good answer is not JSON.
    """
    if status == 200:
        return json.loads(text).get("cluster"), None
    return None, f"status {status}: {text[:200]}"


@dataclass(kw_only=True)
class Record:
    """What became of requests."""

    requests: list[Request] = field(default_factory=list)
    _zero: float = field(default_factory=time.monotonic)

    @property
    def sent(self) -> int:
        """How many requests are over."""
        return len(self.requests)

    @property
    def failed(self) -> list[Request]:
        """The requests without a good answer."""
        return [request for request in self.requests if request.failure]

    @property
    def repeated(self) -> int:
        """How many requests their clients sent a second time."""
        return sum(request.repeated for request in self.requests)

    @property
    def longest(self) -> float:
        """Seconds that the slowest request took."""
        return max((request.seconds for request in self.requests), default=0.0)

    def mark(self) -> None:
        """Count time from here on."""
        self._zero = time.monotonic()

    @property
    def slowest(self) -> str:
        """The slowest request in words: how long, when, and who answered."""
        slowest = max(self.requests, key=lambda request: request.seconds)
        began = slowest.began - self._zero
        return f"{slowest.seconds:.2f} s, sent at {began:.1f} s, answered by {slowest.cluster}"

    @property
    def by_cluster(self) -> Counter[str]:
        """Good answers by the Ray cluster that gave them."""
        return Counter(request.cluster for request in self.requests if request.cluster)

    def explain(self) -> str:
        """What failed, in words, for a message."""
        kinds = Counter(request.failure for request in self.failed)
        failed = f"{len(self.failed)} of {self.sent} failed: {dict(kinds)}"
        return f"{failed}; answers by cluster: {dict(self.by_cluster)}"


@dataclass
class Load(Record):
    """Sends `rate` requests a second for as long as it runs, and remembers what became of each."""

    url: str
    question: Question
    rate: float = 10.0
    patience: float = TIMEOUT
    """Seconds after which a request without its whole answer has failed."""
    most: int | None = None
    """Requests after which it sends no more."""

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Run in a thread; the end waits for the requests under way."""
        end = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._send_until(end)), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join()

    async def _send_until(self, end: threading.Event) -> None:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=self.patience)
        loop = asyncio.get_running_loop()
        pause = asyncio.Event()
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            due = loop.time()
            count = 0
            while not end.is_set():
                if self.most is None or count < self.most:
                    count += 1
                    group.create_task(self._send(session, self.next_question()))
                due += 1 / self.rate
                timer = loop.call_at(due, pause.set)
                await pause.wait()
                pause.clear()
                timer.cancel()

    def next_question(self) -> Question:
        """What is asked next."""
        return self.question

    async def _send(self, session: aiohttp.ClientSession, question: Question) -> None:
        began = time.monotonic()
        cluster = failure = None
        try:
            url = f"{self.url}{question.path}"
            async with session.request(question.method, url, json=question.body) as response:
                cluster, failure = read_answer(response.status, await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            failure = f"{type(error).__name__}: {error}"
        self.requests.append(Request(began, time.monotonic() - began, cluster, failure))
