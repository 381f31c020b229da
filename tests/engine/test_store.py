import json
from typing import Any

import pytest

from rayserve_operator.engine.store import Key, Store
from rayserve_operator.planning.actions import Kind


def manifest(name: str, uid: str, version: int, **fields: Any) -> dict[str, Any]:
    owner = fields.pop("owner", None)
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(version)}
    metadata["generation"] = fields.pop("generation", 1)
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    metadata["labels"] = fields.pop("labels", {})
    return {"metadata": metadata, "spec": {"headGroupSpec": {"template": {}}}, **fields}


def pod(name: str, uid: str, version: int, cluster: str, **fields: Any) -> dict[str, Any]:
    labels = {"ray.io/cluster": cluster, "ray.io/node-type": "worker", "ray.io/group": "cpu"}
    return manifest(name, uid, version, labels=labels, **fields) | {"spec": {"containers": [{"name": "ray"}]}}


@pytest.fixture
def woken() -> list[Key]:
    return []


@pytest.fixture
def store(woken: list[Key]) -> Store:
    store = Store(woken.append)
    store.put(Kind.RAY_SERVICE, manifest("demo", "s", 1))
    store.put(Kind.RAY_CLUSTER, manifest("demo-a", "c", 2, owner="s"))
    woken.clear()
    return store


SERVICE = Key(Kind.RAY_SERVICE, "default", "demo")
CLUSTER = Key(Kind.RAY_CLUSTER, "default", "demo-a")


def test_a_pod_wakes_its_cluster_and_the_service_above(store: Store, woken: list[Key]) -> None:
    store.put(Kind.POD, pod("p", "p", 3, "demo-a"))
    assert woken == [CLUSTER, SERVICE]


def test_what_changes_nothing_wakes_nobody(store: Store, woken: list[Key]) -> None:
    store.put(Kind.RAY_CLUSTER, manifest("demo-a", "c", 3, owner="s"))
    assert woken == []


def test_only_a_users_edit_of_a_spec_is_told_as_one() -> None:
    edited: list[Key] = []
    store = Store(lambda _: None, edited.append)
    store.put(Kind.RAY_SERVICE, manifest("demo", "s", 1, generation=1))
    store.put(Kind.RAY_CLUSTER, manifest("demo-a", "c", 2, owner="s", generation=1))
    store.put(Kind.RAY_SERVICE, manifest("demo", "s", 3, generation=1))
    store.put(Kind.RAY_CLUSTER, manifest("demo-a", "c", 4, owner="s", generation=2))
    assert edited == []
    store.put(Kind.RAY_SERVICE, manifest("demo", "s", 5, generation=2))
    assert edited == [SERVICE]


def test_a_late_event_does_not_undo_a_newer_view(store: Store) -> None:
    store.put(Kind.POD, pod("p", "p", 5, "demo-a", status={"phase": "Running"}))
    store.put(Kind.POD, pod("p", "p", 4, "demo-a", status={"phase": "Pending"}))
    [view] = store.pods_of("default", "demo-a")
    assert view.phase == "Running"


def test_what_is_gone_does_not_come_back(store: Store) -> None:
    store.put(Kind.POD, pod("p", "p", 5, "demo-a"))
    store.remove(Kind.POD, "p")
    store.put(Kind.POD, pod("p", "p", 6, "demo-a"))
    assert store.pods_of("default", "demo-a") == []


def test_what_only_left_the_watch_comes_back_with_a_later_version(store: Store) -> None:
    store.put(Kind.POD, pod("p", "p", 5, "demo-a"))
    store.remove(Kind.POD, "p", "6")
    for late in (5, 6):
        store.put(Kind.POD, pod("p", "p", late, "demo-a"))
        assert store.pods_of("default", "demo-a") == []
    for version in (7, 8):
        store.put(Kind.POD, pod("p", "p", version, "demo-a"))
        assert [view.meta.version for view in store.pods_of("default", "demo-a")] == [str(version)]


def test_a_namesake_is_another_object(store: Store) -> None:
    store.remove(Kind.RAY_SERVICE, "s")
    store.put(Kind.RAY_SERVICE, manifest("demo", "s2", 9))
    found = store.service("default", "demo")
    assert found is not None
    assert found.meta.uid == "s2"
    assert store.clusters_of("s2") == []


def test_a_list_shows_what_is_gone_but_not_what_came_after_it(store: Store, woken: list[Key]) -> None:
    store.put(Kind.POD, pod("old", "old", 5, "demo-a"))
    store.put(Kind.POD, pod("new", "new", 9, "demo-a"))
    woken.clear()
    store.prune(Kind.POD, [], "7")
    assert [view.meta.name for view in store.pods_of("default", "demo-a")] == ["new"]
    assert woken == [CLUSTER, SERVICE]


def test_somebody_elses_service_is_not_pruned_by_a_list_that_never_shows_it(store: Store) -> None:
    store.put(Kind.SERVICE, manifest("demo-serve-svc", "theirs", 5))
    store.prune(Kind.SERVICE, [], "7")
    assert store.kube_service("default", "demo-serve-svc") is not None


def test_pods_of_a_cluster_that_is_gone_are_ghosts(store: Store) -> None:
    store.put(Kind.POD, pod("p", "p", 3, "demo-b"))
    store.put(Kind.POD, pod("q", "q", 4, "demo-a"))
    assert store.ghosts("default", "demo") == {"demo-b"}


def test_a_status_that_cannot_be_read_counts_as_none(store: Store) -> None:
    store.put(Kind.RAY_SERVICE, manifest("demo", "s", 5, status={"conditions": "none"}))
    found = store.service("default", "demo")
    assert found is not None
    assert found.status.conditions == []


def test_a_pod_that_is_relabelled_leaves_its_cluster(store: Store, woken: list[Key]) -> None:
    store.put(Kind.POD, pod("p", "p", 3, "demo-a"))
    woken.clear()
    store.put(Kind.POD, pod("p", "p", 4, "quarantine"))
    assert store.pods_of("default", "demo-a") == []
    assert woken == [CLUSTER, SERVICE]


def decoded(name: str, uid: str, version: int, spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A manifest as a request brings it, no part of which is a part of another one."""
    found: dict[str, Any] = json.loads(json.dumps(manifest(name, uid, version, **fields) | {"spec": spec}))
    return found


TEMPLATE = {"spec": {"containers": [{"name": "ray", "image": "ray:2"}]}}
CLUSTER_SPEC = {"headGroupSpec": {"template": TEMPLATE}}


def held_template(store: Store) -> Any:
    cluster = store.cluster("default", "demo-a")
    assert cluster is not None
    return cluster.read().spec.head_group_spec.template["spec"]


def own_template(store: Store) -> Any:
    service = store.service("default", "demo")
    assert service is not None
    return service.spec["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]


def test_a_cluster_holds_the_templates_that_its_service_holds() -> None:
    store = Store(lambda _: None)
    store.put(Kind.RAY_SERVICE, decoded("demo", "s", 1, {"rayClusterConfig": CLUSTER_SPEC}))
    store.put(Kind.RAY_CLUSTER, decoded("demo-a", "c", 2, CLUSTER_SPEC, owner="s"))
    assert held_template(store) is own_template(store)
    store.put(Kind.RAY_SERVICE, decoded("demo", "s", 3, {"rayClusterConfig": CLUSTER_SPEC}, status={"a": "b"}))
    edited = {"rayClusterConfig": CLUSTER_SPEC, "serveConfigV2": "applications: []"}
    store.put(Kind.RAY_SERVICE, decoded("demo", "s", 4, edited, generation=2))
    found = store.service("default", "demo")
    assert found is not None
    assert found.spec == edited
    assert held_template(store) is own_template(store)


def test_a_cluster_with_another_template_has_its_own() -> None:
    other = {"headGroupSpec": {"template": {"spec": {"containers": [{"name": "ray", "image": "ray:3"}]}}}}
    store = Store(lambda _: None)
    store.put(Kind.RAY_SERVICE, decoded("demo", "s", 1, {"rayClusterConfig": CLUSTER_SPEC}))
    store.put(Kind.RAY_CLUSTER, decoded("demo-a", "c", 2, other, owner="s"))
    assert held_template(store)["containers"][0]["image"] == "ray:3"
