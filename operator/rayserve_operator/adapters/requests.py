"""Every request that the operator sends: told to whoever counts them, and in words where it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp


class Request(NamedTuple):
    """A request that was answered or given up."""

    method: str
    path: str
    query: Mapping[str, str]
    code: str
    """The HTTP status; `timeout` or `error` where there was no answer."""
    seconds: float
    """Until the answer began."""


def tracing(on_end: Callable[[Request], None]) -> aiohttp.TraceConfig:
    """Hooks for a session of aiohttp; `on_end` is called for each of its requests."""

    def end(
        context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams,
        code: str,
    ) -> None:
        seconds = asyncio.get_running_loop().time() - context.began
        on_end(Request(params.method, params.url.path, params.url.query, code, seconds))

    async def began(_session: object, context: SimpleNamespace, _params: object) -> None:
        context.began = asyncio.get_running_loop().time()

    async def answered(_session: object, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        end(context, params, str(params.response.status))

    async def failed(_session: object, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        if not isinstance(params.exception, asyncio.CancelledError):
            end(context, params, "timeout" if isinstance(params.exception, TimeoutError) else "error")

    config = aiohttp.TraceConfig()
    config.on_request_start.append(began)
    config.on_request_end.append(answered)
    config.on_request_exception.append(failed)
    return config


def describe(error: Exception) -> str:
    """An error in words; some of a connection's errors have none of their own."""
    return str(error) or type(error).__name__


class ApiCall(NamedTuple):
    """A request to the API server, in the words of its access rules."""

    verb: str
    resource: str
    """Plural name, with its subresource: `rayservices/status`."""


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def api_call(request: Request) -> ApiCall:
    """Read a request to the API server as the server itself does (Kubernetes API concepts, resource URIs)."""
    # /api/VERSION/… is the core group, /apis/GROUP/VERSION/… are the others.
    root, *parts = request.path.strip("/").split("/")
    parts = parts[1:] if root == "api" else parts[2:]
    if parts[0] == "namespaces" and len(parts) > 2:  # noqa: PLR2004
        parts = parts[2:]
    resource, *named = parts
    verb = _VERBS.get(request.method)
    if verb is None:
        verb = "watch" if "watch" in request.query else "get" if named else "list"
    return ApiCall(verb, "/".join((resource, *named[1:])))
