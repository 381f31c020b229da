"""The manifests for kustomize are what the chart makes."""

from collections.abc import Iterable

import pytest
import yaml

from scenarios.harness.kube import Manifest, kubectl
from scenarios.harness.manifests import CRDS
from scenarios.install_manifests import INSTALL, VARIANTS, files, variant, written

pytestmark = pytest.mark.ci


def test_they_are_generated_from_the_chart() -> None:
    """Nobody has edited them, and nobody has forgotten them."""
    stale = [str(path) for path, manifests in files() if path.read_text() != written(manifests)]
    assert not stale, "run `make install-manifests`"


@pytest.mark.parametrize("name", VARIANTS)
def test_an_overlay_holds_the_charts_objects_the_definitions_and_a_namespace(name: str) -> None:
    """Nothing is missing in it, and nothing added."""
    built = _named(yaml.safe_load_all(kubectl("kustomize", str(INSTALL / name))))
    crds = _named(yaml.safe_load(path.read_text()) for path in CRDS.glob("*.yaml"))
    [namespace] = [one for one in built.values() if one["kind"] == "Namespace"]
    assert built == {**crds, **_named([namespace]), **_named(variant(name))}


def _named(manifests: Iterable[Manifest]) -> dict[tuple[str, str, str], Manifest]:
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in manifests
    }
