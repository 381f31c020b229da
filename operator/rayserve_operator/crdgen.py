"""Generates the CustomResourceDefinitions from the models: `python -m rayserve_operator.crdgen [--check] FOLDER …`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from rayserve_operator.model.base import rule
from rayserve_operator.model.objects import GROUP
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.schema import structural
from rayserve_operator.model.validation import CLUSTER_NAME_LENGTH, DNS_LABEL, SERVICE_NAME_LENGTH

HEADER = "# Generated from the models by `make generate`; do not edit.\n"

Column = tuple[str, str, str, str, int]
"""Name, type, JSON path, description and priority (0 is always shown, 1 with `-o wide`)."""

CLUSTER_COLUMNS: Sequence[Column] = (
    ("Desired Workers", "integer", ".status.desiredWorkerReplicas", "Worker pods wanted", 0),
    ("Available Workers", "integer", ".status.availableWorkerReplicas", "Worker pods that run", 0),
    ("CPUs", "string", ".status.desiredCPU", "CPUs of all wanted pods", 0),
    ("Memory", "string", ".status.desiredMemory", "Memory of all wanted pods", 0),
    ("GPUs", "string", ".status.desiredGPU", "GPUs of all wanted pods", 0),
    ("TPUs", "string", ".status.desiredTPU", "TPUs of all wanted pods", 1),
    ("Status", "string", ".status.state", "ready when every wanted pod is up", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since creation", 0),
    ("Head Pod IP", "string", ".status.head.podIP", "Address of the head pod", 1),
    ("Head Service IP", "string", ".status.head.serviceIP", "Address of the head Service", 1),
    ("Reason", "string", ".status.reason", "Why it is not ready", 1),
)

SERVICE_COLUMNS: Sequence[Column] = (
    ("Service Status", "string", ".status.serviceStatus", "Running when it takes traffic", 0),
    ("Num Serve Endpoints", "integer", ".status.numServeEndpoints", "Pods that take traffic", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether it takes traffic", 0),
    ("Reconciling", "string", '.status.conditions[?(@.type=="Reconciling")].reason', "What is on its way", 0),
    ("Age", "date", ".metadata.creationTimestamp", "Time since creation", 0),
    ("Active", "string", ".status.activeServiceStatus.rayClusterName", "Cluster that takes traffic", 1),
    ("Pending", "string", ".status.pendingServiceStatus.rayClusterName", "Cluster that is to take over", 1),
)


class WithoutAnchors(yaml.SafeDumper):
    """Writes out a value that occurs twice, because people and tools read anchors badly."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def definitions() -> dict[str, dict[str, Any]]:
    """The CustomResourceDefinitions by file name."""
    cluster = _definition(
        kind="RayCluster",
        short_name="rayc",
        spec=structural(RayClusterSpec),
        status=structural(RayClusterStatus),
        columns=CLUSTER_COLUMNS,
        name_length=CLUSTER_NAME_LENGTH,
    )
    service = _definition(
        kind="RayService",
        short_name="rsvc",
        spec=structural(RayServiceSpec),
        status=structural(RayServiceStatus),
        columns=SERVICE_COLUMNS,
        name_length=SERVICE_NAME_LENGTH,
    )
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": crd for crd in (cluster, service)}


def files() -> dict[str, str]:
    """The generated files by name."""
    return {
        name: HEADER + yaml.dump(crd, Dumper=WithoutAnchors, sort_keys=False, width=120, allow_unicode=True)
        for name, crd in definitions().items()
    }


def main(arguments: Sequence[str]) -> int:
    """Write the files into each folder, or with --check tell whether they are there already."""
    is_check = "--check" in arguments
    stale = []
    for folder in (Path(argument) for argument in arguments if argument != "--check"):
        for name, text in files().items():
            path = folder / name
            if path.is_file() and path.read_text() == text:
                continue
            stale.append(path)
            if not is_check:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for path in stale:
        print(f"{path} is not what the models say; run `make generate`" if is_check else f"wrote {path}")  # noqa: T201
    return 1 if is_check and stale else 0


def _definition(
    *,
    kind: str,
    short_name: str,
    spec: Mapping[str, Any],
    status: Mapping[str, Any],
    columns: Sequence[Column],
    name_length: int,
) -> dict[str, Any]:
    singular = kind.lower()
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        **rule(
            f"size(self.metadata.name) <= {name_length} && self.metadata.name.matches('{DNS_LABEL}')",
            f"a {kind}'s name has at most {name_length} characters: lower-case letters, digits and '-', the first a "
            "letter, the last no '-'; choose another metadata.name",
        ),
    }
    version = {
        "served": True,
        "additionalPrinterColumns": [
            {
                "name": name,
                "type": type_,
                "jsonPath": path,
                "description": description,
                **({"priority": priority} if priority else {}),
            }
            for name, type_, path, description, priority in columns
        ],
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    warning = f"{GROUP}/v1alpha1 {kind} is deprecated; write {GROUP}/v1, the fields are the same"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": f"{singular}s",
                "singular": singular,
                "shortNames": [short_name],
                "categories": ["all"],
            },
            "versions": [
                {"name": "v1", "storage": True, **version},
                {"name": "v1alpha1", "storage": False, "deprecated": True, "deprecationWarning": warning, **version},
            ],
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
