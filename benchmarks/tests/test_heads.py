import json
from typing import Any

from benchmarks.ray.heads import Heads

CONFIG = {"applications": [{"name": "echo", "deployments": [{"name": "Echo", "num_replicas": 2}]}]}
HEAD, WORKER = "10.0.0.1", "10.0.0.2"


def pod(address: str, *, uid: str = "", cluster: str = "a") -> dict[str, Any]:
    labels = {"ray.io/cluster": cluster}
    metadata = {"name": f"pod-{address}", "namespace": "bench", "uid": uid or address, "labels": labels}
    return {"metadata": metadata, "status": {"podIP": address}}


def heads() -> Heads:
    found = Heads()
    for address in (HEAD, WORKER):
        assert found.saw("ADDED", pod(address)) == address
    return found


def report(found: Heads) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(found.answer(HEAD))
    return answer


def test_serve_does_not_run_before_it_is_sent_a_config() -> None:
    assert report(heads())["applications"] == {}
    assert report(heads())["proxies"] == {}


def test_a_config_runs_at_once_with_a_proxy_on_every_node() -> None:
    found = heads()
    found.take(HEAD, CONFIG)
    told = report(found)
    assert told["applications"]["echo"]["status"] == "RUNNING"
    assert told["applications"]["echo"]["deployed_app_config"] == CONFIG["applications"][0]
    assert {proxy["node_ip"] for proxy in told["proxies"].values()} == {HEAD, WORKER}
    assert len(told["applications"]["echo"]["deployments"]["Echo"]["replicas"]) == 2


def test_an_answer_follows_the_pods() -> None:
    found = heads()
    found.take(HEAD, CONFIG)
    report(found)
    assert found.saw("DELETED", pod(WORKER)) is None
    assert {proxy["node_ip"] for proxy in report(found)["proxies"].values()} == {HEAD}
    assert not found.knows(WORKER)


def test_only_some_are_unhealthy_and_only_for_a_while() -> None:
    found = heads()
    found.take(HEAD, CONFIG)
    found.be_unhealthy([HEAD])
    assert report(found)["applications"]["echo"]["status"] == "UNHEALTHY"
    found.be_unhealthy([])
    assert report(found)["applications"]["echo"]["status"] == "RUNNING"


def test_a_head_at_an_address_that_was_anothers_knows_nothing_of_it() -> None:
    found = heads()
    found.take(HEAD, CONFIG)
    found.saw("ADDED", pod(HEAD, uid="later", cluster="b"))
    found.saw("DELETED", pod(HEAD))
    assert found.knows(HEAD)
    assert report(found)["applications"] == {}


def test_a_pod_without_an_address_is_nobody_yet() -> None:
    starting = {**pod(HEAD), "status": {}}
    assert Heads().saw("ADDED", starting) is None
