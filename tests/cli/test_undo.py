from __future__ import annotations

from typing import Any

import jsonpatch
import pytest

from rayserve_operator.cli.revisions import revisions_of
from rayserve_operator.cli.undo import CannotUndo, Undo, plan_undo
from tests.builders import OTHER_APP, cluster_config, group, service_spec

from .manifests import ray_service, revision

FIRST = service_spec()
OTHER_CODE = service_spec(app=OTHER_APP)
OTHER_IMAGE = service_spec(cluster_config(image="ray:2"))


def undo(service: dict[str, Any], *stored: dict[str, Any], to: int | None = None) -> Undo:
    return plan_undo(service, revisions_of(service, stored, [], []), to)


def result(service: dict[str, Any], planned: Undo) -> dict[str, Any]:
    patched: dict[str, Any] = jsonpatch.apply_patch(service, [dict(one) for one in planned.operations])
    return patched


def test_it_goes_back_to_the_revision_before() -> None:
    service = ray_service(OTHER_CODE)
    planned = undo(service, revision(1, FIRST), revision(2, OTHER_CODE))
    assert planned.to.number == 1
    assert result(service, planned)["spec"]["serveConfigV2"] == FIRST["serveConfigV2"]
    assert planned.edit is not None
    assert planned.edit.paths == ("serveConfigV2:applications.app.import_path",)


def test_it_does_not_go_back_to_what_failed() -> None:
    service = ray_service(OTHER_IMAGE)
    stored = [revision(1, FIRST), revision(2, OTHER_CODE, failed="DeployFailed"), revision(3, OTHER_IMAGE)]
    assert undo(service, *stored).to.number == 1


def test_it_goes_where_it_is_told_also_to_what_failed() -> None:
    service = ray_service(OTHER_IMAGE)
    stored = [revision(1, FIRST), revision(2, OTHER_CODE, failed="DeployFailed"), revision(3, OTHER_IMAGE)]
    planned = undo(service, *stored, to=2)
    assert result(service, planned)["spec"]["serveConfigV2"] == OTHER_APP
    assert planned.edit is not None
    assert planned.edit.rebuilding


def test_what_is_no_part_of_a_revision_stays() -> None:
    service = ray_service({**OTHER_CODE, "rayClusterDeletionDelaySeconds": 5})
    planned = undo(service, revision(1, {**FIRST, "rayClusterDeletionDelaySeconds": 90}), revision(2, OTHER_CODE))
    assert result(service, planned)["spec"]["rayClusterDeletionDelaySeconds"] == 5


def test_it_is_refused_if_the_service_has_changed_meanwhile() -> None:
    service = ray_service(OTHER_CODE)
    planned = undo(service, revision(1, FIRST), revision(2, OTHER_CODE))
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        result(ray_service(OTHER_CODE, resourceVersion="8"), planned)


def test_the_change_is_told_for_git_with_texts_of_several_lines_as_such() -> None:
    text = "applications:\n- name: app\n  import_path: app:y\n"
    service = ray_service(service_spec(app=text))
    planned = undo(
        service, revision(1, service_spec(app=text.replace(":y", ":x"))), revision(2, service_spec(app=text))
    )
    assert "-    import_path: app:y" in planned.diff.splitlines()
    assert "+    import_path: app:x" in planned.diff.splitlines()


def test_defaults_that_are_written_out_are_no_difference() -> None:
    full = service_spec(cluster_config({**group(), "numOfHosts": 1}), app=OTHER_APP)
    planned = undo(ray_service(full), revision(1, FIRST), revision(2, full))
    assert "numOfHosts" not in planned.diff


def test_from_an_invalid_spec_it_goes_back_too() -> None:
    service = ray_service({**FIRST, "serveConfigV2": "applications: 5"})
    planned = undo(service, revision(1, FIRST), revision(2, OTHER_CODE))
    assert planned.edit is None
    assert result(service, planned)["spec"]["serveConfigV2"] == FIRST["serveConfigV2"]


@pytest.mark.parametrize(
    ("numbers", "to", "words"),
    [
        ([], None, "there are no revisions"),
        ([1], None, "the only one"),
        ([1, 2], 5, "there is no revision 5; there are 1, 2"),
        ([1, 2], 2, "revision 2 is the present one"),
    ],
)
def test_where_it_cannot_go_back_it_says_why(numbers: list[int], to: int | None, words: str) -> None:
    stored = [revision(number, FIRST) for number in numbers]
    with pytest.raises(CannotUndo, match=words):
        undo(ray_service(FIRST), *stored, to=to)
