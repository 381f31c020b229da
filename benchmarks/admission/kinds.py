"""What is applied: RayServices as large as those that people run, good ones and bad ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.harness import manifests
from scenarios.harness.kube import Manifest

DEPLOYMENTS = 12
"""Deployments of each RayService."""
VARIABLES = 20
"""Environment variables of each container."""
EDITED = "edited"
"""The RayService that is edited."""


def ray_service(name: str, namespace: str) -> Manifest:
    """The sample of a pipeline, with as many deployments and variables as services in earnest have."""
    sample = manifests.sample("pipeline-cpu-gpu")
    config = manifests.serve_config(sample)
    deployments = config["applications"][0]["deployments"]
    embedder = deployments[1]
    more = DEPLOYMENTS - len(deployments)
    deployments += [{**embedder, "name": f"{embedder['name']}{number}"} for number in range(more)]
    manifest = manifests.with_serve_config(sample, config)
    cluster = manifest["spec"]["rayClusterConfig"] = copy.deepcopy(manifest["spec"]["rayClusterConfig"])
    cluster["workerGroupSpecs"][0]["maxReplicas"] = DEPLOYMENTS
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        group["template"]["spec"]["containers"][0]["env"] = _variables()
    return {**manifest, "metadata": {"name": name, "namespace": namespace}}


def edited(namespace: str) -> Manifest:
    """The RayService that is edited. It is suspended, so that nothing comes of it."""
    return manifests.with_spec(ray_service(EDITED, namespace), suspend=True)


def _variables() -> Sequence[Mapping[str, str]]:
    return [{"name": f"VARIABLE_{number}", "value": f"/models/embedder/{number}"} for number in range(VARIABLES)]


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of what is applied."""

    title: str
    spec: Mapping[str, Any]
    """What of the spec differs from that of the good RayService."""
    code: str = ""
    """The rule by which it is refused; none for what is let in."""
    is_edit: bool = False
    """Whether it changes a RayService that is there, and else makes one."""

    def is_answered_by(self, words: str | None) -> bool:
        """Whether a review ended as it has to: with these words of refusal, or with None."""
        return words is None if not self.code else self.code in (words or "")


def kinds() -> Sequence[Kind]:
    """All sorts; clients take them by turns."""
    good = ray_service("good", "")
    retired = manifests.with_deployment(good, "Ranker", max_concurrent_queries=14)
    typo = copy.deepcopy(good["spec"]["rayClusterConfig"])
    typo["workerGroupSpecs"][1]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    edit = manifests.with_user_config(good, "Ranker", model="toy-2")
    return (
        Kind("a good one", {}),
        Kind("a retired key in serveConfigV2", _only(retired, "serveConfigV2"), "RS105"),
        Kind("a typing error in a pod template", {"rayClusterConfig": typo}, "RS404"),
        Kind("an edit of serveConfigV2", _only(edit, "serveConfigV2"), is_edit=True),
    )


def _only(manifest: Manifest, field: str) -> Mapping[str, Any]:
    return {field: manifest["spec"][field]}
