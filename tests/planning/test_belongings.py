"""What a RayCluster has beside its pods."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from rayserve_operator.model.raycluster import RayClusterStatus
from rayserve_operator.planning.actions import Announcement, Apply, Delete, Kind, Plan
from rayserve_operator.planning.cluster.planner import plan_cluster
from rayserve_operator.planning.observed import BelongingView, ObservedRayCluster, PodView, ServiceView
from rayserve_operator.render import labels
from rayserve_operator.render.options import RenderOptions

from ..builders import (
    NOW,
    actions_of,
    belonging,
    cluster_config,
    cluster_plan,
    group,
    head,
    in_words,
    pod,
    ray_cluster,
    steps_of,
    template,
)

VOLCANO = RenderOptions(batch_scheduler="volcano", operator_namespace="rayserve-system")
ROCKSDB: dict[str, Any] = {"gcsFaultToleranceOptions": {"backend": "rocksdb", "storage": {}}}
TLS: dict[str, Any] = {"tlsOptions": {"enabled": True}}
DENIED: dict[str, Any] = {"networkPolicy": {"mode": "DenyAll"}}
AUTOSCALED: dict[str, Any] = {"enableInTreeAutoscaling": True}
PODS = (head(), pod("a"), pod("b"))
SERVE_SERVICE = {labels.ENABLE_SERVE_SERVICE: "true"}


def with_ingress(**fields: Any) -> dict[str, Any]:
    return {"headGroupSpec": {"template": template(), "enableIngress": True, **fields}}


OWN_ACCOUNT: dict[str, Any] = {
    "headGroupSpec": {"template": {"spec": {**template()["spec"], "serviceAccountName": "mine"}}}
}


def beside(config: Mapping[str, Any], *pods: PodView, **fields: Any) -> list[str]:
    """What is made or deleted beside the pods."""
    found = in_words(cluster_plan(cluster_config(group(replicas=2), **config), *(pods or PODS), **fields))
    return [done for done in found if done.startswith(("make ", "point ", "delete "))]


@pytest.mark.parametrize(
    ("config", "fields", "expected"),
    [
        ({}, {}, []),
        (
            AUTOSCALED,
            {},
            ["make ServiceAccount demo-a", "make Role demo-a", "make RoleBinding demo-a"],
        ),
        ({**AUTOSCALED, **OWN_ACCOUNT}, {}, ["make Role demo-a", "make RoleBinding demo-a"]),
        (ROCKSDB, {}, ["make PersistentVolumeClaim demo-a-gcs-pvc"]),
        (with_ingress(), {}, ["make Ingress demo-a-head-ingress"]),
        ({}, {"options": VOLCANO}, ["make PodGroup of Volcano ray-demo-a-pg"]),
        (DENIED, {}, ["make NetworkPolicy demo-a-head", "make NetworkPolicy demo-a-workers-cpu"]),
        (
            TLS,
            {},
            [
                "make Issuer ray-selfsigned-issuer-demo-a",
                "make Certificate ray-ca-certificate-demo-a",
                "make Issuer ray-ca-issuer-demo-a",
                "make Certificate ray-head-cert-demo-a",
                "make Certificate ray-worker-cert-demo-a",
            ],
        ),
        ({}, {"of_service": True}, ["make PodDisruptionBudget demo-a-workers"]),
        ({}, {"notes": SERVE_SERVICE}, ["point demo-a-serve-svc at demo-a"]),
        ({}, {"notes": {labels.ENABLE_SERVE_SERVICE: "false"}}, []),
        ({}, {"notes": {labels.ROUTE: "mine"}}, ["point demo-a-serve-svc at demo-a"]),
    ],
    ids=[
        "nothing",
        "autoscaling",
        "own account",
        "storage",
        "ingress",
        "gang",
        "policies",
        "TLS",
        "budget",
        "serve",
        "no",
        "route",
    ],
)
def test_what_is_asked_for_is_made(config: dict[str, Any], fields: dict[str, Any], expected: list[str]) -> None:
    assert beside(config, **fields) == expected


@pytest.mark.parametrize(("hosts", "expected"), [((1, 2), True), ((1, 1), False)])
def test_hosts_of_one_replica_find_each_other_by_a_service(hosts: tuple[int, int], expected: bool) -> None:
    groups = [group(str(number), replicas=0, numOfHosts=count) for number, count in enumerate(hosts)]
    found = in_words(cluster_plan(cluster_config(*groups), head()))
    assert found == (["point demo-a-headless at demo-a"] if expected else [])


def test_the_budget_is_one_below_the_workers_that_serve() -> None:
    result = cluster_plan(cluster_config(group(replicas=2)), *PODS, of_service=True)
    [budget] = [action for action in actions_of(result) if isinstance(action, Apply)]
    assert budget.manifest["spec"]["minAvailable"] == 1


def test_policies_know_where_the_operator_is() -> None:
    result = cluster_plan(cluster_config(**DENIED), *PODS, options=VOLCANO)
    [policy, *_] = [a for a in actions_of(result) if isinstance(a, Apply) and a.kind is Kind.NETWORK_POLICY]
    assert "rayserve-system" in str(policy.manifest)


# What is there already. --------------------------------------------------------------------------------------------

ALL: dict[str, Any] = {**AUTOSCALED, **ROCKSDB, **TLS, **DENIED, **with_ingress()}
EVERYTHING = cluster_config(group("a", replicas=1), group("b", replicas=1, numOfHosts=2), **ALL)


def plan(observed: ObservedRayCluster) -> Plan[RayClusterStatus]:
    return plan_cluster(observed, VOLCANO, NOW)


def applied(observed: ObservedRayCluster) -> list[Apply]:
    return [action for action in actions_of(plan(observed)) if isinstance(action, Apply)]


def everything() -> ObservedRayCluster:
    """A cluster that has all there is, just as it was applied."""
    workers = [pod("a", group="a"), *(pod(f"b{n}", group="b", replica="r", index=0, host=n) for n in range(2))]
    bare = ray_cluster(EVERYTHING, head(), *workers, of_service=True, notes=SERVE_SERVICE)
    made = applied(bare)
    others = tuple(BelongingView.parse(a.kind, standing(a.manifest)) for a in made if a.kind is not Kind.SERVICE)
    services = [ServiceView.parse(standing(a.manifest)) for a in made if a.kind is Kind.SERVICE]
    known = {**bare.services, **{service.meta.name: service for service in services}}
    return replace(bare, belongings=others, services=known)


def standing(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "uid": "uid", "resourceVersion": "1"}}


def test_what_is_as_it_should_be_is_left_alone() -> None:
    there = everything()
    kinds = {view.kind for view in there.belongings}
    assert len(kinds) == 10
    assert in_words(plan(there)) == []


def test_what_was_never_seen_is_looked_for_before_it_is_applied() -> None:
    made = applied(replace(everything(), belongings=(), services={}))
    assert {action.kind for action in made} > {Kind.SERVICE, Kind.ROLE}
    assert all(action.is_first for action in made)


@pytest.mark.parametrize(
    "kind", [Kind.ROLE, Kind.NETWORK_POLICY, Kind.CERTIFICATE, Kind.BUDGET, Kind.VOLCANO_POD_GROUP]
)
def test_what_somebody_changed_is_put_right(kind: Kind) -> None:
    there = everything()
    [name, *_] = [view.meta.name for view in there.belongings if view.kind is kind]
    changed = tuple(
        replace(view, meta=replace(view.meta, labels={})) if (view.kind, view.meta.name) == (kind, name) else view
        for view in there.belongings
    )
    again = applied(replace(there, belongings=changed))
    assert [(action.kind, action.manifest["metadata"]["name"]) for action in again] == [(kind, name)]
    assert not again[0].is_first


def test_a_service_that_somebody_changed_is_put_right() -> None:
    there = everything()
    services = {name: replace(view, spec={**view.spec, "selector": {}}) for name, view in there.services.items()}
    again = applied(replace(there, services=services))
    assert sorted(action.manifest["metadata"]["name"] for action in again) == sorted(services)
    assert not any(action.is_first for action in again)


def test_a_claim_is_never_changed() -> None:
    there = everything()
    changed = tuple(replace(view, content={}) if view.kind is Kind.CLAIM else view for view in there.belongings)
    assert in_words(plan(replace(there, belongings=changed))) == []


OURS = {"annotations": {labels.APPLIED: "x"}}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.NETWORK_POLICY, "DeletedNetworkPolicy"),
        (Kind.INGRESS, "DeletedIngress"),
        (Kind.BUDGET, "DeletedPodDisruptionBudget"),
        (Kind.POD_GROUP, "DeletedPodGroup"),
        (Kind.VOLCANO_POD_GROUP, "DeletedPodGroup"),
    ],
)
def test_what_is_no_longer_wanted_is_deleted_and_told(kind: Kind, reason: str) -> None:
    result = cluster_plan(cluster_config(), head(), pod(), belongings=(belonging(kind, "old", metadata=OURS),))
    told = Announcement(reason, f"Deleted {kind} old: it is no longer wanted")
    assert steps_of(result) == ((Delete(kind=kind, name="old", uid="uid-old", announce=told),),)


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        (Kind.NETWORK_POLICY, {}),
        (Kind.NETWORK_POLICY, {**OURS, "deletionTimestamp": "2030-01-01T11:59:00Z"}),
        (Kind.CLAIM, OURS),
        (Kind.SERVICE_ACCOUNT, OURS),
        (Kind.CERTIFICATE, OURS),
        (Kind.JOB, OURS),
    ],
    ids=["somebody else's", "leaving", "a claim", "an account", "a certificate", "a job"],
)
def test_what_is_not_ours_or_holds_something_is_never_deleted(kind: Kind, metadata: dict[str, Any]) -> None:
    old = belonging(kind, "old", metadata=metadata)
    assert in_words(cluster_plan(cluster_config(), head(), pod(), belongings=(old,))) == []


def test_a_service_that_is_no_longer_wanted_is_deleted() -> None:
    there = ray_cluster(cluster_config(), head(), pod())
    old = ServiceView.parse({"metadata": {"name": "old", "uid": "uid-old", **OURS}})
    result = plan_cluster(replace(there, services={**there.services, "old": old}), RenderOptions(), NOW)
    told = Announcement("DeletedService", "Deleted Service old: it is no longer wanted")
    assert steps_of(result) == ((Delete(kind=Kind.SERVICE, name="old", uid="uid-old", announce=told),),)


def test_fields_that_kuberay_left_on_a_service_are_taken_from_it() -> None:
    there = ray_cluster(cluster_config(), head(), pod())
    [(name, service)] = there.services.items()
    adopted = replace(there, services={name: replace(service, foreign_entry=1)})
    assert in_words(plan_cluster(adopted, RenderOptions(), NOW)) == [f"patch {name}: /metadata/managedFields/1"]


def test_a_service_that_has_an_address_keeps_it() -> None:
    there = ray_cluster(cluster_config(), head(), pod())
    [(name, service)] = there.services.items()
    addressed = replace(service, spec={**service.spec, "clusterIP": "10.0.0.1"})
    assert in_words(plan_cluster(replace(there, services={name: addressed}), RenderOptions(), NOW)) == []


def test_no_pod_waits_for_a_budget_or_for_what_is_to_go() -> None:
    old = belonging(Kind.NETWORK_POLICY, "old", metadata=OURS)
    config = cluster_config(group(replicas=3))
    result = cluster_plan(config, head(), pod("a"), pod("b"), of_service=True, belongings=(old,))
    assert in_words(result.strands[-1]) == ["make PodDisruptionBudget demo-a-workers", "delete old"]


# Addresses in certificates. ----------------------------------------------------------------------------------------

FORMER = {"ipAddresses": ["127.0.0.1", "ip-demo-a-head", "ip-former"]}


def certificate(**content: Any) -> BelongingView:
    return belonging(Kind.CERTIFICATE, "ray-head-cert-demo-a", **content)


@pytest.mark.parametrize(
    ("pods", "there", "heads", "workers"),
    [
        ([], [], set(), set()),
        ([head(), pod("a"), pod("b", phase="Pending"), pod("c", leaving=True)], [], {"ip-demo-a-head"}, {"ip-a"}),
        ([head()], [certificate(spec=FORMER)], {"ip-demo-a-head", "ip-former"}, set()),
        ([head()], [certificate(spec={"ipAddresses": None})], {"ip-demo-a-head"}, set()),
        ([head()], [certificate()], {"ip-demo-a-head"}, set()),
        ([head("next")], [certificate(spec=FORMER)], {"ip-next-head"}, set()),
        (
            [head()],
            [certificate(spec=FORMER), belonging(Kind.CERTIFICATE, "ray-worker-cert-demo-a", spec=FORMER)],
            {"ip-demo-a-head", "ip-former"},
            {"ip-demo-a-head", "ip-former"},
        ),
        ([head()], [belonging(Kind.ISSUER, "ray-head-cert-demo-a", spec=FORMER)], {"ip-demo-a-head"}, set()),
    ],
    ids=["no pods", "pods", "a pod went", "none named", "nothing said", "a pod came", "workers went", "no certificate"],
)
def test_a_certificate_names_every_pod_and_changes_only_when_one_must_be_added(
    pods: list[PodView], there: list[BelongingView], heads: set[str], workers: set[str]
) -> None:
    result = cluster_plan(cluster_config(**TLS), *pods, belongings=tuple(there))
    named = {
        action.manifest["metadata"]["name"]: set(action.manifest["spec"].get("ipAddresses") or ()) - {"127.0.0.1"}
        for action in actions_of(result)
        if isinstance(action, Apply) and action.kind is Kind.CERTIFICATE
    }
    assert (named["ray-head-cert-demo-a"], named["ray-worker-cert-demo-a"]) == (heads, workers)
