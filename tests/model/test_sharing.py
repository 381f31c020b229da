"""Equal values held once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rayserve_operator.model.sharing import interned, shared


def decoded(value: Any) -> Any:
    """The value as a request brings it: no part of it is a part of anything else."""
    return json.loads(json.dumps(value))


TEMPLATE = {"spec": {"containers": [{"name": "ray-head", "image": "ray:2", "ports": [{"containerPort": 8000}]}]}}


def test_equal_strings_of_two_objects_are_one() -> None:
    one, other = interned(decoded(TEMPLATE)), interned(decoded(TEMPLATE))
    assert one == other == TEMPLATE
    [first], [second] = one["spec"]["containers"], other["spec"]["containers"]
    assert first["image"] is second["image"]
    assert all(key is same for key, same in zip(first, second, strict=True))


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", [], {}, {"a": [None, {"b": "c"}]}])
def test_what_is_interned_says_the_same(value: Any) -> None:
    assert json.dumps(interned(value)) == json.dumps(value)


def test_what_says_the_same_is_the_known_one() -> None:
    assert shared(decoded(TEMPLATE), TEMPLATE) is TEMPLATE


def test_what_differs_shares_all_else() -> None:
    known: dict[str, Any] = {"head": TEMPLATE, "groups": [{"name": "cpu", "template": TEMPLATE}], "suspend": False}
    wanted = {"head": TEMPLATE, "groups": [{"name": "cpu", "template": TEMPLATE}, {"name": "gpu"}], "replicas": 2}
    found = shared(decoded(wanted), known)
    assert found == wanted
    assert found["head"] is TEMPLATE
    assert found["groups"][0] is known["groups"][0]


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (True, 1), (1, True), (1.0, 1), ({"a": True}, {"a": 1}), ([0], [False]), ({}, {"a": 1}), ({"a": 1}, {}),
        ([], [1]), ([1, 2], [1]), ([1], [1, 2]), ("a", None), (None, "a"), ({"a": None}, {}), ({"a": None}, {"b": 1}),
        ({"a": 1}, [1]),
    ],
)  # fmt: skip
def test_only_what_says_the_same_is_taken_for_it(value: Any, known: Any) -> None:
    assert json.dumps(shared(value, known)) == json.dumps(value)
