"""What the operator asks of the API server, read from its source: every action that a plan can hold, and every call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from rayserve_operator.adapters.kube import RESOURCES
from rayserve_operator.engine.store import BELONGINGS, WATCHED
from rayserve_operator.model.objects import Meta, RayCluster
from rayserve_operator.model.raycluster import RayClusterSpec, RayClusterStatus
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.cluster import belongings
from rayserve_operator.render import labels, rbac

Right = tuple[str, str, str]
"""API group, resource and verb."""

PACKAGE = Path(belongings.__file__).parents[2]
PARTS = ("planning", "engine")

# Server-side apply makes what is not there, and the first one looks whether something is. A create whose name is taken
# reads the namesake; a Service is applied.
VERBS_OF_ACTIONS = {
    "Create": ("create", "get"),
    "Apply": ("create", "patch"),
    "Patch": ("patch",),
    "Annotate": ("patch",),
    "Delete": ("delete",),
    "Confirm": ("get",),
}
VERBS_OF_CALLS = {
    "get": ("get",),
    "create": ("create",),
    "dry_run": ("create",),
    "apply": ("create", "patch"),
    "patch": ("patch",),
    "merge": ("patch",),
    "delete": ("delete",),
    "everything": ("list",),
    "living": ("list",),
}
APPLIED = frozenset(BELONGINGS) - {Kind.JOB}
"""The Job is applied by the farewell, which names it."""
KINDS_OF_VARIABLES = {
    ("belongings.py", "Apply"): APPLIED,
    ("belongings.py", "Delete"): belongings._REMOVABLE | {Kind.SERVICE},
    ("planner.py", "Delete"): frozenset({Kind.SERVICE, Kind.RAY_CLUSTER}),
    ("operator.py", "everything"): frozenset(WATCHED),
    ("operator.py", "living"): frozenset(WATCHED),
    ("routes.py", "get"): frozenset({Kind.GATEWAY, Kind.HTTP_ROUTE}),
    ("routes.py", "Delete"): frozenset({Kind.GATEWAY, Kind.HTTP_ROUTE}),
}
"""Where the kind of an action or call is a variable: what it can be."""
CARRIED_OUT = ("executor.py", "action.kind")
"""What the executor asks for an action counts where the action is made."""


def needed() -> set[Right]:
    """Every right that the code can make use of, Secrets, nodes and the Lease included."""
    found = set(_asked())
    found |= {(kind, verb) for kind in WATCHED for verb in ("list", "watch")}
    return {
        *((RESOURCES[kind].group, RESOURCES[kind].plural, verb) for kind, verb in found),
        *(("ray.io", f"{plural}/status", "patch") for plural in ("rayservices", "rayclusters")),
        *(("ray.io", f"{plural}/finalizers", "update") for plural in ("rayservices", "rayclusters")),
        ("discovery.k8s.io", "endpointslices", "list"),
        ("coordination.k8s.io", "leases", "list"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "get"),
        *granted(),
    }


def granted() -> Iterator[Right]:
    """What the operator gives to Ray's autoscaler, and so has to hold itself."""
    annotations = {labels.IN_PLACE_RESIZE: "true"}
    meta = Meta.parse({"metadata": {"name": "a", "namespace": "n", "uid": "u", "annotations": annotations}})
    spec = RayClusterSpec.model_validate({"headGroupSpec": {"template": {"spec": {"containers": [{"name": "ray"}]}}}})
    for rule in rbac.role(RayCluster(meta, spec, RayClusterStatus()))["rules"]:
        yield from rights_of(rule)


def rights_of(rule: dict[str, list[str]]) -> Iterator[Right]:
    """A rule of a Role, one right at a time."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            yield from ((group, resource, verb) for verb in rule["verbs"])


def _asked() -> Iterator[tuple[Kind, str]]:
    for part in PARTS:
        for path in sorted((PACKAGE / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield from _asked_by(path.name, node)


def _asked_by(file: str, call: ast.Call) -> Iterator[tuple[Kind, str]]:
    match call.func:
        case ast.Name(id=name) if name in VERBS_OF_ACTIONS:
            verbs = VERBS_OF_ACTIONS[name]
            if any(keyword.arg == "is_first" for keyword in call.keywords):
                verbs = (*verbs, "get")
            [kind] = [keyword.value for keyword in call.keywords if keyword.arg == "kind"]
        case ast.Attribute(attr=name, value=ast.Attribute(attr="kube" | "_kube")) if name in VERBS_OF_CALLS:
            verbs, kind = VERBS_OF_CALLS[name], call.args[0]
        case _:
            return
    if (file, ast.unparse(kind)) == CARRIED_OUT:
        return
    for one in _kinds(file, name, kind):
        yield from ((one, verb) for verb in verbs)


def _kinds(file: str, name: str, kind: ast.expr) -> frozenset[Kind]:
    match kind:
        case ast.Attribute(attr=member, value=ast.Name(id="Kind")):
            return frozenset({Kind[member]})
        case _:
            return KINDS_OF_VARIABLES[file, name]
