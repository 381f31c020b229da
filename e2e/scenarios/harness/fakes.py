"""A kubelet and a Ray that only say that all is well, where there is no node."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3
from typing_extensions import override

from scenarios.harness.kube import ApiError, Kube, Manifest
from scenarios.harness.ray import APPLICATIONS, DASHBOARD_PORT

SERVE_PORT = 8000
INTERVAL = 0.05


class FakeKubelet:
    """Runs every pod of a namespace, each at a loopback address, and publishes endpoints."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._count = 0
        self._published: dict[str, list[str]] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run pods until the end."""
        end = threading.Event()
        thread = threading.Thread(target=self._work_until, args=(end,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _work_until(self, end: threading.Event) -> None:
        while not end.wait(INTERVAL):
            # The API server is restarted by a test, and pods vanish: the next look is better.
            with suppress(ApiError, urllib3.exceptions.HTTPError):
                pods = self._kube.list("pods", self._namespace)
                for pod in pods:
                    if pod["status"].get("phase") != "Running":
                        self._run(pod)
                self._publish(pods)

    def _publish(self, pods: list[Manifest]) -> None:
        """Write the slices of serve Services, because Kubernetes refuses loopback addresses."""
        for service in self._kube.list("services", self._namespace):
            selector = service["spec"].get("selector") or {}
            if "ray.io/serve" not in selector:
                continue
            name = service["metadata"]["name"]
            taking = sorted(
                pod["metadata"]["name"]
                for pod in pods
                if selector.items() <= pod["metadata"]["labels"].items()
            )
            if self._published.get(name) != taking:
                self._kube.put_slice(self._namespace, name, taking)
                self._published[name] = taking

    def _run(self, pod: Manifest) -> None:
        self._count += 1
        address = f"127.1.{self._count // 250}.{self._count % 250 + 1}"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }
        name = pod["metadata"]["name"]
        self._kube.merge("pods", self._namespace, name, {"status": status}, "status")


class FakeRay:
    """Takes every Serve config and runs it at once, for each head by its address."""

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, Any]] = {}
        """The Serve config that runs, by the head's address."""
        self.puts: list[dict[str, Any]] = []
        """Every Serve config that was taken, in order."""

    @contextmanager
    def running(self) -> Iterator["FakeRay"]:
        """Listen on the ports of Ray's dashboard and Serve's proxy, at every address."""
        servers = [
            ThreadingHTTPServer(("0.0.0.0", port), self._handler())
            for port in (DASHBOARD_PORT, SERVE_PORT)
        ]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()

    def report(self, head: str) -> dict[str, Any]:
        """What the Ray of a head says."""
        config = self.configs.get(head)
        if config is None:
            return {"controller_info": {}, "proxies": {}, "applications": {}}
        return {
            "controller_info": {"node_ip": head},
            "proxies": {head: {"node_ip": head, "status": "HEALTHY"}},
            "target_capacity": config.get("target_capacity"),
            "applications": {
                application["name"]: {
                    "name": application["name"],
                    "status": "RUNNING",
                    "source": "declarative",
                    "deployed_app_config": application,
                    "deployments": {},
                }
                for application in config["applications"]
            },
        }

    def take(self, head: str, config: dict[str, Any]) -> None:
        """Run a Serve config on a head."""
        self.puts.append(config)
        self.configs[head] = config

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            @property
            def head(self) -> str:
                address: str = self.connection.getsockname()[0]
                return address

            def do_GET(self) -> None:
                """Answer the REST API, and every health check."""
                is_api = self.path == APPLICATIONS
                self._answer(json.dumps(fake.report(self.head)) if is_api else "success")

            def do_PUT(self) -> None:
                """Take a Serve config."""
                length = int(self.headers["Content-Length"])
                fake.take(self.head, json.loads(self.rfile.read(length)))
                self._answer("")

            def _answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            @override
            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
