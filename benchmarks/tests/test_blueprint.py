from typing import Any

from benchmarks.blueprint import Blueprint, kinds_made

UIDS = {("RayService", "many-1"): "u1", ("RayCluster", "many-1-abcde"): "u2"}


def stored(name: str, kind: str, owner: str, **more: Any) -> dict[str, Any]:
    reference = {"apiVersion": "ray.io/v1", "kind": kind, "name": owner, "uid": "old"}
    metadata = {"name": name, "namespace": "probes", "uid": "x", "ownerReferences": [reference], "resourceVersion": "1"}
    return {"metadata": metadata, **more}


FOUND = {
    "controllerrevisions": [stored("pattern-r1", "RayService", "pattern", revision=1)],
    "pods": [
        stored(
            "pattern-abcde-head", "RayCluster", "pattern-abcde", spec={"nodeName": "n", "hostname": "pattern-abcde"}
        ),
    ],
    "rayclusters": [stored("pattern-abcde", "RayService", "pattern", spec={}, status={"state": "ready"})],
    "services": [
        stored("pattern-serve-svc", "RayService", "pattern", spec={"clusterIP": "10.96.0.7"}),
        {"metadata": {"name": "kubernetes"}},
    ],
}
SERVICE = {"metadata": {"name": "pattern"}, "status": {"activeServiceStatus": {"rayClusterName": "pattern-abcde"}}}


def test_what_owns_comes_before_what_is_owned() -> None:
    blueprint = Blueprint.of(SERVICE, FOUND)
    assert [part.name for part in blueprint.own] == ["pattern-r1", "pattern-abcde", "pattern-serve-svc"]
    assert [part.name for part in blueprint.of_cluster] == ["pattern-abcde-head"]
    assert blueprint.routing == ["pattern-serve-svc"]


def test_a_copy_has_its_own_name_everywhere_and_its_own_owner() -> None:
    copy = Blueprint.of(SERVICE, FOUND).for_service("many-1")
    [pod] = copy.of_cluster
    made = pod.placed("floor", UIDS)
    assert made["metadata"]["name"] == "many-1-abcde-head"
    assert made["metadata"]["namespace"] == "floor"
    assert made["metadata"]["ownerReferences"][0]["uid"] == "u2"
    assert made["spec"] == {"hostname": "many-1-abcde"}
    assert copy.service_status == {"activeServiceStatus": {"rayClusterName": "many-1-abcde"}}


def test_what_the_api_server_gives_is_not_copied() -> None:
    copy = Blueprint.of(SERVICE, FOUND).for_service("many-1")
    service = next(part for part in copy.own if part.plural == "services").placed("floor", UIDS)
    assert service["spec"] == {}
    assert not {"uid", "resourceVersion"} & service["metadata"].keys()
    assert {part.plural: part.status for part in copy.own}["rayclusters"] == {"state": "ready"}


def test_a_rollout_makes_a_cluster_and_a_revision_but_no_service() -> None:
    after = Blueprint.of(SERVICE, FOUND).for_service("many-1").next_cluster()
    assert [part.name for part in after.own] == ["many-1-r1-2", "many-1-abcde-2"]
    assert [part.name for part in after.of_cluster] == ["many-1-abcde-2-head"]
    assert after.of_cluster[0].owner == ("RayCluster", "many-1-abcde-2")
    assert after.cluster == "many-1-abcde-2"


def test_kinds_are_found_in_the_requests_of_an_operator() -> None:
    requests = {
        "create pods": 3,
        "patch services": 1,
        "patch rayservices/status": 2,
        "create events": 9,
        "get nodes": 1,
    }
    assert kinds_made(requests) == ["pods", "services"]
