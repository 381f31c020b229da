"""Mistakes in a manifest are refused, or told in a condition and an event with the mend."""

from typing import Any

import pytest

from scenarios.harness import manifests
from scenarios.harness.kube import Kube, KubectlError, Manifest
from scenarios.harness.rayservice import RayService
from scenarios.harness.waiting import until

pytestmark = pytest.mark.ci

SAMPLE = manifests.sample("minimal")


def _with_groups(*changes: dict[str, Any]) -> Manifest:
    """The sample with a worker group for each set of changes to its own."""
    [group] = SAMPLE["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    groups = [{**group, **change} for change in changes]
    cluster = {**SAMPLE["spec"]["rayClusterConfig"], "workerGroupSpecs": groups}
    return manifests.with_spec(SAMPLE, rayClusterConfig=cluster)


MISTAKES = {
    "serve-config-not-yaml": (
        manifests.with_serve_config(SAMPLE, "applications: [{name: a"),
        "serveConfigV2",
    ),
    "serve-config-not-a-mapping": (
        manifests.with_serve_config(SAMPLE, "- just\n- a list\n"),
        "serveConfigV2",
    ),
    "max-below-min": (_with_groups({"minReplicas": 3, "maxReplicas": 1}), "maxReplicas"),
    "two-groups-of-one-name": (_with_groups({}, {}), "workerGroupSpecs"),
    "no-container": (_with_groups({"template": {"spec": {"containers": []}}}), "containers"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_bad_input_is_named(mistake: str, kube: Kube, namespace: str) -> None:
    """The words name the place, and nothing is made of it."""
    manifest, place = MISTAKES[mistake]
    service = RayService(kube, namespace, mistake)
    refusal = _refusal(service, {**manifest, "metadata": {"name": mistake}})
    if refusal:
        print(f"refused by the API server: {refusal}")
        assert place in refusal
        return

    def told() -> Manifest | None:
        condition = service.conditions.get("SpecValid", {})
        return condition if condition.get("status") == "False" else None

    condition = until(told, "condition SpecValid is False", 15)
    assert condition
    print(f"told in a condition: {condition['message']}")
    assert place in condition["message"]
    warnings = until(
        lambda: [e for e in service.events if e["type"] == "Warning"], "an event tells it", 10
    )
    assert any(place in event["message"] for event in warnings)
    assert not service.clusters


def test_unknown_field_is_refused(kube: Kube, namespace: str) -> None:
    """Kubectl asks for strict validation, and the API server names the field."""
    service = RayService(kube, namespace, "unknown-field")
    manifest = manifests.with_spec(SAMPLE, serveConfgV2="a typo")
    with pytest.raises(KubectlError, match="serveConfgV2"):
        service.apply({**manifest, "metadata": {"name": "unknown-field"}})


def _refusal(service: RayService, manifest: Manifest) -> str | None:
    """The API server's words, if it does not take the manifest."""
    try:
        service.apply(manifest)
    except KubectlError as error:
        return str(error)
    return None
