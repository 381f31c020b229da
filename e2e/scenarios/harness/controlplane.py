"""What can go wrong with a control plane: only a local one lets us do it."""

import base64
import os
import signal
from typing import Any

import urllib3

from localcluster import LocalCluster
from scenarios.harness.kube import ApiError, Kube
from scenarios.harness.waiting import until

ETCD = "http://127.0.0.1:2379"


def forget_history(cluster: LocalCluster, kube: Kube) -> None:
    """Compact etcd and restart the API server: a watch from before is answered by 410 Gone.

    Both are needed, because the API server keeps the latest changes in memory.
    """
    nothing = base64.b64encode(b"\0").decode()
    revision = _etcd("range", {"key": nothing})["header"]["revision"]
    _etcd("compaction", {"revision": revision, "physical": True})
    os.kill(_api_server(cluster), signal.SIGKILL)
    until(lambda: not _is_ready(kube), "the API server is gone", 10, every=0.01)
    until(lambda: _is_ready(kube), "the API server is back", 60)


def _etcd(verb: str, body: dict[str, Any]) -> dict[str, Any]:
    response = urllib3.request("POST", f"{ETCD}/v3/kv/{verb}", json=body, timeout=10)
    assert response.status == 200, response.data
    answer: dict[str, Any] = response.json()
    return answer


def _api_server(cluster: LocalCluster) -> int:
    state = cluster.state
    assert state
    pid: int = state["components"]["kube-apiserver"]["pid"]
    return pid


def _is_ready(kube: Kube) -> bool:
    try:
        kube.list("namespaces")
    except (ApiError, urllib3.exceptions.HTTPError):
        return False
    return True
