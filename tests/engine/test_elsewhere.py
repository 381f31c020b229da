import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from rayserve_operator.engine.elsewhere import Elsewhere
from rayserve_operator.engine.ports import Ray

VERBS = {name: inspect.signature(verb) for name, verb in inspect.getmembers(Ray, inspect.iscoroutinefunction)}


class Told:
    """A Ray that answers everything with what it was asked, and tells whether it was waited for."""

    def __init__(self) -> None:
        self.waits = 0

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        self.waits += 1
        try:
            yield
        finally:
            self.waits -= 1

    def __getattr__(self, verb: str) -> Any:
        async def answer(*args: Any, **kwargs: Any) -> Any:
            if "fails" in args:
                raise ConnectionError
            return verb, args, kwargs, self.waits

        return answer


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_is_passed_on_and_waited_for(verb: str) -> None:
    told = Told()
    ray = Elsewhere(cast("Ray", told), told.waiting)
    given = [one for one in VERBS[verb].parameters.values() if one.name != "self"]
    args = tuple(one.name for one in given if one.kind is not one.KEYWORD_ONLY)
    kwargs = {one.name: one.name for one in given if one.kind is one.KEYWORD_ONLY}
    answer = await getattr(ray, verb)(*args, **kwargs)
    assert answer == (None if verb == "submit" else (verb, args, kwargs, 1))
    with pytest.raises(ConnectionError):
        await getattr(ray, verb)("fails", *args[1:], **kwargs)
    assert told.waits == 0
