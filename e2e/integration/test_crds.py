"""What the API server makes of the CRDs."""

import json
from typing import Any

import pytest

from scenarios.harness import manifests
from scenarios.harness.kube import Kube, KubectlError, Manifest, apply, kubectl

SAMPLE = manifests.sample("minimal")
LIMIT_OF_ANNOTATIONS = 256 * 1024


def _cluster(**changes: Any) -> Manifest:
    cluster = {**SAMPLE["spec"]["rayClusterConfig"], **changes}
    return manifests.with_spec(SAMPLE, rayClusterConfig=cluster)


def _group(**changes: Any) -> Manifest:
    [group] = SAMPLE["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return _cluster(workerGroupSpecs=[{**group, **changes}])


@pytest.mark.parametrize("name", ["rayservices.ray.io", "rayclusters.ray.io"])
def test_crd_fits_client_side_apply(kube: Kube, name: str) -> None:
    """All of it is in the annotation that client-side apply keeps."""
    crd = kube.get("customresourcedefinitions", None, name)
    applied = crd["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert len(applied) < LIMIT_OF_ANNOTATIONS
    served = {version["name"] for version in json.loads(applied)["spec"]["versions"]}
    assert served == {"v1", "v1alpha1"}


@pytest.mark.parametrize("path", sorted(manifests.SAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_sample_is_accepted(path: object) -> None:
    """Every sample passes the API server's strict validation."""
    kubectl("apply", "--dry-run=server", "--namespace=default", "-f", str(path))


def test_defaults_are_kuberays(kube: Kube, namespace: str) -> None:
    """What KubeRay's CRD fills in for a worker group, ours fills in as well."""
    bare = {"groupName": "bare", "template": {"spec": {"containers": [{"name": "ray"}]}}}
    manifest = _cluster(workerGroupSpecs=[bare])
    stored = kube.create("rayservices", manifests.in_namespace(manifest, namespace))
    [group] = stored["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == 0
    assert group["maxReplicas"] == 2147483647
    assert group["numOfHosts"] == 1


REFUSED = {
    "max-below-min": (_group(minReplicas=2, maxReplicas=1), "raise maxReplicas"),
    "no-container": (_group(template={"spec": {"containers": []}}), "containers"),
    "no-template": (_group(template=None), "template"),
    "negative-replicas": (_group(replicas=-1), "replicas"),
    "negative-delay": (manifests.with_spec(SAMPLE, rayClusterDeletionDelaySeconds=-1), "Delay"),
    "long-name": ({**SAMPLE, "metadata": {"name": "n" * 48}}, "47 characters"),
    "unknown-field": (manifests.with_spec(SAMPLE, serveConfig="typo"), 'unknown field "spec.serv'),
    "unknown-group-field": (_group(maxReplica=1), "unknown field"),
    "foreign-manager": (manifests.with_spec(SAMPLE, managedBy="me"), "managedBy"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_mistake_is_refused(mistake: str) -> None:
    """The refusal names the place."""
    manifest, words = REFUSED[mistake]
    with pytest.raises(KubectlError, match=words):
        apply(manifest, options=["--dry-run=server", "--namespace=default"])


def test_short_names_and_columns(kube: Kube, namespace: str) -> None:
    """`kubectl get rsvc` shows the state at a glance."""
    kube.create("rayservices", manifests.in_namespace(SAMPLE, namespace))
    head = kubectl("get", "rsvc", f"--namespace={namespace}").splitlines()[0]
    assert "SERVICE STATUS" in head
    assert "NUM SERVE ENDPOINTS" in head
    kubectl("get", "rayc", f"--namespace={namespace}")
