"""The manifests for kustomize, as far as they can be checked without Helm: whole, and with the rights of the chart."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rayserve_operator.settings import PREFIX, Settings

from .rights import needed, rights_of

OVERLAYS = ("cluster-wide", "namespaced", "high-availability")
OF_PEOPLE = ("-view", "-edit")
OF_THE_WHOLE_CLUSTER = {
    ("", "nodes", "get"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "get"),
    ("coordination.k8s.io", "leases", "list"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "get"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "patch"),
}
OF_THE_WEBHOOK = {("", "secrets", "patch")}
"""The webhook is told to the whole cluster, and so the namespaced operator has none."""


@pytest.fixture(scope="session")
def install(root: Path) -> Path:
    return root / "manifests" / "install"


def _objects(folder: Path) -> Iterator[dict[str, Any]]:
    """What kustomize would build of a folder that only has resources."""
    [recipe] = [path for name in ("kustomization.yaml", "Kustomization") if (path := folder / name).exists()]
    for resource in yaml.safe_load(recipe.read_text())["resources"]:
        path = folder / resource
        if path.is_dir():
            yield from _objects(path)
        else:
            yield from yaml.safe_load_all(path.read_text())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_a_whole_operator(overlay: str, install: Path) -> None:
    kinds = [manifest["kind"] for manifest in _objects(install / overlay)]
    assert kinds.count("CustomResourceDefinition") == 2
    assert kinds.count("Deployment") == kinds.count("ServiceAccount") == kinds.count("Namespace") == 1
    assert kinds.count("PodDisruptionBudget") == (overlay == "high-availability")
    assert kinds.count("ValidatingWebhookConfiguration") == (overlay != "namespaced")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_operator_has_the_rights_that_it_needs_and_no_others(overlay: str, install: Path) -> None:
    roles = [
        manifest
        for manifest in _objects(install / overlay)
        if manifest["kind"] in {"Role", "ClusterRole"} and not manifest["metadata"]["name"].endswith(OF_PEOPLE)
    ]
    held = {right for role in roles for rule in role["rules"] for right in rights_of(rule)}
    without = OF_THE_WHOLE_CLUSTER | OF_THE_WEBHOOK if overlay == "namespaced" else set()
    assert held == needed() - without
    assert overlay != "namespaced" or {role["kind"] for role in roles} == {"Role"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_is_one_of_the_operator(overlay: str, install: Path) -> None:
    [deployment] = [manifest for manifest in _objects(install / overlay) if manifest["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    known = {f"{PREFIX}{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert known - {entry["name"] for entry in container["env"]} == {f"{PREFIX}HEALTH_PORT", f"{PREFIX}WEBHOOK_PORT"}
