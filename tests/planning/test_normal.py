"""Pods that mean the same, however they are written."""

from typing import Any

import pytest

from rayserve_operator.planning.normal import pod_template

PROBE = {"exec": {"command": ["true"]}}
SAME_IN_ANY_PROBE = {"successThreshold": 1, "failureThreshold": 3, "periodSeconds": 10, "timeoutSeconds": 1}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray", **fields}]}}


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "ray"}], **spec}}


def volume(source: str, /, **fields: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "v", source: fields}])


def variable(**source: Any) -> dict[str, Any]:
    return container(env=[{"name": "A", "valueFrom": source}])


DEFAULTS = [
    (container(ports=[{"containerPort": 1}]), container(ports=[{"containerPort": 1, "protocol": "TCP"}])),
    (container(), container(terminationMessagePath="/dev/termination-log")),
    (container(), container(terminationMessagePolicy="File")),
    (pod(), pod(dnsPolicy="ClusterFirst")),
    (pod(), pod(schedulerName="default-scheduler")),
    (pod(), pod(enableServiceLinks=True)),
    (volume("secret", secretName="s"), volume("secret", secretName="s", defaultMode=420)),
    (variable(fieldRef={"fieldPath": "p"}), variable(fieldRef={"fieldPath": "p", "apiVersion": "v1"})),
    (variable(secretKeyRef={"key": "k"}), variable(secretKeyRef={"key": "k", "name": ""})),
    *(
        (container(**{probe: PROBE}), container(**{probe: {**PROBE, field: value}}))
        for probe in PROBES
        for field, value in SAME_IN_ANY_PROBE.items()
    ),
    *(
        (
            container(livenessProbe={"httpGet": {"port": 1}}),
            container(livenessProbe={"httpGet": {"port": 1, field: value}}),
        )
        for field, value in {"scheme": "HTTP", "path": "/"}.items()
    ),
    (
        container(livenessProbe={"grpc": {"port": 1}}),
        container(livenessProbe={"grpc": {"port": 1, "service": ""}}),
    ),
    (volume("hostPath", path="/x"), volume("hostPath", path="/x", type="")),
    (volume("iscsi", lun=1), volume("iscsi", lun=1, iscsiInterface="default")),
    *(
        (volume("rbd", image="i"), volume("rbd", image="i", **{field: value}))
        for field, value in {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}.items()
    ),
    *(
        (volume("scaleIO", system="s"), volume("scaleIO", system="s", **{field: value}))
        for field, value in {"storageMode": "ThinProvisioned", "fsType": "xfs"}.items()
    ),
    *(
        (volume("azureDisk", diskName="d"), volume("azureDisk", diskName="d", **{field: value}))
        for field, value in {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False}.items()
    ),
]


@pytest.mark.parametrize(("without", "with_it"), DEFAULTS)
def test_what_the_api_server_fills_in_is_no_difference(without: dict[str, Any], with_it: dict[str, Any]) -> None:
    assert pod_template(without) == pod_template(with_it)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pod(), {**pod(), "metadata": {"creationTimestamp": None, "labels": {}, "annotations": None}}),
        (pod(), pod(volumes=[], nodeSelector={}, hostname=None)),
        (pod(), pod(tolerations=[{"key": "gpu"}])),
        (pod(), pod(schedulingGates=[{"name": "queue"}])),
        ({}, {"spec": None, "metadata": None}),
        (container(resources={"requests": {"cpu": "1000m"}}), container(resources={"requests": {"cpu": 1}})),
        (container(resources={"limits": {"memory": "1Gi"}}), container(resources={"limits": {"memory": "1024Mi"}})),
    ],
    ids=["metadata", "empty", "tolerations", "gates", "nothing", "requests", "limits"],
)
def test_another_spelling_is_no_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert pod_template(one) == pod_template(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pod(), pod(dnsPolicy="Default")),
        (pod(), pod(enableServiceLinks=False)),
        (pod(), pod(hostname="")),
        (pod(), pod(priority=0)),
        (pod(), pod(hostNetwork=False)),
        (pod(), {**pod(), "metadata": {"labels": {"a": "b"}}}),
        (pod(), {**pod(), "metadata": {"annotations": {"a": "b"}}}),
        (pod(), container(livenessProbe={**PROBE, "timeoutSeconds": 2})),
        (container(), container(stdin=True)),
        (container(resources={"requests": {"cpu": 1}}), container(resources={"requests": {"cpu": 2}})),
        (container(resources={"requests": {"cpu": "x"}}), container(resources={"requests": {"cpu": "y"}})),
    ],
)
def test_what_somebody_says_is_a_difference(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert pod_template(one) != pod_template(other)
