"""Carries out actions, and puts what was written straight into the store."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from rayserve_operator.engine.ports import Kube, Manifest, Ray
from rayserve_operator.engine.store import WATCHED, Store
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.model.errors import AlreadyExists, NotFound, OutcomeUnknown, Refused, Superseded, Unavailable
from rayserve_operator.model.objects import Meta
from rayserve_operator.planning import custody
from rayserve_operator.planning.actions import (
    Annotate,
    Announcement,
    AnyAction,
    Apply,
    Confirm,
    Create,
    Delete,
    Kind,
    Patch,
    Step,
    SubmitServe,
)
from rayserve_operator.planning.service import submission
from rayserve_operator.render import labels
from rayserve_operator.render.names import NAME_ALPHABET

logger = logging.getLogger(__name__)

DRAWN_CHARACTERS = 5
DRAWN_BYTES = 32
CREATE_ATTEMPTS = 4

Tell = Callable[[Announcement], None]
Done = Callable[[str, AnyAction], None]
"""Is told the namespace and an action that has succeeded, once its effect is in the store."""


@dataclass(slots=True)
class Executor:
    """Turns actions into requests."""

    kube: Kube
    ray: Ray
    store: Store
    tokens: Tokens
    chance: random.Random = field(default_factory=random.SystemRandom)
    on_done: Done = lambda _namespace, _action: None
    may_act: Callable[[], bool] = lambda: True
    """Whether this process still leads: asked before every request, since any wait may have been a long one."""
    _unanswered: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Names drawn for creates that never were answered; the next create of their kind takes one up again."""

    async def carry_out(self, namespace: str, step: Step, tell: Tell) -> None:
        """Carry out the actions of one step together. All are tried; then the first failure is raised."""
        results = await asyncio.gather(*(self._one(namespace, action, tell) for action in step), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]

    async def _one(self, namespace: str, action: AnyAction, tell: Tell) -> None:
        await self._perform(namespace, action)
        logger.debug("Done: %s", describe(action))
        self.on_done(namespace, action)
        if action.announce is not None:
            tell(action.announce)

    async def _perform(self, namespace: str, action: AnyAction) -> None:
        self._fence()
        match action:
            case Create(kind=Kind.SERVICE):
                self._saw(action.kind, await self._create_service(namespace, action.manifest))
            case Create():
                self._saw(action.kind, await self._create(namespace, action))
            case Apply():
                if action.is_first:
                    await self._look_for_namesake(namespace, action)
                self._saw(action.kind, await self.kube.apply(action.kind, action.manifest))
            case Patch():
                answer = await self.kube.patch(action.kind, namespace, action.name, action.operations)
                self._saw(action.kind, answer)
            case Annotate():
                metadata = {"uid": action.uid, "annotations": action.annotations, "labels": action.labels}
                patch = {"metadata": {key: value for key, value in metadata.items() if value is not None}}
                self._saw(action.kind, await self.kube.merge(action.kind, namespace, action.name, patch))
            case Delete():
                await self._delete(namespace, action)
            case Confirm():
                await self._confirm(namespace, action)
            case SubmitServe():
                await self._submit(namespace, action)
            case _:
                assert_never(action)

    async def _create(self, namespace: str, action: Create) -> Manifest:
        """POST, under one name however often the answer is lost; a namesake counts only if it is this very object."""
        manifest = self._named(namespace, action)
        for attempt in range(CREATE_ATTEMPTS):
            self._fence()
            try:
                return await self.kube.create(action.kind, manifest)
            except OutcomeUnknown:
                if attempt == CREATE_ATTEMPTS - 1:
                    if action.name_prefix is not None:
                        names = self._unanswered.setdefault((namespace, action.name_prefix), [])
                        names.append(manifest["metadata"]["name"])
                    raise
            except AlreadyExists:
                namesake = await self.kube.get(action.kind, namespace, manifest["metadata"]["name"])
                self._saw(action.kind, namesake)
                meta, wanted = Meta.parse(namesake), Meta.parse(manifest)
                is_ours = meta.owner == wanted.owner and not meta.deleting
                if not is_ours:
                    raise
                return namesake
        raise AssertionError("the loop returns or raises")

    async def _create_service(self, namespace: str, manifest: Manifest) -> Manifest:
        """Apply a Service where there is none.

        What a POST says stays when a later apply leaves it out (to the API server, they are two managers), so that a
        port could never be taken out again.
        """
        try:
            namesake = await self.kube.get(Kind.SERVICE, namespace, manifest["metadata"]["name"])
        except NotFound:
            return await self.kube.apply(Kind.SERVICE, manifest)
        self._saw(Kind.SERVICE, namesake)
        raise AlreadyExists(f"Service {manifest['metadata']['name']} is there already")

    async def _look_for_namesake(self, namespace: str, action: Apply) -> None:
        """Raise Refused where somebody else's object has the name: an apply would make it the cluster's.

        No precondition of an apply says that nothing may be there, so this is read right before.
        """
        wanted = Meta.parse(action.manifest)
        try:
            found = await self.kube.get(action.kind, namespace, wanted.name)
        except NotFound:
            found = None
        if found is not None and (words := custody.conflict(action.kind, Meta.parse(found), wanted)) is not None:
            raise Refused(words)
        self._fence()

    def _named(self, namespace: str, action: Create) -> Manifest:
        if action.drawn_key is not None:
            return {**action.manifest, "stringData": {action.drawn_key: secrets.token_urlsafe(DRAWN_BYTES)}}
        if action.name_prefix is None:
            return action.manifest
        drawn = "".join(self.chance.choices(NAME_ALPHABET, k=DRAWN_CHARACTERS))
        left_over = self._unanswered.get((namespace, action.name_prefix))
        name = left_over.pop() if left_over else f"{action.name_prefix}{drawn}"
        metadata = {**action.manifest["metadata"], "name": name}
        return {**action.manifest, "metadata": metadata}

    async def _delete(self, namespace: str, action: Delete) -> None:
        try:
            left = await self.kube.delete(action.kind, namespace, action.name, action.uid, grace=action.grace)
        except NotFound:
            left = None
        if action.kind not in WATCHED:
            return
        if left is None:
            self.store.remove(action.kind, action.uid)
        else:
            self.store.put(action.kind, left)

    async def _confirm(self, namespace: str, action: Confirm) -> None:
        try:
            found = await self.kube.get(action.kind, namespace, action.name)
        except NotFound:
            self.store.remove(action.kind, action.uid)
            raise
        self._saw(action.kind, found)
        meta = Meta.parse(found)
        if meta.uid != action.uid or meta.deleting or (action.version and meta.version != action.version):
            raise Superseded(f"{action.kind} {action.name} is not as it was observed")

    async def _submit(self, namespace: str, action: SubmitServe) -> None:
        token = await self.tokens.read(namespace, action.secret)
        try:
            await self.ray.submit(action.address, action.config, token)
        except Refused as refusal:
            if action.failed_before is not None:
                await self._note(
                    namespace, action, submission.refused(action.config, action.failed_before + 1, refusal)
                )
            raise
        deployed = (await self.ray.serve_status(action.address, token)).deployed
        if not action.config.differences(deployed):
            return
        forgotten = sorted(action.config.applications.keys() - deployed.apps.keys())
        if forgotten:
            # So says a Serve that is shutting down, and takes whatever it is sent. It is no spelling of the config.
            raise Unavailable(f"Ray took the Serve config and knows nothing of {', '.join(forgotten)}")
        await self._note(namespace, action, {labels.SERVE_SPELLING: f"{action.config.digest}:{deployed.digest}"})

    async def _note(self, namespace: str, action: SubmitServe, noted: Mapping[str, str]) -> None:
        patch: Mapping[str, Any] = {"metadata": {"uid": action.cluster_uid, "annotations": noted}}
        self._saw(Kind.RAY_CLUSTER, await self.kube.merge(Kind.RAY_CLUSTER, namespace, action.cluster, patch))

    def _fence(self) -> None:
        if not self.may_act():
            raise Superseded("another replica of the operator leads")

    def _saw(self, kind: Kind, manifest: Manifest) -> None:
        if kind in WATCHED:
            self.store.put(kind, manifest)


def describe(action: AnyAction) -> str:
    """An action in words, which tell of no content."""
    match action:
        case Create() | Apply():
            metadata = action.manifest["metadata"]
            prefix = action.name_prefix if isinstance(action, Create) else None
            what = f"{action.kind} {metadata.get('name', f'{prefix}…')}"
        case Patch() | Annotate() | Delete() | Confirm():
            what = f"{action.kind} {action.name}"
        case SubmitServe():
            what = action.cluster
    return f"{type(action).__name__} {what}"
