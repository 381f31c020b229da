"""What runs in a box: each program with its flags, what it waits for and how it says ready."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcluster import binaries
from localcluster.configs import ADMIN_TOKEN, CONTAINERD_SOCKET
from localcluster.images import pause_image
from localcluster.layout import Layout
from localcluster.spec import (
    API_SERVER_PORT,
    GPU_RESOURCE,
    NODE_ADDRESS,
    NODE_NAME,
    POD_RANGE,
    SERVICE_RANGE,
    ClusterSpec,
)

ETCD = "http://127.0.0.1:2379"
PROBE_TIMEOUT = 1.0


@dataclass(frozen=True)
class Component:
    """A program of the cluster.

    With ``ready`` it is a daemon, which counts as ready when the probe says so. Without it is a
    task, which counts as ready when it has ended with status 0.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: Callable[[], bool] | None = None

    @property
    def is_task(self) -> bool:
        """Whether it ends by itself."""
        return self.ready is None


def components(spec: ClusterSpec, layout: Layout) -> list[Component]:
    """Return everything that this cluster runs; ``after`` gives the order."""
    chosen = [_etcd(), _api_server(layout)]
    if spec.controllers:
        chosen.append(_controller_manager(layout))
    if spec.has_scheduler:
        chosen.append(_scheduler(layout))
    if spec.kwok:
        chosen.append(_kwok(layout))
    if spec.has_dns:
        chosen.append(_coredns(layout))
    if spec.has_node:
        chosen += [_containerd(layout), *_imports(spec), _kubelet(layout), _kube_proxy(layout)]
        if spec.gpus:
            chosen.append(_gpus(spec, layout))
    return chosen


def _program(name: str) -> str:
    return str(binaries.program(name))


def _etcd() -> Component:
    # The cluster does not outlive its box, so its data needs neither a disk nor fsync.
    command = (
        _program("etcd"),
        "--data-dir=/run/etcd",
        "--unsafe-no-fsync",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--log-level=warn",
        "--quota-backend-bytes=4294967296",
    )
    return Component("etcd", command, ready=_answers(f"{ETCD}/health"))


def _api_server(layout: Layout) -> Component:
    issuer = "https://kubernetes.default.svc"
    command = (
        _program("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--secure-port={API_SERVER_PORT}",
        f"--advertise-address={NODE_ADDRESS}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--cert-dir={layout.pki}",
        f"--token-auth-file={layout.config / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        # The kubelet speaks as the admin, whom this plugin would not let write a node.
        "--disable-admission-plugins=NodeRestriction",
        f"--service-account-issuer={issuer}",
        f"--service-account-key-file={layout.pki / 'service-account.key'}",
        f"--service-account-signing-key-file={layout.pki / 'service-account.key'}",
        # The node's name resolves nowhere: logs and exec go to its address.
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        f"--audit-policy-file={layout.config / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.audit_log}",
        # Tests count the log's lines: it must not be rotated away under them.
        "--audit-log-maxsize=10240",
    )
    return Component("kube-apiserver", command, ("etcd",), _api("/readyz"))


def _controller_manager(layout: Layout) -> Component:
    command = (
        _program("kube-controller-manager"),
        f"--kubeconfig={layout.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--service-account-private-key-file={layout.pki / 'service-account.key'}",
        f"--root-ca-file={layout.pki / 'apiserver.crt'}",
        "--use-service-account-credentials=true",
        # The default of 20 requests a second alone would delay its start by four seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )
    # No pod can be created before its namespace has a service account.
    ready = _api("/api/v1/namespaces/default/serviceaccounts/default")
    return Component("kube-controller-manager", command, ("kube-apiserver",), ready)


def _scheduler(layout: Layout) -> Component:
    command = (
        _program("kube-scheduler"),
        f"--kubeconfig={layout.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        # Each pod that it places is a request: the default of 50 a second would hold up many pods.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    )
    ready = _answers("https://127.0.0.1:10259/readyz")
    return Component("kube-scheduler", command, ("kube-apiserver",), ready)


def _kwok(layout: Layout) -> Component:
    address = "127.0.0.1:10247"
    command = (
        _program("kwok"),
        f"--kubeconfig={layout.kubeconfig}",
        f"--config={layout.config / 'kwok.yaml'}",
        "--manage-all-nodes=true",
        f"--cidr={POD_RANGE}",
        f"--node-ip={NODE_ADDRESS}",
        # Nodes tell that they live by their leases, as kubelets do.
        "--node-lease-duration-seconds=40",
        f"--server-address={address}",
    )
    return Component("kwok", command, ("kube-apiserver",), _answers(f"http://{address}/healthz"))


def _containerd(layout: Layout) -> Component:
    command = ("containerd", f"--config={layout.config / 'containerd.toml'}", "--log-level=warn")
    return Component("containerd", command, ready=Path(CONTAINERD_SOCKET).exists)


def _import(name: str, archive: Path) -> Component:
    command = ("ctr", "--namespace=k8s.io", "images", "import", str(archive))
    return Component(f"import-{name}", command, ("containerd",))


def _imports(spec: ClusterSpec) -> list[Component]:
    archives = [path for path in spec.images if path != pause_image().archive]
    return [
        _import("pause", pause_image().archive),
        *(_import(path.name.rsplit("-", 1)[0], path) for path in archives),
    ]


def _kubelet(layout: Layout) -> Component:
    command = (
        _program("kubelet"),
        f"--config={layout.config / 'kubelet.yaml'}",
        f"--kubeconfig={layout.kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={layout.kubelet}",
        f"--cert-dir={layout.pki}",
    )
    return Component("kubelet", command, ("kube-apiserver", "containerd"), _node_ready())


def _kube_proxy(layout: Layout) -> Component:
    command = (
        _program("kube-proxy"),
        f"--kubeconfig={layout.kubeconfig}",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=nftables",
        # Zero leaves the kernel's own values, which belong to the whole machine.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--oom-score-adj=0",
    )
    ready = _answers("http://127.0.0.1:10256/livez")
    return Component("kube-proxy", command, ("kube-apiserver",), ready)


def _coredns(layout: Layout) -> Component:
    command = (_program("coredns"), f"-conf={layout.config / 'Corefile'}")
    ready = _answers(f"http://{NODE_ADDRESS}:8181/ready")
    return Component("coredns", command, ("kube-apiserver",), ready)


def _gpus(spec: ClusterSpec, layout: Layout) -> Component:
    amount = {GPU_RESOURCE: str(spec.gpus)}
    patch = {"status": {"capacity": amount, "allocatable": amount}}
    command = (
        _program("kubectl"),
        f"--kubeconfig={layout.kubeconfig}",
        *("patch", "node", NODE_NAME, "--subresource=status", "--type=merge"),
        f"--patch={json.dumps(patch)}",
    )
    return Component("gpus", command, ("kubelet",))


def _get(url: str, headers: Mapping[str, str]) -> bytes | None:
    # Certificates are not verified: some components sign their own, and none leaves the box.
    context = ssl._create_unverified_context()
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT, context=context) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def _answers(url: str) -> Callable[[], bool]:
    return lambda: _get(url, {}) is not None


def _api_get(path: str) -> bytes | None:
    url = f"https://{NODE_ADDRESS}:{API_SERVER_PORT}{path}"
    return _get(url, {"Authorization": f"Bearer {ADMIN_TOKEN}", "User-Agent": "localcluster"})


def _api(path: str) -> Callable[[], bool]:
    return lambda: _api_get(path) is not None


def _node_ready() -> Callable[[], bool]:
    def probe() -> bool:
        body = _api_get(f"/api/v1/nodes/{NODE_NAME}")
        if body is None:
            return False
        node: dict[str, Any] = json.loads(body)
        conditions = node.get("status", {}).get("conditions", [])
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        # The taint goes a moment after the condition comes, and no pod is scheduled before.
        return is_ready and not node["spec"].get("taints")

    return probe
