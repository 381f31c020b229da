"""What an installed CRD lacks, and what is left of a value behind it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from rayserve_operator.model.rayservice import RayServiceSpec, RayServiceStatus
from rayserve_operator.model.schema import ITEM, Path, lacking, structural, without

SPEC = structural(RayServiceSpec)
STATUS = structural(RayServiceStatus)


def cut(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    """The schema without the field at this path."""
    smaller = deepcopy(schema)
    at = smaller
    for name in path[:-1]:
        at = at["items"] if name == ITEM and "items" in at else at
        at = at["additionalProperties"] if name == ITEM and "additionalProperties" in at else at
        at = at if name == ITEM else at["properties"][name]
    del at["properties"][path[-1]]
    return smaller


APPS = ("activeServiceStatus", "applicationStatuses", ITEM, "serveDeploymentStatuses", ITEM, "message")
STATUS_PATHS: list[Path] = [("numServeEndpoints",), ("conditions", ITEM, "observedGeneration"), APPS]


@pytest.mark.parametrize("path", [("upgradeStrategy", "progressDeadlineSeconds"), ("serveService",)])
def test_what_a_spec_lacks_is_found(path: Path) -> None:
    assert list(lacking(cut(SPEC, *path), SPEC)) == [path]


@pytest.mark.parametrize("path", STATUS_PATHS)
def test_what_a_status_lacks_is_found_in_lists_and_maps_too(path: Path) -> None:
    assert list(lacking(cut(STATUS, *path), STATUS)) == [path]


def test_what_has_more_or_takes_everything_lacks_nothing() -> None:
    assert list(lacking(STATUS, cut(STATUS, "conditions"))) == []
    assert list(lacking({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, STATUS)) == []


def test_without_what_is_dropped_the_rest_stays_as_it_is() -> None:
    told = {
        "numServeEndpoints": 2,
        "conditions": [{"type": "Ready", "observedGeneration": 3}],
        "activeServiceStatus": {"applicationStatuses": {"app": {"serveDeploymentStatuses": {"D": {"message": "x"}}}}},
    }
    assert without(told, STATUS_PATHS) == {
        "conditions": [{"type": "Ready"}],
        "activeServiceStatus": {"applicationStatuses": {"app": {"serveDeploymentStatuses": {"D": {}}}}},
    }
    assert without(told, ()) == told
