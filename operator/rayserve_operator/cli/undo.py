"""Going back to an earlier revision of a RayService."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rayserve_operator.cli.refusals import CannotDo
from rayserve_operator.cli.revisions import Revision, State, goal_of
from rayserve_operator.planning import edits
from rayserve_operator.planning.service.goal import REVISED, Goal


class CannotUndo(CannotDo):
    """There is nothing to go back to; says what to do instead."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What going back means."""

    to: Revision
    edit: edits.Edit | None
    """None where the present spec is invalid, so that nothing can be compared with it."""
    operations: tuple[Mapping[str, Any], ...]
    """The JSON patch of the RayService; the API server refuses it if the RayService has changed meanwhile."""
    diff: str
    """The same for people, as a unified diff of YAML: it is what to change in Git."""


def plan_undo(service: Mapping[str, Any], revisions: Sequence[Revision], number: int | None = None) -> Undo:
    """What leads back to a revision: to this number, or else to the last one before the present that did not fail.

    All of the spec that is no part of a revision stays as it is.

    Raises:
        CannotUndo: there is no such revision, or none that can be gone back to.
    """
    target, goal = _target(revisions, number)
    present = goal_of(service, service["spec"])
    spec, then = service["spec"], goal.data["spec"]
    wanted = {field: then[field] for field in REVISED if field in then}
    added = [{"op": "add", "path": f"/spec/{field}", "value": value} for field, value in wanted.items()]
    removed = [{"op": "remove", "path": f"/spec/{field}"} for field in REVISED if field in spec and field not in wanted]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": service["metadata"]["resourceVersion"]}
    # What is written out in full only to say the default is no difference to show.
    now = spec if present is None else present.data["spec"]
    return Undo(
        to=target,
        edit=None if present is None else edits.between(present, goal),
        operations=(guard, *added, *removed),
        diff=_diff({field: now[field] for field in REVISED if field in now}, wanted),
    )


def _target(revisions: Sequence[Revision], number: int | None) -> tuple[Revision, Goal]:
    if not revisions:
        raise CannotUndo("there are no revisions; the operator writes the first one when it first sees a valid spec")
    present, earlier = revisions[-1], revisions[:-1]
    if number is None:
        found = next((r for r in reversed(earlier) if r.goal is not None and r.state is not State.FAILED), None)
        if found is None:
            raise CannotUndo(f"revision {present.number} is the only one that could serve; edit the RayService instead")
    else:
        found = next((r for r in revisions if r.number == number), None)
        if found is None:
            numbers = ", ".join(str(r.number) for r in revisions)
            raise CannotUndo(f"there is no revision {number}; there are {numbers}")
        if found is present:
            raise CannotUndo(f"revision {number} is the present one")
    if found.goal is None:
        raise CannotUndo(f"revision {found.number} cannot be read by this version of rayserve")
    return found, found.goal


def _diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    now, then = (yaml.dump(dict(one), Dumper=_Readable, sort_keys=True).splitlines() for one in (before, after))
    return "\n".join(difflib.unified_diff(now, then, "spec, now", "spec, then", lineterm=""))


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _block)
