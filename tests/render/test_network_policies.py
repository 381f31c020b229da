"""NetworkPolicies: whose traffic is denied, and what still comes through."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rayserve_operator.model.objects import RayCluster
from rayserve_operator.render import labels, pods
from rayserve_operator.render.network_policies import network_policies
from rayserve_operator.render.options import RenderOptions

MakeCluster = Callable[..., RayCluster]
Manifest = dict[str, Any]

FROM_TEAM = {"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]}
FROM_ANYWHERE = {"ports": [{"port": 8000, "protocol": "TCP"}]}
TO_STORE = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}
DNS = {("UDP", 53), ("TCP", 53)}


def policies(cluster: RayCluster, **options: Any) -> dict[str, Manifest]:
    return {made["metadata"]["name"]: made["spec"] for made in network_policies(cluster, **options)}


def reachable(rules: list[Manifest]) -> set[tuple[str, int]]:
    """The ports of rules that name nobody, and so hold for everybody."""
    return {(port["protocol"], port["port"]) for rule in rules if not rule.keys() - {"ports"} for port in rule["ports"]}


def admits(peer: Mapping[str, Any], pod: Manifest) -> bool:
    """Whether a peer in the cluster's own namespace is meant."""
    selected = peer.get("podSelector", {}).get("matchLabels", {})
    return "namespaceSelector" not in peer and bool(selected.items() <= pod["metadata"]["labels"].items())


def test_nothing_is_denied_unasked(make_cluster: MakeCluster) -> None:
    assert network_policies(make_cluster()) == []


@pytest.mark.parametrize(
    ("mode", "ingress", "egress"),
    [
        ({}, True, True),
        ({"mode": None}, True, True),
        ({"mode": "DenyAll"}, True, True),
        ({"mode": "DenyAllIngress"}, True, False),
        ({"mode": "DenyAllEgress"}, False, True),
    ],
)
def test_the_mode_says_what_is_denied(
    make_cluster: MakeCluster, mode: dict[str, Any], ingress: bool, egress: bool
) -> None:
    both = {"ingressRules": [FROM_TEAM], "egressRules": [TO_STORE]}
    for spec in policies(make_cluster(networkPolicy={**mode, "head": both, "worker": both})).values():
        assert ("Ingress" in spec["policyTypes"], "Egress" in spec["policyTypes"]) == (ingress, egress)
        assert (FROM_TEAM in spec.get("ingress", []), TO_STORE in spec.get("egress", [])) == (ingress, egress)
        assert ("ingress" in spec, "egress" in spec) == (ingress, egress)


def test_every_pod_is_under_exactly_one_policy(make_cluster: MakeCluster) -> None:
    template = make_cluster().spec.head_group_spec.template
    groups = [{"groupName": name, "template": template} for name in ("cpu", "gpu")]
    cluster = make_cluster(networkPolicy={}, workerGroupSpecs=groups)
    made = policies(cluster)
    assert list(made) == ["rc-head", "rc-workers-cpu", "rc-workers-gpu"]
    options = RenderOptions()
    members = [pods.head_pod(cluster, options)]
    members += [pods.worker_pod(cluster, group, options) for group in cluster.spec.worker_group_specs]
    for name, member in zip(made, members, strict=True):
        over = [key for key, spec in made.items() if admits({"podSelector": spec["podSelector"]}, member)]
        assert over == [name]


def test_pods_of_a_cluster_reach_each_other_and_no_others(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(networkPolicy={})
    head = pods.head_pod(cluster, RenderOptions())
    stranger = {"metadata": {"labels": {**head["metadata"]["labels"], labels.CLUSTER: "other"}}}
    for spec in policies(cluster).values():
        for rules, key in ((spec["ingress"], "from"), (spec["egress"], "to")):
            free = [peer for rule in rules if rule.keys() == {key} for peer in rule[key]]
            assert any(admits(peer, head) for peer in free)
            assert not any(admits(peer, stranger) for peer in free)


@pytest.mark.parametrize(
    ("parts", "head_only"),
    [
        ({}, set()),
        ({"enableInTreeAutoscaling": True}, {443, 6443}),
        ({"gcsFaultToleranceOptions": {"backend": "rocksdb"}}, set()),
        ({"gcsFaultToleranceOptions": {"redisAddress": "redis"}}, {6379}),
        ({"gcsFaultToleranceOptions": {"redisAddress": "rediss://u:p@redis:7000"}}, {7000}),
        ({"gcsFaultToleranceOptions": {"redisAddress": "a:1, b:2"}}, {1, 2}),
        ({"annotations": {labels.FT_ENABLED: "true"}}, {6379}),
        (
            {
                "annotations": {labels.FT_ENABLED: "true"},
                "container": {"env": [{"name": "RAY_REDIS_ADDRESS", "value": "redis:9"}]},
            },
            {9},
        ),
        (
            {
                "annotations": {labels.FT_ENABLED: "true"},
                "container": {"env": [{"name": "RAY_REDIS_ADDRESS", "value": "$(HOST):$(PORT)"}]},
            },
            {6379},
        ),
    ],
)
def test_what_may_be_reached_at_any_address(
    make_cluster: MakeCluster, parts: dict[str, Any], head_only: set[int]
) -> None:
    made = policies(make_cluster(networkPolicy={}, **parts))
    assert reachable(made["rc-head"]["egress"]) == DNS | {("TCP", port) for port in head_only}
    assert reachable(made["rc-workers-g"]["egress"]) == DNS


@pytest.mark.parametrize(
    ("namespace", "place"), [(None, {}), ("system", {"matchLabels": {"kubernetes.io/metadata.name": "system"}})]
)
def test_only_the_operator_is_let_in_from_outside(
    make_cluster: MakeCluster, namespace: str | None, place: dict[str, Any]
) -> None:
    """Not even the callers of a RayService, which only the user knows."""
    params = {"rayStartParams": {"dashboard-port": "9"}}
    cluster = make_cluster(networkPolicy={}, labels={labels.FROM_CRD: "RayService"}, group=params)
    made = policies(cluster, operator_namespace=namespace)
    (own, operator), (own_of_worker, at_worker) = made["rc-head"]["ingress"], made["rc-workers-g"]["ingress"]
    assert own == own_of_worker
    asking = {
        "namespaceSelector": place,
        "podSelector": {"matchLabels": {"rayserve.ray.io/operator": "true"}},
    }
    assert operator["from"] == at_worker["from"] == [asking]
    assert {port["port"] for port in operator["ports"]} == {9, 8000, 8080}
    assert {port["port"] for port in at_worker["ports"]} == {8000, 8080}


def test_users_rules_reach_whom_they_name(make_cluster: MakeCluster) -> None:
    policy = {
        "head": {"egressRules": [TO_STORE]},
        "worker": {"ingressRules": [FROM_TEAM]},
        "workerGroups": [
            {"groupName": "g", "ingressRules": [FROM_ANYWHERE]},
            {"groupName": "gone", "ingressRules": [{}]},
        ],
    }
    made = policies(make_cluster(networkPolicy=policy))
    assert made["rc-head"]["egress"][-1] == TO_STORE
    assert made["rc-workers-g"]["ingress"][-2:] == [FROM_TEAM, FROM_ANYWHERE]
    for name, direction in (("rc-head", "ingress"), ("rc-workers-g", "egress")):
        assert not [rule for rule in (FROM_TEAM, FROM_ANYWHERE, TO_STORE, {}) if rule in made[name][direction]]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {}),
        ({"from": [], "ports": None}, {}),
        ({"from": [{"podSelector": {}, "namespaceSelector": None}]}, {"from": [{"podSelector": {}}]}),
        ({"from": [{"podSelector": {"matchLabels": {}}}]}, {"from": [{"podSelector": {}}]}),
        (
            {"from": [{"podSelector": {"matchLabels": {"to": ""}}}]},
            {"from": [{"podSelector": {"matchLabels": {"to": ""}}}]},
        ),
        ({"from": [{"ipBlock": {"cidr": "::/0", "except": []}}]}, {"from": [{"ipBlock": {"cidr": "::/0"}}]}),
        (
            {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]}}]},
            {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]},
        ),
    ],
)
def test_rules_are_as_the_api_server_stores_them(
    make_cluster: MakeCluster, written: dict[str, Any], stored: dict[str, Any]
) -> None:
    made = policies(make_cluster(networkPolicy={"worker": {"ingressRules": [written]}}))
    assert made["rc-workers-g"]["ingress"][-1] == stored
