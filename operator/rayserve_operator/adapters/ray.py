"""Ray's own HTTP endpoints: the Serve REST API on the dashboard, and the health check of a Serve proxy."""

from __future__ import annotations

from typing import Any

import aiohttp

from rayserve_operator.model.errors import Refused, TokenRefused, Unavailable
from rayserve_operator.model.serve import ServeConfig, ServeStatus

APPLICATIONS = "/api/serve/applications/"
READ_TIMEOUT = aiohttp.ClientTimeout(total=3, connect=1)
SUBMIT_TIMEOUT = aiohttp.ClientTimeout(total=75, connect=2)
"""A first PUT starts Serve, and Ray gives the proxy 60 s for that (Ray's HTTP_PROXY_TIMEOUT)."""
PROXY_TIMEOUT = aiohttp.ClientTimeout(total=2)
WORDS = 2000


def describe(error: Exception) -> str:
    """An error in words; some of a connection's errors have none of their own."""
    return str(error) or type(error).__name__


class RayApi:
    """The `Ray` of the engine, over one pool of connections."""

    def __init__(self, user_agent: str) -> None:
        # Ray hides env_vars from clients that look like a browser, so the name must not begin with Mozilla.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            headers={"User-Agent": user_agent},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def serve_status(self, address: str, token: str | None) -> ServeStatus:
        """GET the Serve applications from the dashboard at `host:port`. Raises Unavailable and TokenRefused."""
        url = f"http://{address}{APPLICATIONS}"
        try:
            async with self._session.get(url, headers=_authorization(token), timeout=READ_TIMEOUT) as response:
                _check_token(response.status)
                if response.status != 200:  # noqa: PLR2004
                    raise Unavailable(f"Ray answered {response.status} to GET {APPLICATIONS}")
                answer: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"no answer from Ray's dashboard: {describe(error)}") from error
        return ServeStatus.parse(answer)

    async def submit(self, address: str, config: ServeConfig, token: str | None) -> None:
        """PUT a Serve config.

        Raises:
            Refused: with Ray's words; a 500 counts too, because Ray answers so to some configs that never can work.
            Unavailable: no answer, or Ray is not ready for one.
            TokenRefused: Ray asks for another token.
        """
        url = f"http://{address}{APPLICATIONS}"
        try:
            async with self._session.put(
                url, json=config.document, headers=_authorization(token), timeout=SUBMIT_TIMEOUT
            ) as response:
                _check_token(response.status)
                status, words = response.status, (await response.text())[-WORDS:].strip()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"no answer from Ray to PUT {APPLICATIONS}: {describe(error)}") from error
        if status in (400, 500):
            raise Refused(f"Ray refused the Serve config ({status}): {words}")
        if status >= 300:  # noqa: PLR2004
            raise Unavailable(f"Ray answered {status} to PUT {APPLICATIONS}: {words}")

    async def proxy_answers(self, host: str, port: int) -> bool:
        """Whether the Serve proxy there passes its health check; every kind of failure is a no."""
        try:
            async with self._session.get(f"http://{host}:{port}/-/healthz", timeout=PROXY_TIMEOUT) as response:
                return response.status == 200  # noqa: PLR2004
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}


def _check_token(status: int) -> None:
    if status in (401, 403):
        raise TokenRefused("Ray refuses the token that it was given" if status == 403 else "Ray asks for a token")  # noqa: PLR2004
