"""Keeps the certificate of the webhook: shared by all replicas in a Secret, and renewed by whichever looks first."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rayserve_operator.engine.news import News
from rayserve_operator.engine.ports import Clock, Kube, Manifest, Pair, Stock, Workshop
from rayserve_operator.engine.rounds import Rounds
from rayserve_operator.model.errors import OperatorError, Superseded
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.certificates import Issue, Show, Trust, next_step

logger = logging.getLogger(__name__)

LOOK = timedelta(minutes=1)
"""How often Secret and configuration are read."""
SOON = timedelta(seconds=10)
"""Until the next look where something is missing; by then every API server trusts what was to be trusted."""


@dataclass(slots=True)
class Keeper:
    """Brings the webhook its certificate, again and again."""

    kube: Kube
    clock: Clock
    workshop: Workshop
    show: Callable[[Pair], Awaitable[None]]
    """Is given each new certificate, for connections from then on."""
    namespace: str
    secret: str
    host: str
    """The DNS name by which the API server asks."""
    configuration: str | None
    """Name of the ValidatingWebhookConfiguration; None where somebody else issues the certificate."""
    _shown: Pair | None = None
    _trusted: Pair | None = None
    """What was found to be trusted at the last look."""
    _looks: Rounds = field(init=False)
    _news: News = field(default_factory=News)

    def __post_init__(self) -> None:
        self._looks = Rounds(self._look_again, "certificate of the webhook")

    def open(self) -> None:
        """Look now, and from then on in the background."""
        self._looks.begin()

    async def close(self) -> None:
        """Look no more."""
        await self._looks.close()

    async def _look_again(self) -> timedelta:
        try:
            again = await self._look()
        except Superseded:
            return timedelta()  # Another replica was quicker.
        except OperatorError as error:
            if self._news.is_new(str(error)):
                logger.warning("The webhook's certificate in Secret %s/%s: %s", self.namespace, self.secret, error)
        except Exception:
            logger.exception("The webhook's certificate: unexpected failure")
        else:
            self._news.end()
            return again
        return SOON

    async def _look(self) -> timedelta:
        """Take one step. Returns the time until the next one."""
        secret = await self.kube.get(Kind.SECRET, self.namespace, self.secret)
        stock = self.workshop.read(_decoded(secret))
        configuration = None
        if self.configuration is not None:
            configuration = await self.kube.get(Kind.WEBHOOK, "", self.configuration)
        held = stock.held if stock is not None else None
        step = next_step(held, _bundles(configuration), self.host, self.clock.now())
        if isinstance(step, Issue):
            await self._put(secret, self.workshop.issue(self.host, step.keep, self.clock.now()))
            logger.info("A new certificate of the webhook is in Secret %s/%s", self.namespace, self.secret)
            return timedelta()
        if isinstance(step, Trust) and configuration is not None:
            await self._have_trusted(configuration, step.bundle)
            return timedelta()
        if isinstance(step, Show) and stock is not None:
            return await self._show(stock)
        logger.info("Waiting for a certificate for %s in Secret %s/%s", self.host, self.namespace, self.secret)
        return SOON

    async def _show(self, stock: Stock) -> timedelta:
        """Show a certificate that is trusted; one that replaces another only at the second look that finds it so."""
        if stock.pair != self._shown:
            if self._shown is not None and stock.pair != self._trusted:
                self._trusted = stock.pair
                return SOON
            await self.show(stock.pair)
            self._shown = stock.pair
            logger.info("The webhook shows a certificate that is valid until %s", stock.held.expires.isoformat())
        return LOOK

    async def _put(self, secret: Manifest, data: Mapping[str, str]) -> None:
        coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        operations = (_same(secret), {"op": "add", "path": "/data", "value": coded})
        await self.kube.patch(Kind.SECRET, self.namespace, self.secret, operations)

    async def _have_trusted(self, configuration: Manifest, bundle: str) -> None:
        coded = base64.b64encode(bundle.encode()).decode()
        operations = [
            {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": coded}
            for index in range(len(configuration["webhooks"]))
        ]
        name = configuration["metadata"]["name"]
        await self.kube.patch(Kind.WEBHOOK, "", name, (_same(configuration), *operations))


def _same(manifest: Manifest) -> dict[str, Any]:
    """The precondition that nobody has changed the object since it was read."""
    return {"op": "test", "path": "/metadata/resourceVersion", "value": manifest["metadata"]["resourceVersion"]}


def _bundles(configuration: Manifest | None) -> Sequence[str] | None:
    """What the API server trusts, for each webhook."""
    if configuration is None:
        return None
    return [_plain(one["clientConfig"].get("caBundle") or "") for one in configuration.get("webhooks") or ()]


def _decoded(secret: Manifest) -> dict[str, str]:
    return {key: _plain(value) for key, value in (secret.get("data") or {}).items()}


def _plain(coded: str) -> str:
    """Text from base64; empty where it is none."""
    try:
        return base64.b64decode(coded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
