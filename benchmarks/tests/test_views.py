from typing import Any

from benchmarks import views
from benchmarks.manifests import PODS, SERVICE, told_edit
from benchmarks.views import View, concerned

NAME = "many-0001"


def pod(number: int, *, cluster: str = "a", ready: bool = True, **more: Any) -> dict[str, Any]:
    labels = {SERVICE: NAME, "ray.io/cluster": cluster, "ray.io/node-type": "worker" if number else "head"}
    status = {"podIP": f"10.0.0.{number}", "conditions": [{"type": "Ready", "status": str(ready)}]}
    metadata = {"name": f"{cluster}-{number}", "uid": f"{cluster}-{number}", "labels": labels}
    return {"metadata": {**metadata, **more.pop("metadata", {})}, "status": {**status, **more}}


def rayservice(*, generation: int = 1, observed: int = 1, application: str = "RUNNING") -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "observedGeneration": observed}
    active = {"applicationStatuses": {"echo": {"status": application}}}
    return {
        "metadata": {"name": NAME, "namespace": "bench", "generation": generation},
        "status": {"conditions": [ready], "activeServiceStatus": active},
    }


def service(cluster: str) -> dict[str, Any]:
    return {"metadata": {"name": f"{NAME}-serve-svc"}, "spec": {"selector": {"ray.io/cluster": cluster}}}


def running(cluster: str = "a") -> View:
    view = View(NAME)
    view.saw("rayservices", rayservice(), is_gone=False)
    view.saw("services", service(cluster), is_gone=False)
    view.saw("rayclusters", {"metadata": {"name": cluster}}, is_gone=False)
    for number in range(PODS):
        view.saw("pods", pod(number, cluster=cluster), is_gone=False)
    return view


def test_pods_exist_before_they_are_ready() -> None:
    view = View(NAME)
    for number in range(PODS):
        assert not views.pods_exist(view)
        view.saw("pods", pod(number, ready=False), is_gone=False)
    assert views.pods_exist(view)
    assert not views.pods_are_ready(view)
    for number in range(PODS):
        view.saw("pods", pod(number), is_gone=False)
    assert views.pods_are_ready(view)


def test_ready_for_an_earlier_generation_is_not_ready() -> None:
    view = running()
    assert views.is_ready(view)
    view.saw("rayservices", rayservice(generation=2, observed=1), is_gone=False)
    assert not views.is_ready(view)
    view.saw("rayservices", rayservice(generation=2, observed=2), is_gone=False)
    assert views.is_ready(view)


def test_the_status_tells_what_is_unhealthy() -> None:
    view = running()
    assert views.is_running(view)
    view.saw("rayservices", rayservice(application="UNHEALTHY"), is_gone=False)
    assert views.is_unhealthy(view)
    assert not views.is_running(view)


def test_a_switch_and_then_the_end_of_the_old_cluster() -> None:
    view = running("a")
    switched = views.has_left({NAME: "a"})
    assert not switched(view)
    view.saw("services", service("b"), is_gone=False)
    assert switched(view)
    view.saw("rayclusters", {"metadata": {"name": "b"}}, is_gone=False)
    assert not views.has_one_cluster(view)
    for number in range(PODS):
        view.saw("pods", pod(number, cluster="b"), is_gone=False)
        view.saw("pods", pod(number, cluster="a"), is_gone=True)
    view.saw("rayclusters", {"metadata": {"name": "a"}}, is_gone=True)
    assert views.has_one_cluster(view)
    assert view.head_address == "10.0.0.0"


def test_workers_that_died_are_replaced_by_others() -> None:
    view = running()
    killed = frozenset(worker.uid for worker in view.workers)
    assert killed == {"a-1", "a-2"}
    is_whole = views.is_whole_without(killed)
    assert not is_whole(view)
    view.saw("pods", pod(1, phase="Failed"), is_gone=False)
    view.saw("pods", pod(2), is_gone=True)
    view.saw("pods", pod(3), is_gone=False)
    assert not is_whole(view)
    view.saw("pods", pod(4), is_gone=False)
    assert is_whole(view)


def test_gone_means_that_nothing_is_left() -> None:
    view = running()
    view.saw("rayservices", rayservice(), is_gone=True)
    view.saw("services", service("a"), is_gone=True)
    view.saw("rayclusters", {"metadata": {"name": "a"}}, is_gone=True)
    for number in range(PODS):
        assert not views.is_gone(view)
        view.saw("pods", pod(number), is_gone=True)
    assert views.is_gone(view)


def test_objects_tell_whom_they_concern() -> None:
    owners = [{"kind": "RayService", "name": NAME}]
    assert concerned("pods", pod(0)) == NAME
    assert concerned("services", service("a")) == NAME
    assert not concerned("services", {"metadata": {"name": "kubernetes"}})
    assert concerned("rayclusters", {"metadata": {"name": "a", "ownerReferences": owners}}) == NAME
    assert not concerned("rayclusters", {"metadata": {"name": "alone"}})


def test_a_serve_config_tells_its_edit() -> None:
    deployment = {"name": "Echo", "user_config": {"service": NAME, "edit": 7}}
    assert told_edit({"applications": [{"name": "echo", "deployments": [deployment]}]}) == (NAME, 7)
    assert told_edit({"applications": []}) is None
