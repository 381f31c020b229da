"""The configuration files of the components, written into the state folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from localcluster.host import CNI_PLUGINS
from localcluster.images import PAUSE_IMAGE
from localcluster.layout import Layout
from localcluster.spec import (
    API_SERVER_PORT,
    CLUSTER_DOMAIN,
    NODE_ADDRESS,
    POD_RANGE,
    ClusterSpec,
)

ADMIN_TOKEN = "admin"
"""Known to all, and of use to no one outside the box."""

CONTAINERD_STATE = "/run/containerd"
CONTAINERD_SOCKET = f"{CONTAINERD_STATE}/containerd.sock"


def cgroup_name(cluster: str) -> str:
    """Return the name of the cluster's own folder in each cgroup hierarchy."""
    return f"localcluster-{cluster}"


def write_all(spec: ClusterSpec, layout: Layout) -> None:
    """Write every file that a component reads."""
    layout.pki.mkdir(parents=True)
    (layout.config / "cni").mkdir(parents=True)
    layout.kubeconfig.touch(mode=0o600)
    layout.kubeconfig.write_text(_yaml(_kubeconfig(layout)))
    texts = {
        "tokens.csv": f'{ADMIN_TOKEN},admin,admin,"system:masters"\n',
        "audit-policy.yaml": _yaml(_AUDIT_POLICY),
        "resolv.conf": _RESOLV_CONF if spec.has_dns else "",
    }
    if spec.has_dns:
        texts["Corefile"] = _corefile(layout)
    if spec.kwok:
        texts["kwok.yaml"] = yaml.safe_dump_all(_STAGES, sort_keys=False)
    if spec.has_node:
        texts |= {
            # A pod that asks for the node's own DNS gets none: there is nothing outside.
            "node-resolv.conf": "",
            "kubelet.yaml": _yaml(_kubelet(spec, layout)),
            "containerd.toml": containerd_config(layout.containerd, layout.config / "cni"),
            "cni/10-pods.conflist": json.dumps(_CNI, indent=2),
        }
    for name, text in texts.items():
        (layout.config / name).write_text(text)


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False)


def _kubeconfig(layout: Layout) -> dict[str, Any]:
    server = f"https://{NODE_ADDRESS}:{API_SERVER_PORT}"
    certificate = str(layout.pki / "apiserver.crt")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "local", "cluster": {"server": server, "certificate-authority": certificate}}
        ],
        "users": [{"name": "admin", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
        "current-context": "local",
    }


_AUDIT_POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

_RESOLV_CONF = f"""\
nameserver {NODE_ADDRESS}
search default.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}
options ndots:5 timeout:2
"""


def _kubelet(spec: ClusterSpec, layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        # Only the API server can reach the kubelet: both are alone in the box.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_name(spec.name)}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(layout.config / "node-resolv.conf"),
        "serializeImagePulls": False,
        "maxPods": 110,
        "oomScoreAdj": 0,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        # Images exist only because they were imported: none may be collected as garbage.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def containerd_config(root: Path, cni_config: Path) -> str:
    """Return the configuration of a containerd that keeps its images in ``root``."""
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE no score may be lowered, and runc would fail.
    return f"""\
version = 2
root = "{root}"
state = "{CONTAINERD_STATE}"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{cni_config}"
"""


# A link of its own for each pod, instead of one bridge for all: every packet between pods is then
# routed, so that Services work without the module br_netfilter and without hairpin ports.
_CNI: Mapping[str, Any] = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni",
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": False},
    ],
}


def _stage(name: str, kind: str, selector: Mapping[str, Any], then: Mapping[str, Any]) -> Any:
    """One of kwok's stages: what happens to an object of the kind as soon as the selector matches.

    ``selector`` gives, by an expression of jq, the operator and the values that it is compared by.
    """
    expressions = [
        {"key": key, "operator": operator, **({"values": values} if values else {})}
        for key, (operator, *values) in selector.items()
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions},
            "next": dict(then),
        },
    }


_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'

_NODE_RUNS = """\
{{ $now := Now | Quote }}
conditions:
- type: Ready
  status: "True"
  reason: KwokReady
  lastHeartbeatTime: {{ $now }}
  lastTransitionTime: {{ $now }}
phase: Running
"""

_POD_RUNS = """\
{{ $now := Now | Quote }}
{{ $self := .metadata }}
{{ $address := PodIPWith .spec.nodeName false $self.uid $self.name $self.namespace }}
phase: Running
startTime: {{ $now }}
podIP: {{ $address | Quote }}
podIPs: [{ip: {{ $address | Quote }}}]
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state:
    terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now }}, finishedAt: {{ $now }}}
{{ end }}
"""

_STAGES: tuple[Mapping[str, Any], ...] = (
    _stage(
        "node-runs",
        "Node",
        {_READY: ("NotIn", "True")},
        {"statusTemplate": _NODE_RUNS},
    ),
    _stage(
        "pod-runs",
        "Pod",
        {".metadata.deletionTimestamp": ("DoesNotExist",), ".status.phase": ("In", "Pending")},
        {"statusTemplate": _POD_RUNS},
    ),
    _stage(
        "pod-ends",
        "Pod",
        {".metadata.deletionTimestamp": ("Exists",)},
        {"finalizers": {"empty": True}, "delete": True},
    ),
)
"""Nodes that are ready, and pods that run and end at once."""


def _corefile(layout: Layout) -> str:
    # Every other name has no answer, and says so at once rather than after a time-out.
    return f"""\
. {{
    bind {NODE_ADDRESS}
    ready {NODE_ADDRESS}:8181
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {layout.kubeconfig} local
        pods insecure
        ttl 1
    }}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
