"""The tokens that Rays ask for, read from their Secrets when they are first needed."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from rayserve_operator.engine.ports import Kube
from rayserve_operator.model.errors import NotFound, Unavailable
from rayserve_operator.planning.actions import Kind
from rayserve_operator.render.auth import TOKEN_KEY


@dataclass(slots=True)
class Tokens:
    """Tokens by the Secret that holds them, kept until Ray refuses one."""

    kube: Kube
    _known: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)

    async def read(self, namespace: str, secret: str | None) -> str | None:
        """The token in a Secret, None where none is asked for.

        Raises:
            Unavailable: naming the Secret that does not exist, or holds no token.
        """
        if secret is None:
            return None
        if (namespace, secret) not in self._known:
            self._known[namespace, secret] = await self._fetch(namespace, secret)
        return self._known[namespace, secret]

    def forget(self, namespace: str, secret: str | None) -> None:
        """Read the Secret anew next time, because Ray refused what was in it."""
        if secret is not None:
            self._known.pop((namespace, secret), None)

    async def _fetch(self, namespace: str, secret: str) -> str:
        try:
            found = await self.kube.get(Kind.SECRET, namespace, secret)
        except NotFound as error:
            raise Unavailable(f"Secret {secret}, which holds Ray's token, does not exist") from error
        try:
            return base64.b64decode((found.get("data") or {})[TOKEN_KEY], validate=True).decode().strip()
        except (KeyError, binascii.Error, UnicodeDecodeError) as error:
            raise Unavailable(f"Secret {secret} has no token under the key {TOKEN_KEY}") from error
