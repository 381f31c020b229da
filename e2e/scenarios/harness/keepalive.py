"""A steady load on connections that are kept, by clients that repeat a request as common ones do.

A server may close a connection that it has kept at the very moment at which a client sends its next
request there. No server can rule that out, so HTTP lets a client send an idempotent request again
(RFC 9110, section 9.2.2). Go's net/http and Python's aiohttp do so, and so do the clients here:
once, on a new connection, if the old one had carried an answer before and was closed before the
first byte of this one. Each repetition is counted.
"""

import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from scenarios.harness.asking import Question
from scenarios.harness.load import TIMEOUT, Record, Request, read_answer


class UnansweredError(ConnectionError):
    """The connection was refused, or closed before the first byte of an answer."""


class Client:
    """A client with one connection, which it keeps for as long as the server does."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=TIMEOUT
        )

    def ask(self, question: Question) -> Request:
        """Send a request, a second time if need be, and tell what became of it."""
        began = time.monotonic()
        cluster = failure = None
        repeated = False
        try:
            may_repeat = self._is_open() and question.method == "GET"
            try:
                status, text = self._exchange(question)
            except UnansweredError:
                if not may_repeat:
                    raise
                repeated = True
                status, text = self._exchange(question)
            cluster, failure = read_answer(status, text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            failure = f"{type(error).__name__}: {error}"
        return Request(began, time.monotonic() - began, cluster, failure, repeated)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def _is_open(self) -> bool:
        """Whether the next request goes over a connection that has carried another."""
        if self._connection.sock is None:
            return False
        closed_meanwhile, _, _ = select.select([self._connection.sock], [], [], 0)
        if closed_meanwhile:
            self.close()
        return not closed_meanwhile

    def _exchange(self, question: Question) -> tuple[int, str]:
        body = None if question.body is None else json.dumps(question.body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(question.method, question.path, body, headers)
            self._await_first_byte()
        except ConnectionError as error:
            self.close()
            raise UnansweredError(str(error)) from error
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def _await_first_byte(self) -> None:
        assert self._connection.sock
        if not self._connection.sock.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError("closed without an answer")


@dataclass
class KeptAlive(Record):
    """Some clients, each with its own connection, who together send `rate` requests a second."""

    url: str
    question: Question
    rate: float
    clients: int = 8

    @contextmanager
    def running(self) -> Iterator["KeptAlive"]:
        """Run, each client in a thread; the end waits for the requests under way."""
        end = threading.Event()
        threads = [
            threading.Thread(target=self._send_until, args=(end, number), daemon=True)
            for number in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def _send_until(self, end: threading.Event, number: int) -> None:
        client = Client(self.url)
        interval = self.clients / self.rate
        due = time.monotonic() + number / self.rate
        while not end.wait(max(0.0, due - time.monotonic())):
            self.requests.append(client.ask(self.question))
            due = max(due + interval, time.monotonic())
        client.close()
