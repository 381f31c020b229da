"""The reasons of conditions and events, read from the source: every one that the operator can write."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import rayserve_operator
from rayserve_operator.planning.cluster import belongings
from rayserve_operator.planning.condition_list import REFUSED, UNSUPPORTED
from rayserve_operator.planning.service import gate, giving_up, routes, routing, shifting
from rayserve_operator.planning.service.status import _INVALID, _OF_SUSPENSION, RECREATING

PACKAGE = Path(rayserve_operator.__file__).parent
PLACES = {"Fact": 2, "Announcement": 0}
"""What tells a reason, and the place of the reason among its arguments."""
OF_PODS = "of a pod"
"""Stands for the reasons that the scheduler and the kubelet give, which are Kubernetes' own."""

RESOLVED: dict[str, frozenset[str]] = {
    "UNSUPPORTED": frozenset({UNSUPPORTED}),
    "REFUSED": frozenset({REFUSED}),
    "SWITCHED": frozenset({routing.SWITCHED}),
    "DETACHED": frozenset({routing.DETACHED}),
    "RECREATING": frozenset({RECREATING}),
    "_INVALID": frozenset({_INVALID}),
    "Reason.ACCEPTED": frozenset({routes.Reason.ACCEPTED}),
    "held": frozenset({"AllPodsReady", "PodsNotReady", "Suspended"}),
    "refused.reason": frozenset(),
    "returning.reason": frozenset(giving_up.Reason),
    "gate.Stage.PROVISIONING": frozenset({gate.Stage.PROVISIONING}),
    "giving_up.Reason.DEADLINE_EXCEEDED": frozenset({giving_up.Reason.DEADLINE_EXCEEDED}),
    "course.failure.reason": frozenset(giving_up.Reason),
    "course.verdict.stage": frozenset(gate.Stage) - {gate.Stage.FIT},
    "waits.reason": frozenset(shifting.Reason) - {shifting.Reason.RETREATING},
    "shifting.Reason.RETREATING": frozenset({shifting.Reason.RETREATING}),
    "its_own.reason": frozenset({OF_PODS}),
    "crew.troubles[0].reason": frozenset({OF_PODS}),
    "reason_word": frozenset({"QuotaExceeded", "ActionRefused"}),
    "asked": frozenset({"UserRequestedSuspend"}),
    "not_asked": frozenset({"NotSuspended"}),
    "f'Deleted{kind}'": frozenset({"DeletedService", "DeletedRayCluster", "DeletedHTTPRoute", "DeletedGateway"}),
    "f'Deleted{word}'": frozenset(f"Deleted{kind.partition(' ')[0]}" for kind in belongings._REMOVABLE),
    "condition.reason": frozenset(),
    "Fact reason": frozenset({*routes.Reason, *(reason for reason, _ in _OF_SUSPENSION.values())}),
    "Announcement reason": frozenset({"DeletedHeadPod", "DeletedWorkerPod"}),
}
"""Expressions in the place of a reason, and what they can be; what a condition had before is no new one."""


def reasons(call: str) -> set[str]:
    """Every reason that the calls of `Fact` or of `Announcement` can give."""
    found: set[str] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call:
                for expression in _branches(node.args[PLACES[call]]):
                    found |= _resolved(call, expression)
    return found


def documented(members: type[StrEnum]) -> dict[str, str]:
    """The docstrings of the members of an enumeration, by their values."""
    [definition] = ast.parse(inspect.getsource(members)).body
    assert isinstance(definition, ast.ClassDef)
    told = {}
    for statement, after in zip(definition.body, definition.body[1:], strict=False):
        match statement, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(words))):
                told[str(members[name])] = words
            case _:
                pass
    assert told.keys() == {str(member) for member in members}
    return told


def _branches(expression: ast.expr) -> Iterator[ast.expr]:
    if isinstance(expression, ast.IfExp):
        yield from _branches(expression.body)
        yield from _branches(expression.orelse)
    else:
        yield expression


def _resolved(call: str, expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.Constant):
        return {str(expression.value)}
    written = ast.unparse(expression)
    return {str(reason) for reason in RESOLVED[f"{call} reason" if written == "reason" else written]}
