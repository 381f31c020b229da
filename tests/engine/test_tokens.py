import base64
from typing import Any, cast

import pytest

from rayserve_operator.engine.ports import Kube
from rayserve_operator.engine.tokens import Tokens
from rayserve_operator.model.errors import NotFound, Unavailable
from rayserve_operator.planning.actions import Kind


class Secrets:
    """Secrets by namespace and name, and which of them were asked for."""

    def __init__(self, **data: bytes) -> None:
        self.data = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self.asked: list[tuple[Kind, str, str]] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        self.asked.append((kind, namespace, name))
        if name == "missing":
            raise NotFound("no such Secret")
        return {"data": self.data}


def over(secrets: Secrets) -> Tokens:
    return Tokens(cast(Kube, secrets))


async def test_of_a_secret_the_token_alone_is_read() -> None:
    secrets = Secrets(auth_token=b"s3same\n", password=b"hunter2")
    tokens = over(secrets)
    assert await tokens.read("team-a", "ray") == "s3same"
    assert await tokens.read("team-a", None) is None
    assert secrets.asked == [(Kind.SECRET, "team-a", "ray")]
    assert "s3same" not in repr(tokens)


async def test_a_token_is_read_anew_once_it_was_refused() -> None:
    secrets = Secrets(auth_token=b"old")
    tokens = over(secrets)
    await tokens.read("team-a", "ray")
    secrets.data = Secrets(auth_token=b"new").data
    assert await tokens.read("team-a", "ray") == "old"
    tokens.forget("team-a", "ray")
    assert await tokens.read("team-a", "ray") == "new"


@pytest.mark.parametrize(
    ("name", "data"),
    [("missing", {}), ("ray", {}), ("ray", {"password": b"hunter2"}), ("ray", {"auth_token": b"\xff"})],
    ids=["no Secret", "empty", "another key", "no text"],
)
async def test_a_secret_without_a_token_is_named_and_not_told(name: str, data: dict[str, bytes]) -> None:
    with pytest.raises(Unavailable, match=name) as error:
        await over(Secrets(**data)).read("team-a", name)
    assert "hunter2" not in str(error.value)
