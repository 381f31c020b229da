"""A cluster whose Ray asks everybody for a token: the operator makes it, and presents it."""

import base64

import pytest
import urllib3

from scenarios.harness import manifests, ray
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube
from scenarios.harness.rayservice import RayService

pytestmark = pytest.mark.ci

UNAUTHORIZED, OK = 401, 200


def test_token_authentication(kube: Kube, namespace: str) -> None:
    """The service serves and is updated in place; Ray answers those who know the token alone."""
    sample = manifests.sample("minimal")
    config = {**sample["spec"]["rayClusterConfig"], "authOptions": {"mode": "token"}}
    sample = manifests.with_spec(sample, rayClusterConfig=config)
    service = RayService(kube, namespace, "minimal")
    service.apply(sample)
    service.wait_answer(GREET)
    service.wait_ready()
    service.patch(manifests.with_user_config(sample, "Echo", greeting="with a token"))
    service.wait_answer(GREET, 30, greeting="with a token")
    secret = kube.get("secrets", namespace, service.active_cluster)
    token = base64.b64decode(secret["data"]["auth_token"]).decode()
    assert _status(service, {}) == UNAUTHORIZED
    assert _status(service, {"Authorization": f"Bearer {token}"}) == OK


def _status(service: RayService, headers: dict[str, str]) -> int:
    [head] = service.heads().values()
    url = f"http://{head['status']['podIP']}:{ray.DASHBOARD_PORT}{ray.APPLICATIONS}"
    return urllib3.request("GET", url, headers=headers, timeout=10, retries=False).status
