"""From a field of a pod back to what it was made of, on small pods that show one thing each."""

from __future__ import annotations

from typing import Any

import pytest

from rayserve_operator.planning.dry_run.drafts import Draft, Source
from rayserve_operator.planning.dry_run.origins import origin

NAMED, ADDED = {"name": "mine"}, {"name": "added"}


def traced(given: Any, made: Any, field: str) -> str | None:
    return origin(Draft({"a": made}, (Source("template", {"a": given}),)), field)


@pytest.mark.parametrize(
    ("given", "made", "field", "path"),
    [
        ({"7": 1}, {"7": 1}, "a[7]", "template.a.7"),
        ({"b": 1}, {"b": 1, "c": 2}, "a", "template.a"),
        ([1], [1, 2], "a", "template.a"),
        (["x", "x"], ["x", "x"], "a[1]", "template.a[1]"),
        (["x", "y"], ["added", "x", "y"], "a[1]", "template.a[0]"),
        ([NAMED], [ADDED, {**NAMED, "b": 1}], "a[1].c", "template.a[0].c"),
        ([{"mountPath": "/a"}], [{"mountPath": "/b"}, {"mountPath": "/a", "b": 1}], "a[1].c", "template.a[0].c"),
        ([{"containerPort": 1}], [{"containerPort": 2}, {"containerPort": 1, "b": 1}], "a[1].c", "template.a[0].c"),
    ],
    ids=["a-key-in-brackets", "some-added", "one-added", "twins", "moved", "a-name", "a-mount", "a-port"],
)
def test_what_the_user_wrote_is_found(given: Any, made: Any, field: str, path: str) -> None:
    assert traced(given, made, field) == path


@pytest.mark.parametrize(
    ("given", "made", "field"),
    [
        (1, 2, "a"),
        ([], [1], "a"),
        ({"b": 1}, [1], "a[0]"),
        ([1], [1], "a[1]"),
        ([NAMED], [NAMED, ADDED], "a[1].b"),
        ({}, {"b": {"c": 1}}, "a.b.d"),
        (None, {"b": 1}, "a.b"),
        (["x"], [ADDED], "a[0]"),
        ([NAMED], ["added"], "a[0]"),
        (["x"], ["added"], "a[0].b"),
        ([NAMED], [ADDED], "a[0].b"),
    ],
    ids=[
        "a-value",
        "an-empty-list",
        "another-kind-of-value",
        "beyond-the-end",
        "an-entry",
        "a-mapping",
        "nothing-given",
        "a-mapping-for-a-word",
        "a-word-for-a-mapping",
        "a-word-for-a-word",
        "a-mapping-of-another-name",
    ],
)
def test_what_the_operator_put_there_has_no_origin(given: Any, made: Any, field: str) -> None:
    assert traced(given, made, field) is None
