"""Mutual TLS between the processes of a Ray cluster, with certificates by cert-manager (spec.tlsOptions).

Names of objects, volumes and variables are KubeRay's. Ray's gRPC takes a peer's certificate only if it names the
address that the peer was called by, and Ray calls nodes by IP. So the certificates name the pods that exist, are issued
anew when a pod comes, and no pod starts Ray before its own address is named.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rayserve_operator.model.objects import RAY_CLUSTER, RayCluster, owner_reference
from rayserve_operator.render import labels, names, waiting
from rayserve_operator.render.containers import with_missing, with_overriding
from rayserve_operator.render.manifests import of_belonging
from rayserve_operator.render.node import Node, runs_service
from rayserve_operator.render.options import RenderOptions

WAIT_CONTAINER: Final = "wait-for-tls-ip-san"
"""Name of the init container that waits for the pod's certificate (KubeRay's)."""

_VOLUME = "ray-tls"
_PATH = "/etc/ray/tls"
_LOOPBACK = "127.0.0.1"
_SELF_SIGNED, _AUTHORITY = "selfsigned-issuer", "ca-issuer"

_AUTHORITY_LIFE = "87600h"
_AUTHORITY_RENEWAL = "720h"
_NODE_LIFE = "43800h"
"""Five years: Ray reads its certificate when a process starts and never again, so it must outlive every pod."""

_KEPT_KEY = {"rotationPolicy": "Never"}
"""A certificate that is issued anew keeps its key: processes that start meanwhile read the two one after the other."""

_SCRIPT = """\
import os, ssl, sys, time

directory, address = sys.argv[1], os.environ["POD_IP"]


def shake_hands():
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(f"{directory}/tls.crt", f"{directory}/tls.key")
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_verify_locations(f"{directory}/ca.crt")
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = calling.wrap_bio(received, sent, server_hostname=address)
    server = serving.wrap_bio(sent, received, server_side=True)
    for side in (caller, server, caller):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass


def shortcoming():
    try:
        shake_hands()
    except OSError as error:
        return str(error)


began, told = time.monotonic(), None
while found := shortcoming():
    if found != told:
        print(f"Waiting until the certificate in {directory} is good for {address}: {found}", flush=True)
    told = found
    time.sleep(1)
print(f"The certificate in {directory} is good for {address} after {time.monotonic() - began:.0f} s.")
"""
"""Shakes hands with itself in memory, by the pod's address: what another node's Ray will check is what is checked."""


def is_encrypted(cluster: RayCluster) -> bool:
    """Whether the cluster's Ray processes speak TLS with each other."""
    options = cluster.spec.tls_options
    return options is not None and options.enabled is True


def secrets(cluster: RayCluster) -> list[dict[str, Any]]:
    """The Secrets that cert-manager fills, still empty; none without TLS.

    cert-manager makes them too, but leaves them behind when the cluster is deleted. Made by us beforehand they belong
    to the cluster. Not as its controller: that is cert-manager's Certificate where it is told to own what it fills.
    """
    if not is_encrypted(cluster):
        return []
    owner = {**owner_reference(RAY_CLUSTER, cluster.meta), "controller": False}
    filled = [names.ca_secret_name(cluster), *(secret_name(cluster, role) for role in (labels.HEAD, labels.WORKER))]
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": of_belonging(cluster, name, ownerReferences=[owner]),
        }
        for name in filled
    ]


def certificates(
    cluster: RayCluster, options: RenderOptions, pod_ips: Mapping[str, Iterable[str]]
) -> list[dict[str, Any]]:
    """What cert-manager is asked for, each after what it depends on; nothing without TLS.

    An authority of the cluster's own, and one certificate for its head and one for all of its workers.

    Args:
        cluster: the cluster.
        options: which tell the DNS domain.
        pod_ips: the addresses of the pods there are, by role: `head` and `worker`.
    """
    if not is_encrypted(cluster):
        return []
    return [
        _issuer(cluster, _SELF_SIGNED, {"selfSigned": {}}),
        _authority(cluster),
        _issuer(cluster, _AUTHORITY, {"ca": {"secretName": names.ca_secret_name(cluster)}}),
        _of_nodes(cluster, labels.HEAD, _head_services(cluster), options, pod_ips),
        _of_nodes(cluster, labels.WORKER, [names.headless_worker_service_name(cluster.meta.name)], options, pod_ips),
    ]


def certificate_name(cluster: RayCluster, role: str) -> str:
    """The certificate of the pods of a role."""
    return names.pki_name(cluster.meta.name, f"{role}-cert")


def secret_name(cluster: RayCluster, role: str) -> str:
    """The Secret with the certificate of the pods of a role."""
    return names.pki_name(cluster.meta.name, f"{role}-secret")


def secured(cluster: RayCluster, container: Mapping[str, Any]) -> dict[str, Any]:
    """The container with what its Ray needs to speak TLS; unchanged without TLS."""
    if not is_encrypted(cluster):
        return dict(container)
    return {
        **container,
        "env": with_overriding(container.get("env"), _environment()),
        "volumeMounts": with_missing(container.get("volumeMounts"), [_mount()], key="mountPath"),
    }


def volumes(node: Node) -> list[Mapping[str, Any]]:
    """The volume with the certificate of the pod's role."""
    if not is_encrypted(node.cluster):
        return []
    return [{"name": _VOLUME, "secret": {"secretName": secret_name(node.cluster, node.role)}}]


def init_containers(node: Node) -> list[Mapping[str, Any]]:
    """The container in which a pod waits for a certificate that names it."""
    if not is_encrypted(node.cluster):
        return []
    shell = ["/bin/bash", "-cl" if node.options.login_shell else "-c"]
    return [
        {
            # What it may use and how it is pulled is as for the other wait.
            **waiting.container(node),
            "name": WAIT_CONTAINER,
            "command": [*shell, 'exec python3 -c "$@"', WAIT_CONTAINER, _SCRIPT, _PATH],
            "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "volumeMounts": [_mount()],
        }
    ]


def _environment() -> list[Mapping[str, Any]]:
    files = {"SERVER_CERT": "tls.crt", "SERVER_KEY": "tls.key", "CA_CERT": "ca.crt"}
    paths = [{"name": f"RAY_TLS_{use}", "value": f"{_PATH}/{file}"} for use, file in files.items()]
    return [{"name": "RAY_USE_TLS", "value": "1"}, *paths]


def _mount() -> dict[str, Any]:
    return {"name": _VOLUME, "mountPath": _PATH, "readOnly": True}


def _issuer(cluster: RayCluster, part: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return _manifest(cluster, "Issuer", names.pki_name(cluster.meta.name, part), spec)


def _authority(cluster: RayCluster) -> dict[str, Any]:
    name = cluster.meta.name
    spec = {
        "isCA": True,
        "commonName": names.pki_name(name, "ca"),
        "secretName": names.ca_secret_name(cluster),
        "duration": _AUTHORITY_LIFE,
        "renewBefore": _AUTHORITY_RENEWAL,
        "privateKey": {"algorithm": "RSA", "size": 4096, **_KEPT_KEY},
        "usages": ["cert sign", "crl sign"],
        "issuerRef": _reference(cluster, _SELF_SIGNED),
    }
    return _manifest(cluster, "Certificate", names.pki_name(name, "ca-certificate"), spec)


def _of_nodes(
    cluster: RayCluster,
    role: str,
    services: Iterable[str],
    options: RenderOptions,
    pod_ips: Mapping[str, Iterable[str]],
) -> dict[str, Any]:
    namespace = cluster.meta.namespace
    dns_names = {"localhost"}
    for service in services:
        full = names.fqdn(service, namespace, options.cluster_domain)
        dns_names |= {service, f"{service}.{namespace}", f"{service}.{namespace}.svc", full}
    spec = {
        "secretName": secret_name(cluster, role),
        "duration": _NODE_LIFE,
        "dnsNames": sorted(dns_names),
        "ipAddresses": sorted({_LOOPBACK, *pod_ips.get(role, ())}),
        "privateKey": _KEPT_KEY,
        "usages": ["digital signature", "key encipherment", "server auth", "client auth"],
        "issuerRef": _reference(cluster, _AUTHORITY),
    }
    return _manifest(cluster, "Certificate", certificate_name(cluster, role), spec)


def _head_services(cluster: RayCluster) -> list[str]:
    """The Services that lead to the head: the cluster's own, and that of the RayService for clients of Ray."""
    own = names.head_service_name(cluster)
    if not runs_service(cluster):
        return [own]
    return [own, names.stable_head_service_name(cluster.meta.labels[labels.FROM_CR_NAME])]


def _reference(cluster: RayCluster, part: str) -> dict[str, str]:
    return {"group": "cert-manager.io", "kind": "Issuer", "name": names.pki_name(cluster.meta.name, part)}


def _manifest(cluster: RayCluster, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": kind,
        "metadata": of_belonging(cluster, name),
        "spec": dict(spec),
    }
