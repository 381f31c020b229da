"""Whether a live object still is what would be applied."""

from typing import Any

import pytest

from rayserve_operator.model.objects import Meta
from rayserve_operator.planning.drift import (
    disown,
    drifted,
    fingerprint,
    fitted,
    has_drifted,
    holds,
    is_headless,
    stamped,
)
from rayserve_operator.planning.observed import ServiceView
from rayserve_operator.render import labels

WANTED = {
    "apiVersion": "v1",
    "kind": "Thing",
    "metadata": {"name": "x", "labels": {"a": "1"}, "annotations": {"b": "2"}},
    "spec": {"port": 80},
    "data": {"key": "value"},
}


def meta(**fields: Any) -> Meta:
    return Meta.parse({"metadata": {"name": "x", **fields}})


AS_APPLIED = {"labels": {"a": "1", "more": ""}, "annotations": {"b": "2", "more": ""}}
CONTENT = {"spec": {"port": 80, "defaulted": True}, "data": {"key": "value"}}


@pytest.mark.parametrize(
    ("found", "content", "expected"),
    [
        (AS_APPLIED, CONTENT, False),
        ({**AS_APPLIED, "labels": {"a": "other"}}, CONTENT, True),
        ({**AS_APPLIED, "labels": {"a": ""}}, CONTENT, True),
        ({**AS_APPLIED, "annotations": {}}, CONTENT, True),
        (AS_APPLIED, {**CONTENT, "spec": {"port": 81}}, True),
        (AS_APPLIED, {"spec": {"port": 80}}, True),
    ],
    ids=["more", "a label", "a label's value", "an annotation", "the spec", "another part"],
)
def test_an_object_has_drifted_when_a_part_of_what_is_wanted_is_missing(
    found: dict[str, Any], content: dict[str, Any], expected: bool
) -> None:
    assert has_drifted(meta(**found), content, WANTED) is expected


def test_an_object_without_labels_and_annotations_can_be_wanted() -> None:
    assert not has_drifted(meta(), CONTENT, {**WANTED, "metadata": {"name": "x"}})


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"a": {"b": 1}, "c": 2}, {"a": {"b": 1}}, True),
        ({"a": {"b": 2}}, {"a": {"b": 1}}, False),
        ({}, {"a": None, "b": "", "c": False, "d": [], "e": {}}, True),
        ({"a": 1, "b": "10.0.0.1"}, {"a": None, "b": ""}, True),
        ({"a": True}, {"a": False}, False),
        ({"a": [1]}, {"a": []}, False),
        ({}, {"a": {"b": 1}}, False),
        (None, {"a": 1}, False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ([{"a": 1}, {"a": 1}], [{"a": 1}], False),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 1}], False),
        ("ab", ["a", "b"], False),
        (1, 1, True),
        (1, 2, False),
    ],
)
def test_a_value_holds_what_is_wanted_when_it_has_at_least_that(live: Any, wanted: Any, expected: bool) -> None:
    assert holds(live, wanted) is expected


def test_a_stamp_is_the_same_for_the_same_content_in_every_version_and_order() -> None:
    assert fingerprint({"a": 1, "b": {"c": [2], "d": 3}}) == "3deab329e5c736de"
    assert fingerprint({"b": {"d": 3, "c": [2]}, "a": 1}) == fingerprint({"a": 1, "b": {"c": [2], "d": 3}})
    assert stamped(WANTED)["metadata"]["annotations"] == {"b": "2", labels.APPLIED: fingerprint(WANTED)}


@pytest.mark.parametrize(("address", "expected"), [("None", True), ("10.0.0.1", False), (None, False)])
def test_a_service_without_an_address_is_headless(address: str | None, expected: bool) -> None:
    assert is_headless({"clusterIP": address} if address else {}) is expected


WEB, METRICS = {"name": "web", "port": 80}, {"name": "metrics", "port": 8080, "protocol": "TCP"}
UDP = {"name": "dns", "port": 80, "protocol": "UDP"}


def service(*ports: Any, **spec: Any) -> ServiceView:
    return ServiceView(meta(), {"ports": list(ports), **spec})


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ([WEB, METRICS], False),
        ([METRICS, UDP, {**WEB, "protocol": "TCP", "nodePort": 30080}], False),
        ([WEB, UDP, METRICS], False),
        ([METRICS], True),
        ([METRICS, UDP], True),
        ([METRICS, {**WEB, "name": "other"}], True),
    ],
    ids=[
        "as applied",
        "with another's, otherwise ordered",
        "with another's behind it",
        "one missing",
        "of another protocol",
        "another name",
    ],
)
def test_ports_are_told_apart_by_number_and_protocol(ports: list[Any], expected: bool) -> None:
    wanted = {"metadata": {"name": "x"}, "spec": {"ports": [WEB, METRICS]}}
    assert drifted(service(*ports), wanted) is expected


def test_a_service_keeps_its_address_and_all_else_is_wanted_as_before() -> None:
    headless = {"metadata": {"name": "x"}, "spec": {"clusterIP": "None", "ports": [WEB]}}
    kept = {**headless, "spec": {"ports": [WEB]}}
    assert fitted(service(WEB, clusterIP="10.0.0.1"), headless) == kept
    assert fitted(service(WEB, clusterIP="None"), headless) == headless
    assert fitted(service(WEB, clusterIP="None"), kept) == kept
    chosen = {**headless, "spec": {"clusterIP": "10.0.0.2", "ports": [WEB]}}
    assert fitted(service(WEB, clusterIP="10.0.0.1"), chosen) == chosen


def managed(*entries: dict[str, Any]) -> ServiceView:
    metadata = {"name": "x", "resourceVersion": "7", "managedFields": list(entries)}
    return ServiceView.parse({"metadata": metadata, "spec": {}})


SELECTS: dict[str, Any] = {"fieldsV1": {"f:spec": {"f:selector": {}}}}
OURS = {"manager": "rayserve-operator", "operation": "Apply", **SELECTS}
BY_HAND = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:type": {}}}}
KUBERAYS = {"manager": "manager", "operation": "Update", **SELECTS}


def test_whoever_made_a_service_by_a_plain_write_and_nobody_else_loses_its_fields() -> None:
    patch = disown(managed(OURS, BY_HAND, KUBERAYS))
    assert patch is not None
    assert patch.name == "x"
    assert patch.operations == (
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/metadata/managedFields/2"},
    )
    assert disown(managed(OURS, BY_HAND)) is None
    assert disown(managed()) is None
