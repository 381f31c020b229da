"""The Kubernetes API for the benchmark's own writes and watches: asynchronous, so that an event is seen as it comes."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes import client, config

from scenarios.harness.kube import ApiError, Manifest, path_of

CONNECTIONS = 64
"""Requests under way at once, beside watches."""
TIMEOUT = aiohttp.ClientTimeout(total=60)
LINE_LIMIT = 2**22
"""Bytes that one watch event may have."""

MERGE = "application/merge-patch+json"
_TRIED = "?dryRun=All&fieldValidation=Strict"
"""What `kubectl --dry-run=server` asks for: nothing is kept, and no field may be unknown."""


class Api:
    """Reads, writes and follows objects by the plural of their kind."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def connected(cls, user_agent: str) -> AsyncIterator[Api]:
        """Connect as the kubeconfig says, and disconnect in the end."""
        configuration = client.Configuration()
        config.load_kube_config(client_configuration=configuration)
        token = configuration.get_api_key_with_prefix("BearerToken") or ""
        session = aiohttp.ClientSession(
            configuration.host,
            connector=aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=configuration.ssl_ca_cert)),
            headers={"Authorization": token, "User-Agent": user_agent},
            read_bufsize=LINE_LIMIT,
        )
        async with session:
            yield cls(session)

    async def create(self, plural: str, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object, or only try to. Raises ApiError."""
        path = path_of(plural, manifest["metadata"]["namespace"])
        return await self._request("POST", path + (_TRIED if dry_run else ""), manifest)

    async def merge(
        self,
        plural: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        subresource: str = "",
        *,
        dry_run: bool = False,
    ) -> Manifest:
        """Change an object by a merge patch, or only try to. Raises ApiError."""
        path = path_of(plural, namespace, name) + (f"/{subresource}" if subresource else "")
        return await self._request("PATCH", path + (_TRIED if dry_run else ""), patch, MERGE)

    async def delete(self, plural: str, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Delete an object, its dependents in the background. One that is gone already counts as deleted."""
        body: Manifest = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            await self._request("DELETE", path_of(plural, namespace, name), body)
        except ApiError as error:
            if error.status != 404:  # noqa: PLR2004
                raise

    async def list(self, plural: str, namespace: str | None = None) -> list[Manifest]:
        """All objects of a kind."""
        items: list[Manifest] = (await self._request("GET", path_of(plural, namespace)))["items"]
        return items

    async def follow(self, plural: str, selector: str = "") -> AsyncIterator[tuple[str, Manifest]]:
        """All objects of a kind in all namespaces as `ADDED`, then every event about them, with its type.

        Raises ApiError where the API server no longer knows the events since the last one.
        """
        query = {"labelSelector": selector} if selector else {}
        listed = await self._request("GET", f"{path_of(plural, None)}?{urlencode(query)}")
        for item in listed["items"]:
            yield "ADDED", item
        version = listed["metadata"]["resourceVersion"]
        while True:
            since = {**query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
            async for event in self._watch(f"{path_of(plural, None)}?{urlencode(since)}"):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]

    async def _watch(self, path: str) -> AsyncIterator[Any]:
        async with self._session.get(path, timeout=aiohttp.ClientTimeout()) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), event["object"].get("message", ""))
                yield event

    async def _request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Manifest:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(method, path, data=data, headers=headers, timeout=TIMEOUT) as response:
            answer: Manifest = json.loads(await response.read())
        if response.status >= 400:  # noqa: PLR2004
            raise ApiError(response.status, answer.get("message", ""))
        return answer
