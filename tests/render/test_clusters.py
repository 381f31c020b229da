"""The RayClusters and ControllerRevisions of a RayService, and the autoscaler's rights."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rayserve_operator.model.objects import Meta, RayCluster, RayService
from rayserve_operator.model.raycluster import RayClusterSpec
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.render import clusters, labels, rbac, revisions

MakeCluster = Callable[..., RayCluster]

TEMPLATE = {"spec": {"containers": [{"name": "ray", "image": "ray:2"}]}}
SMALLEST = {"headGroupSpec": {"template": TEMPLATE}}


def service(metadata: dict[str, Any] | None = None, **spec: Any) -> RayService:
    meta = {"name": "rs", "namespace": "ns", "uid": "s-1", **(metadata or {})}
    body = RayServiceSpec.model_validate({"rayClusterConfig": SMALLEST, **spec})
    return RayService(Meta.parse({"metadata": meta}), body, RayServiceStatus())


def made(parent: RayService | None = None, **config: Any) -> dict[str, Any]:
    spec = RayClusterSpec.model_validate({**SMALLEST, **config})
    return clusters.ray_cluster(parent or service(), "rs-abcde", spec, "rev", {"proxy_location": "HeadOnly"})


def test_metadata() -> None:
    metadata = made()["metadata"]
    assert metadata["labels"] == {labels.FROM_CRD: "RayService", labels.FROM_CR_NAME: "rs"}
    assert metadata["annotations"][labels.REVISION] == "rev"
    assert json.loads(metadata["annotations"][labels.SERVE_OPTIONS]) == {"proxy_location": "HeadOnly"}
    assert metadata["ownerReferences"][0]["uid"] == "s-1"


@pytest.mark.parametrize(
    ("key", "inherited"),
    [
        ("team", True),
        ("ray.io/ft-enabled", True),
        ("kueue.x-k8s.io/queue-name", True),
        ("app.kubernetes.io/part-of", True),
        ("app.kubernetes.io/instance", False),
        ("app.kubernetes.io/managed-by", False),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
        ("argocd.argoproj.io/tracking-id", False),
        ("kustomize.toolkit.fluxcd.io/name", False),
        ("meta.helm.sh/release-name", False),
        ("rayserve.ray.io/shard", True),
        ("rayserve.ray.io/anything", False),
    ],
)
def test_what_a_cluster_inherits(key: str, inherited: bool) -> None:
    metadata = made(service({"labels": {key: "v"}, "annotations": {key: "v"}}))["metadata"]
    assert (metadata["labels"].get(key) == "v") is inherited
    assert (metadata["annotations"].get(key) == "v") is inherited


@pytest.mark.parametrize(
    ("config", "written"),
    [
        ({}, None),
        ({"autoscalerOptions": {}}, True),
        ({"enableInTreeAutoscaling": True}, True),
        ({"enableInTreeAutoscaling": False, "autoscalerOptions": {}}, False),
    ],
)
def test_autoscaling_is_written_out(config: dict[str, Any], written: bool | None) -> None:
    assert made(**config)["spec"].get("enableInTreeAutoscaling") == written


def test_the_autoscaler_finds_every_field_that_it_reads() -> None:
    group = made(workerGroupSpecs=[{"groupName": "g", "template": TEMPLATE}])["spec"]["workerGroupSpecs"][0]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (0, 0, 2147483647)
    assert made()["spec"]["workerGroupSpecs"] == []


@pytest.mark.parametrize(
    ("own", "parents", "written"),
    [
        (None, None, None),
        (None, "ray.io/rayserve-operator", "ray.io/rayserve-operator"),
        ("ray.io/kuberay-operator", "ray.io/rayserve-operator", "ray.io/kuberay-operator"),
    ],
)
def test_a_cluster_has_the_same_manager(own: str | None, parents: str | None, written: str | None) -> None:
    assert made(service(managedBy=parents), managedBy=own)["spec"].get("managedBy") == written


def test_what_the_user_wrote_is_read_back_the_same() -> None:
    config: dict[str, Any] = {
        "rayVersion": "2.60.0",
        "autoscalerOptions": {"idleTimeoutSeconds": 30},
        "gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": {"size": "1Gi"}},
        "workerGroupSpecs": [
            {"groupName": "g", "template": TEMPLATE, "replicas": 2, "labels": {"a": "b"}, "rayStartParams": {"x": "y"}}
        ],
    }
    written = RayClusterSpec.model_validate(made(**config)["spec"])
    wanted = RayClusterSpec.model_validate({**SMALLEST, **config, "enableInTreeAutoscaling": True})
    assert written == wanted


def test_controller_revision() -> None:
    revision = revisions.controller_revision(service(), "rev", 7, {"spec": {"a": 1}}, {labels.ATTEMPT: "1"})
    assert revision["revision"] == 7
    assert revision["data"] == {"spec": {"a": 1}}
    assert revision["metadata"]["name"] == "rev"
    assert revision["metadata"]["labels"][labels.FROM_CRD] == "RayService"


def test_the_autoscaler_may_patch_its_own_cluster_only(make_cluster: MakeCluster) -> None:
    rules = rbac.role(make_cluster())["rules"]
    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [
        (["pods"], ["get", "list"]),
        (["rayclusters"], ["get", "patch"]),
    ]
    assert rules[1]["resourceNames"] == ["rc"]
    resizing = rbac.role(make_cluster(annotations={labels.IN_PLACE_RESIZE: "{}"}))["rules"]
    assert resizing[2]["resources"] == ["pods", "pods/resize"]


def test_a_users_account_is_bound_but_not_made(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(pod={"serviceAccountName": "robot"})
    assert rbac.service_account(cluster) is None
    assert rbac.role_binding(cluster)["subjects"][0]["name"] == "robot"
    account = rbac.service_account(make_cluster())
    assert account is not None
    assert account["metadata"]["name"] == rbac.role_binding(make_cluster())["subjects"][0]["name"]
