"""HTTP to Ray: its Serve REST API as the operator uses it, and applications as their clients do."""

from typing import Any

import urllib3

DASHBOARD_PORT = 8265
APPLICATIONS = "/api/serve/applications/"


def applications(head: str) -> dict[str, Any]:
    """What the Ray of a head says about its Serve applications.

    Raises AssertionError where it does not answer.
    """
    report = answer(f"http://{head}:{DASHBOARD_PORT}{APPLICATIONS}")
    assert isinstance(report, dict), f"Ray at {head} does not answer"
    return report


def takes(head: str, config: dict[str, Any]) -> bool:
    """PUT a Serve config; whether Ray took it."""
    try:
        url = f"http://{head}:{DASHBOARD_PORT}{APPLICATIONS}"
        response = urllib3.request("PUT", url, json=config, timeout=75, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == 200


def answer(url: str, body: Any = None, timeout: float = 5.0) -> Any:
    """The JSON of a good answer to a request on a new connection, else None.

    It is a GET, or a POST of `body` where there is one.
    """
    method = "GET" if body is None else "POST"
    headers = {"Connection": "close"}
    try:
        response = urllib3.request(
            method, url, json=body, headers=headers, timeout=timeout, retries=False
        )
        return response.json() if response.status == 200 else None
    except (urllib3.exceptions.HTTPError, ValueError):
        return None
