from __future__ import annotations

from rayserve_operator.cli.revisions import State, changes, revisions_of
from tests.builders import OTHER_APP, cluster_config, service_spec

from .manifests import ray_cluster, ray_service, revision, serve_service

FIRST = service_spec()
OTHER_CODE = service_spec(app=OTHER_APP)
OTHER_IMAGE = service_spec(cluster_config(image="ray:2"))


def test_revisions_are_told_by_what_became_of_them() -> None:
    found = revisions_of(
        ray_service(OTHER_IMAGE),
        [
            revision(4, OTHER_IMAGE),
            revision(1, FIRST),
            revision(2, OTHER_CODE, failed="DeployFailed"),
            revision(3, FIRST),
        ],
        [ray_cluster("demo-a", 3), ray_cluster("demo-b", 4)],
        [serve_service("demo-a")],
    )
    assert [(r.number, r.state, r.clusters) for r in found] == [
        (1, State.PAST, ()),
        (2, State.FAILED, ()),
        (3, State.SERVING, ("demo-a",)),
        (4, State.ROLLING_OUT, ("demo-b",)),
    ]
    assert found[1].failure is not None
    assert found[1].failure.reason == "DeployFailed"


def test_a_cluster_that_traffic_has_left_drains() -> None:
    found = revisions_of(
        ray_service(OTHER_IMAGE),
        [revision(1, FIRST), revision(2, OTHER_IMAGE)],
        [ray_cluster("demo-a", 1), ray_cluster("demo-b", 2)],
        [serve_service("demo-b")],
    )
    assert [r.state for r in found] == [State.DRAINING, State.SERVING]


def test_what_belongs_to_another_service_is_none_of_its_revisions() -> None:
    found = revisions_of(ray_service(FIRST), [revision(1, FIRST), revision(2, OTHER_CODE, uid="uid-other")], [], [])
    assert [r.number for r in found] == [1]


def test_a_revision_tells_what_it_changed() -> None:
    found = revisions_of(
        ray_service(FIRST), [revision(1, FIRST), revision(2, OTHER_CODE), revision(3, OTHER_IMAGE)], [], []
    )
    none, code, image = changes(found)
    assert none is None
    assert code is not None
    assert code.paths == ("serveConfigV2:applications.app.import_path",)
    assert image is not None
    assert image.rebuilding == (
        "rayClusterConfig.headGroupSpec.template.spec.containers[0].image",
        "rayClusterConfig.workerGroupSpecs[cpu].template.spec.containers[0].image",
    )
    assert image.submitted == code.submitted


def test_a_spec_of_another_time_is_listed_though_it_cannot_be_read() -> None:
    strange = revision(1, FIRST)
    strange["data"]["spec"] = {"rayClusterConfig": 5}
    found = revisions_of(ray_service(FIRST), [strange, revision(2, FIRST)], [], [])
    assert [r.goal is None for r in found] == [True, False]
    assert changes(found) == [None, None]
