"""Insistence at the start: what the API server does not let through yet is tried until it does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from rayserve_operator.engine.news import News
from rayserve_operator.engine.rounds import Rounds
from rayserve_operator.model.errors import Disconnected, OperatorError, Refused

logger = logging.getLogger(__name__)

PAUSE = timedelta(seconds=1)
"""Between two tries. A kubelet that started the process anew would take up to five minutes."""

Result = TypeVar("Result")


async def insist(step: Callable[[], Awaitable[Result]]) -> Result:
    """What a step gives, once it succeeds. What keeps it from that is told when it begins and when it changes.

    Only an `OperatorError` is waited out.
    """
    found: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    news = News()

    async def attempt() -> timedelta:
        try:
            found.set_result(await step())
        except OperatorError as error:
            if news.is_new(str(error)):
                logger.warning("Not ready, and trying again every %d s: %s%s", PAUSE.seconds, error, _advice(error))
        except Exception as error:  # noqa: BLE001 - whoever insists is to have it
            found.set_exception(error)
        return PAUSE

    attempts = Rounds(attempt, "start")
    attempts.begin()
    try:
        result = await found
    finally:
        await attempts.close()
    if news.end():
        logger.info("The API server lets it begin")
    return result


def _advice(error: OperatorError) -> str:
    """What to look at, where the error does not say so itself."""
    match error:
        case Disconnected():
            return "; look at the API server, and at what lies between: network policies, a proxy, the kubeconfig"
        case Refused():
            return "; look at the roles that are bound to the operator's ServiceAccount"
        case _:
            return ""
