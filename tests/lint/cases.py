"""The corpus of bad manifests: each is the good one, made bad in one thing."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rayserve_operator.advice.subject import Subject
from rayserve_operator.crdgen import WithoutAnchors
from rayserve_operator.model.problems import Problem
from rayserve_operator.planning.dry_run.drafts import of_subject
from rayserve_operator.planning.dry_run.verdicts import Answer, judge
from rayserve_operator.render.options import RenderOptions

HERE = Path(__file__).parent
GOOD: dict[str, Any] = yaml.safe_load((HERE / "good.yaml").read_text())
SERVE: dict[str, Any] = yaml.safe_load(GOOD["spec"]["serveConfigV2"])

_CLUSTER = "spec.rayClusterConfig"
_WORKER = f"{_CLUSTER}.workerGroupSpecs[0]"
_TEXT = "spec.serveConfigV2"
_APPLICATION = f"{_TEXT}:applications[0]"
PARTS = {
    "top": "",
    "metadata": "metadata",
    "spec": "spec",
    "cluster": _CLUSTER,
    "head": f"{_CLUSTER}.headGroupSpec",
    "worker": _WORKER,
    "pod": f"{_WORKER}.template.spec",
    "container": f"{_WORKER}.template.spec.containers[0]",
    "text": _TEXT,
    "serve": f"{_TEXT}:",
    "application": _APPLICATION,
    "deployment": f"{_APPLICATION}.deployments[0]",
    "actor": f"{_APPLICATION}.deployments[0].ray_actor_options",
    "scaled": f"{_APPLICATION}.deployments[1]",
    "scaling": f"{_APPLICATION}.deployments[1].autoscaling_config",
}
"""Where each part of the good manifest stands."""


@dataclass(frozen=True)
class Case:
    """What is done to the good manifest, and what is to be found then."""

    code: str
    part: str
    path: str
    put: Any = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    ray: str = "2.60.0"
    gpus: int = 0
    """GPUs of each worker."""

    @property
    def place(self) -> str:
        """The whole path of the finding, which may be in another part."""
        if self.path.startswith("spec."):
            return self.path
        where = PARTS[self.part]
        divider = "." if self.path and where and not where.endswith(":") else ""
        return f"{where}{divider}{self.path}"

    @property
    def example(self) -> str:
        """What is bad, as it stands in a manifest."""
        if isinstance(self.put, str):
            return self.put
        gone = "".join(f"# no {key}\n" for key in self.drop)
        return gone + (yaml.dump(self.put, Dumper=WithoutAnchors, sort_keys=False) if self.put else "")

    @property
    def manifest(self) -> dict[str, Any]:
        """The bad manifest."""
        manifest, serve = copy.deepcopy(GOOD), copy.deepcopy(SERVE)
        manifest["spec"]["rayClusterConfig"]["rayVersion"] = self.ray
        if self.gpus:
            _below(manifest, PARTS["container"])["resources"]["limits"]["nvidia.com/gpu"] = self.gpus
        outer, _, inner = PARTS[self.part].partition(":")
        if self.part == "text":
            manifest["spec"]["serveConfigV2"] = self.put
            return manifest
        part = _below(serve, inner) if ":" in PARTS[self.part] else _below(manifest, outer)
        part.update(self.put)
        for key in self.drop:
            del part[key]
        if "serveConfigV2" not in self.put and "spec" in manifest:
            manifest["spec"]["serveConfigV2"] = yaml.safe_dump(serve, sort_keys=False)
        return manifest


@dataclass(frozen=True)
class Tried(Case):
    """A case that the API server finds, when it is to try a pod of the good manifest's workers."""

    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> Answer:
        """What the API server says."""
        code, message = self.answer["code"], self.answer.get("message")
        return Answer(code, {"message": message, "details": {"causes": self.answer.get("causes")}})

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What that means."""
        worker = of_subject(Subject.of(self.manifest), RenderOptions())[1]
        return judge(worker, self.said)


CASES = [Case(**case) for case in yaml.safe_load((HERE / "bad.yaml").read_text())]
TRIED = [Tried(**case) for case in yaml.safe_load((HERE / "tried.yaml").read_text())]


def _below(value: Any, path: str) -> Any:
    for key in path.replace("[", ".").replace("]", "").split("."):
        if key:
            value = value[int(key) if key.isdigit() else key]
    return value
