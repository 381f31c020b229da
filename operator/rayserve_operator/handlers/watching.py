"""kopf's part: it watches, and hands every event to the engine. Nothing is decided here."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import kopf
from typing_extensions import override

from rayserve_operator.adapters.kube import PAGE, RESOURCES
from rayserve_operator.engine.operator import Operator
from rayserve_operator.engine.store import WATCHED
from rayserve_operator.planning.actions import Kind

Assemble = Callable[[], Awaitable[tuple[Operator, Callable[[], Awaitable[None]]]]]
"""Connects, and gives the engine and what closes its connections."""

IDLE = 0.1
"""Seconds without an event after which kopf lets go of an object. Until then it holds the last one whole, which after a
list is all that there is."""


class Patience:
    """Pauses between kopf's tries to reach the API server, in seconds; there is always one more."""

    def __iter__(self) -> Iterator[float]:
        """Short at first, and never long, because a rollout may be waiting."""
        return itertools.chain((0.1, 0.3, 1.0), itertools.repeat(2.0))


class NoDiffs(kopf.DiffBaseStorage):
    """Keeps no earlier state of objects: the engine compares by itself, and to keep it each event would cost a copy."""

    @override
    def fetch(self, *, body: kopf.Body) -> None:
        """Nothing is known of before."""

    @override
    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        """Nothing of the object counts."""
        return kopf.BodyEssence()

    @override
    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written."""


def register(registry: kopf.OperatorRegistry, assemble: Assemble) -> None:
    """Register the start, the end and the watches of the operator."""
    memo: dict[str, Any] = {}

    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.server_timeout = 600
        settings.watching.chunk_size = PAGE
        settings.queueing.idle_timeout = IDLE
        settings.networking.error_backoffs = Patience()
        settings.persistence.diffbase_storage = NoDiffs()
        for kind in WATCHED:
            resource = RESOURCES[kind]
            if resource.selector is not None:
                settings.watching.label_selectors[resource.group, resource.plural] = resource.selector
        memo["operator"], memo["disconnect"] = await assemble()
        for kind in WATCHED:
            if kind not in memo["operator"].unknown_kinds:
                watch(kind)

    async def stop(**_: Any) -> None:
        await memo["operator"].close()
        await memo["disconnect"]()

    async def saw(event: kopf.RawEvent, *, kind_seen: Kind, **_: Any) -> None:
        memo["operator"].saw(kind_seen, event["type"], event["object"])

    def watch(kind: Kind) -> None:
        # kopf looks for what to watch once the start is through.
        resource = RESOURCES[kind]
        name = f"watch-{resource.plural}.{resource.group}"
        on_event = kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=name)
        on_event(partial(saw, kind_seen=kind))

    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(registry=registry)(log_in)
    kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)(start)
    kopf.on.cleanup(registry=registry)(stop)
