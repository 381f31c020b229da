"""Writes manifests/install from the chart: `python -m scenarios.install_manifests`. Needs helm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scenarios.harness.kube import Manifest, tool
from scenarios.harness.manifests import CHART

INSTALL = CHART.parents[1] / "manifests" / "install"
RELEASE = "rayserve-operator"
NAMESPACE = "rayserve-system"
KUBERNETES = "1.33.0"
OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by")

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "cluster-wide": {},
    "namespaced": {
        "watchNamespaces": [NAMESPACE],
        "rbac": {"clusterReads": False},
        "webhook": {"enabled": False},
    },
    "high-availability": {"replicas": 2},
}
"""The overlays, with the chart's values that they stand for."""
COMMON = "base"
ITS_OWN_NAMESPACE = {
    "name": "RAYSERVE_WATCH_NAMESPACES",
    "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
}
"""The namespaced operator looks after the namespace that it is in: kustomize can move all of it."""


def rendered(values: Mapping[str, Any]) -> list[Manifest]:
    """The chart's objects, CRDs and test apart, without the labels that only Helm goes by."""
    text = tool(
        *("helm", "template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--skip-tests"),
        *(f"--kube-version={KUBERNETES}", "--set=crds.install=false", "--values=-"),
        text=yaml.safe_dump(dict(values)),
    )
    return [_without_helm(manifest) for manifest in yaml.safe_load_all(text) if manifest]


def variant(name: str) -> list[Manifest]:
    """The objects of an overlay."""
    found = rendered(VARIANTS[name])
    if "watchNamespaces" in VARIANTS[name]:
        [deployment] = [manifest for manifest in found if manifest["kind"] == "Deployment"]
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        container["env"] = [
            ITS_OWN_NAMESPACE if entry["name"] == ITS_OWN_NAMESPACE["name"] else entry
            for entry in container["env"]
        ]
    return found


def files() -> Iterator[tuple[Path, list[Manifest]]]:
    """Every generated file: what all overlays share, and what is each one's own."""
    found = {name: variant(name) for name in VARIANTS}
    first, *others = found.values()
    shared = [one for one in first if all(one in other for other in others)]
    yield INSTALL / COMMON / "operator.yaml", shared
    for name, manifests in found.items():
        yield INSTALL / name / "operator.yaml", [one for one in manifests if one not in shared]


def written(manifests: list[Manifest]) -> str:
    """The text of a file."""
    header = "# Generated from the chart by `make install-manifests`; do not edit.\n"
    return header + yaml.safe_dump_all(manifests, sort_keys=False, width=120)


def _without_helm(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_helm(item) for key, item in value.items() if key not in OF_HELM}
    if isinstance(value, list):
        return [_without_helm(item) for item in value]
    return value


if __name__ == "__main__":
    for path, manifests in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(manifests))
