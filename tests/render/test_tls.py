"""Mutual TLS: what cert-manager is asked for, what pods get of it, and how they wait for a certificate."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels, tls
from rayserve_operator.render.options import RenderOptions

MakeCluster = Callable[..., RayCluster]
MakePod = Callable[..., dict[str, Any]]
Wait = Callable[[str], Awaitable[asyncio.subprocess.Process]]

OPTIONS = RenderOptions(cluster_domain="corp.example")
ON: dict[str, Any] = {"tlsOptions": {"enabled": True}}
AUTOSCALED: dict[str, Any] = {**ON, "enableInTreeAutoscaling": True}


def by_name(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests}


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container.get("env") or ()}


# What cert-manager is asked for. -----------------------------------------------------------------------------------


def test_the_chain_leads_from_a_self_signed_authority_to_the_nodes(make_cluster: MakeCluster) -> None:
    made = tls.certificates(make_cluster(**ON), OPTIONS, {})
    assert [(manifest["kind"], manifest["metadata"]["name"]) for manifest in made] == [
        ("Issuer", "ray-selfsigned-issuer-rc"),
        ("Certificate", "ray-ca-certificate-rc"),
        ("Issuer", "ray-ca-issuer-rc"),
        ("Certificate", "ray-head-cert-rc"),
        ("Certificate", "ray-worker-cert-rc"),
    ]
    authority, issuer, *nodes = (manifest["spec"] for manifest in made[1:])
    assert authority["issuerRef"]["name"] == "ray-selfsigned-issuer-rc"
    assert authority["secretName"] == issuer["ca"]["secretName"] == "rc-ca-secret-u-1"
    assert {spec["issuerRef"]["name"] for spec in nodes} == {"ray-ca-issuer-rc"}
    assert [spec["secretName"] for spec in nodes] == ["ray-head-secret-rc", "ray-worker-secret-rc"]
    assert all({"server auth", "client auth"} <= set(spec["usages"]) for spec in nodes)


def test_the_head_is_named_by_its_services_and_by_its_addresses(make_cluster: MakeCluster) -> None:
    ips = {"head": ["10.0.0.9", "10.0.0.1"], "worker": ["10.0.0.5"]}
    made = by_name(tls.certificates(make_cluster(**ON), OPTIONS, ips))
    head = made["ray-head-cert-rc"]["spec"]
    assert head["dnsNames"] == [
        "localhost",
        "rc-head-svc",
        "rc-head-svc.ns",
        "rc-head-svc.ns.svc",
        "rc-head-svc.ns.svc.corp.example",
    ]
    assert head["ipAddresses"] == ["10.0.0.1", "10.0.0.9", "127.0.0.1"]


def test_no_worker_can_pass_for_the_head(make_cluster: MakeCluster) -> None:
    ips = {"head": ["10.0.0.1"], "worker": ["10.0.0.5", "10.0.0.5"]}
    made = by_name(tls.certificates(make_cluster(**ON), OPTIONS, ips))
    head, worker = made["ray-head-cert-rc"]["spec"], made["ray-worker-cert-rc"]["spec"]
    assert worker["ipAddresses"] == ["10.0.0.5", "127.0.0.1"]
    assert set(worker["dnsNames"]) & set(head["dnsNames"]) == {"localhost"}


def test_clients_reach_the_head_of_a_service_by_its_stable_name(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(labels=labels.origin("RayService", "demo"), **ON)
    made = by_name(tls.certificates(cluster, OPTIONS, {}))
    assert "demo-head-svc.ns.svc" in made["ray-head-cert-rc"]["spec"]["dnsNames"]


def test_secrets_go_with_the_cluster(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(**ON)
    secrets = by_name(tls.secrets(cluster))
    asked_for = {
        manifest["spec"]["secretName"]
        for manifest in tls.certificates(cluster, OPTIONS, {})
        if manifest["kind"] == "Certificate"
    }
    assert set(secrets) == asked_for
    for secret in secrets.values():
        [owner] = secret["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == ("u-1", False)
        assert "data" not in secret


@pytest.mark.parametrize("spec", [{}, {"tlsOptions": {}}, {"tlsOptions": {"enabled": False}}])
def test_without_tls_there_is_nothing(make_cluster: MakeCluster, make_head: MakePod, spec: dict[str, Any]) -> None:
    cluster = make_cluster(**spec)
    assert tls.certificates(cluster, OPTIONS, {"head": ["10.0.0.1"]}) == []
    assert tls.secrets(cluster) == []
    assert "tls" not in str(make_head(**spec)).lower()


# What pods get of it. ----------------------------------------------------------------------------------------------


def test_every_process_of_ray_is_told(make_head: MakePod, make_worker: MakePod) -> None:
    head, worker = make_head(**AUTOSCALED)["spec"], make_worker(**AUTOSCALED)["spec"]
    speaking = [*head["containers"], *worker["containers"], worker["initContainers"][-1]]
    assert [container["name"] for container in speaking] == ["ray", "autoscaler", "ray", "wait-gcs-ready"]
    for container in speaking:
        assert {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": "/etc/ray/tls/tls.crt",
            "RAY_TLS_SERVER_KEY": "/etc/ray/tls/tls.key",
            "RAY_TLS_CA_CERT": "/etc/ray/tls/ca.crt",
        }.items() <= variables(container).items()
        assert {"name": "ray-tls", "mountPath": "/etc/ray/tls", "readOnly": True} in container["volumeMounts"]
    assert {"name": "ray-tls", "secret": {"secretName": "ray-head-secret-rc"}} in head["volumes"]
    assert {"name": "ray-tls", "secret": {"secretName": "ray-worker-secret-rc"}} in worker["volumes"]


def test_containers_beside_ray_are_left_alone(make_head: MakePod) -> None:
    beside = {"name": "proxy", "image": "envoy"}
    spec = make_head(pod={"containers": [{"name": "ray", "image": "ray:2"}, beside]}, **AUTOSCALED)["spec"]
    assert [container["name"] for container in spec["containers"]] == ["ray", "proxy", "autoscaler"]
    assert spec["containers"][1] == beside


def test_nothing_runs_before_the_certificate_is_there(make_worker: MakePod) -> None:
    own = {"name": "own", "image": "busybox"}
    names = [
        container["name"] for container in make_worker(pod={"initContainers": [own]}, **ON)["spec"]["initContainers"]
    ]
    assert names == ["wait-for-tls-ip-san", "own", "wait-gcs-ready"]


def test_a_users_own_certificate_stays(make_head: MakePod) -> None:
    own = {"name": "ray-tls", "secret": {"secretName": "mine"}}
    volumes = make_head(pod={"volumes": [own]}, **ON)["spec"]["volumes"]
    assert [volume for volume in volumes if volume["name"] == "ray-tls"] == [own]


def test_tls_is_not_for_a_variable_to_turn_off(make_head: MakePod) -> None:
    container = make_head(container={"env": [{"name": "RAY_USE_TLS", "value": "0"}]}, **ON)["spec"]["containers"][0]
    assert [entry["value"] for entry in container["env"] if entry["name"] == "RAY_USE_TLS"] == ["1"]


# The wait. ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def wait_for(make_head: MakePod, tmp_path: Path) -> AsyncIterator[Wait]:
    """Runs what the init container runs, in a pod of an address, with the certificate in a directory of the test."""
    container = make_head(**ON)["spec"]["initContainers"][0]
    assert container["env"] == [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    *command, directory = container["command"]
    assert directory == "/etc/ray/tls"
    started: list[asyncio.subprocess.Process] = []

    async def start(address: str) -> asyncio.subprocess.Process:
        environment = {"POD_IP": address, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(
            *command, str(tmp_path), env=environment, stdout=asyncio.subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def issue(directory: Path, address: str) -> None:
    """A certificate for the address, by an authority made for it, laid down as the kubelet does: whole."""
    await openssl(directory, "-keyout", "ca.key", "-out", "new-ca.crt", "-subj", "/CN=ca")
    own = ("-keyout", "new-tls.key", "-out", "new-tls.crt", "-subj", "/CN=node")
    named = ("-addext", f"subjectAltName=IP:{address}", "-addext", "basicConstraints=critical,CA:FALSE")
    await openssl(directory, *own, *named, "-CA", "new-ca.crt", "-CAkey", "ca.key")
    for file in ("ca.crt", "tls.key", "tls.crt"):
        (directory / f"new-{file}").replace(directory / file)


async def openssl(directory: Path, *options: str) -> None:
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    process = await asyncio.create_subprocess_exec(
        "openssl", *new, *options, cwd=directory, stderr=asyncio.subprocess.PIPE
    )
    _, complained = await process.communicate()
    assert process.returncode == 0, complained


async def next_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


async def last_words(process: asyncio.subprocess.Process) -> str:
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return said.decode()


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7"])
async def test_a_certificate_that_names_the_pod_ends_the_wait(wait_for: Wait, tmp_path: Path, address: str) -> None:
    await issue(tmp_path, address)
    said = await last_words(await wait_for(address))
    assert f"is good for {address}" in said
    assert "Waiting" not in said


async def test_a_pod_waits_until_its_certificate_names_it(wait_for: Wait, tmp_path: Path) -> None:
    process = await wait_for("10.0.0.7")
    assert "No such file" in await next_line(process)
    await issue(tmp_path, "10.0.0.70")
    while "mismatch" not in (said := await next_line(process)):
        assert said.startswith("Waiting")
    await issue(tmp_path, "10.0.0.7")
    assert "is good for 10.0.0.7" in await last_words(process)
