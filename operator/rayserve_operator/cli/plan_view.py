"""How a plan looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from rayserve_operator.advice.amounts import size
from rayserve_operator.cli.forecast import Consequence, Forecast
from rayserve_operator.cli.quotas import QuotaRoom, resource_of
from rayserve_operator.cli.room import PODS, Room
from rayserve_operator.cli.view import plain_table
from rayserve_operator.model.serve_updates import Effect
from rayserve_operator.planning.words import few

_COLOURS = {
    Consequence.NONE: "dim",
    Consequence.IN_PLACE: "green",
    Consequence.FIRST: "green",
    Consequence.BLUE_GREEN: "yellow",
    Consequence.RECREATE: "magenta",
    Consequence.REFUSED: "red",
}
_RAY = {
    Effect.STARTED: "starts",
    Effect.ENDED: "ends",
    Effect.REPLACED: "its replicas are replaced, a few at a time",
    Effect.RECONFIGURED: "its replicas are told, and stay",
    Effect.SCALED: "replicas come or go, and none is restarted",
}
_BYTES = ("memory", "storage", "ephemeral-storage", "hugepages")


def plan_view(name: str, namespace: str, found: Forecast, room: Room | None) -> RenderableType:
    """What will be done with a manifest."""
    title = Text.assemble((name, "bold"), f" in {namespace}: ", (str(found.consequence), _COLOURS[found.consequence]))
    parts: list[RenderableType] = [title, Text(found.message)]
    if found.changes:
        parts += ["", _changes(found)]
    if found.ray:
        parts += ["", _ray(found)]
    if room is not None:
        parts += ["", _room(room), *_words(room)]
    return Group(*parts, "")


def _changes(found: Forecast) -> RenderableType:
    table = plain_table("CHANGE", "FOLLOWS", "WHY")
    for change in found.changes:
        table.add_row(Text(change.path), Text(change.consequence, _COLOURS[change.consequence]), Text(change.why))
    return table


def _ray(found: Forecast) -> RenderableType:
    table = plain_table("APPLICATION", "DEPLOYMENT", "RAY", "BECAUSE OF")
    for update in found.ray:
        whose = "all" if update.deployment is None else update.deployment
        table.add_row(Text(update.application), Text(whose), _RAY[update.effect], Text(", ".join(update.paths)))
    return table


def _room(room: Room) -> RenderableType:
    rows = (room.now, *room.added, room.peak)
    known = dict.fromkeys(name for row in rows for name in row.requests)
    resources = [name for name in known if any(row.requests.get(name) for row in rows)]
    table = plain_table("", "PODS", *(name.upper() for name in resources))
    for words, row in zip(("now", *(f"+ {row.group}" for row in room.added), "at the peak"), rows, strict=True):
        table.add_row(words, str(row.pods), *(_amount(name, row.requests) for name in resources))
    if room.free is not None:
        table.add_row("free now", _amount(PODS, room.free), *(_amount(name, room.free) for name in resources))
    for quota in room.quotas or ():
        left = _left_by(quota)
        if left.keys() & {PODS, *resources}:
            columns = (_amount(name, left) if name in left else "" for name in (PODS, *resources))
            table.add_row(f"left by quota {quota.name}", *columns)
    return table


def _left_by(quota: QuotaRoom) -> dict[str, Decimal]:
    """What a quota leaves for requests; the least where it limits a resource under several names."""
    found: dict[str, Decimal] = {}
    for name, left in quota.free.items():
        resource = resource_of(name)
        found[resource] = min(left, found.get(resource, left))
    return found


def _words(room: Room) -> Iterator[RenderableType]:
    if room.free is None:
        yield Text("What the nodes have free is not known.", "dim")
    for group, pods in room.unplaced.items():
        yield Text(f"{pods} of the pods of {group} fit no node as it is now.", "yellow")
    if room.quotas is None:
        yield Text("What the quotas of the namespace leave is not known.", "dim")
    for quota in room.quotas or ():
        yield from _words_of(quota)


def _words_of(quota: QuotaRoom) -> Iterator[RenderableType]:
    if quota.passed_over is not None:
        yield Text(f"The quota {quota.name} is not counted: {quota.passed_over}.", "dim")
    for name in quota.short:
        left, more = _amount(name, quota.free), _amount(name, quota.taken)
        yield Text(f"The quota {quota.name} leaves {left} of {name}, and {more} more are taken at the peak.", "yellow")
    if quota.unnamed:
        wanted = few(quota.unnamed)
        yield Text(
            f"The quota {quota.name} has pods refused in which a container does not name {wanted}, and some of the new"
            " pods have such a one. A LimitRange may name it.",
            "yellow",
        )


def _amount(name: str, amounts: Mapping[str, Decimal]) -> str:
    amount = amounts.get(name, Decimal(0))
    is_size = name.removeprefix("limits.").removeprefix("requests.").startswith(_BYTES)
    return size(amount) if is_size and amount else f"{amount.normalize():f}"
