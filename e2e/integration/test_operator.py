"""The operator against a real API server: cut off, restarted, and beside other writers."""

import copy
from typing import Any

import pytest

from scenarios.harness import manifests, session
from scenarios.harness.audit import WRITES, AuditLog
from scenarios.harness.controlplane import forget_history
from scenarios.harness.fakes import FakeRay
from scenarios.harness.kube import Kube, kubectl
from scenarios.harness.line import Line
from scenarios.harness.process import OperatorProcess
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import USER_AGENT
from scenarios.harness.waiting import Stopwatch, until

SAMPLE = manifests.with_spec(
    manifests.sample("minimal"),
    rayClusterDeletionDelaySeconds=1,
    # The fake Ray has no metrics, so the old cluster of a rollout goes at the timeout.
    upgradeStrategy={"drainTimeoutSeconds": 2},
)
SOON = 20.0
COLLECTED = 60.0
"""Seconds until dependents are gone: the garbage collector looks for new CRDs every 30 s."""
QUIET = 8.0
"""Seconds in which an operator that has something to write would have written it."""

pytestmark = pytest.mark.usefixtures("ray", "operator")


def _serving(kube: Kube, namespace: str, name: str = "minimal") -> RayService:
    service = RayService(kube, namespace, name)
    service.apply({**SAMPLE, "metadata": {"name": name}})
    service.wait_ready(SOON)
    return service


def _wait_quiet(audit_log: AuditLog) -> None:
    """Wait until the operator has not written for a while."""

    def is_quiet() -> bool:
        since = audit_log.position()
        watch = Stopwatch()
        until(lambda: watch.seconds > 2, "two seconds pass", 5)
        return not audit_log.writes(since, USER_AGENT)

    until(is_quiet, "the operator has nothing to write", SOON)


def test_user_objects_stay_clean(kube: Kube, namespace: str) -> None:
    """No finalizer and no annotation of ours or of kopf's is on what users write."""
    service = _serving(kube, namespace)
    stored = service.object["metadata"]
    assert not stored.get("finalizers")
    assert set(stored["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
    [cluster] = kube.list("rayclusters", namespace)
    assert not cluster["metadata"].get("finalizers")


def test_restart_writes_nothing(
    kube: Kube, namespace: str, operator: OperatorProcess, audit_log: AuditLog
) -> None:
    """All is in the objects: an operator that comes back finds its work done."""
    _serving(kube, namespace)
    _wait_quiet(audit_log)
    operator.kill()
    since = audit_log.position()
    operator.start()
    watch = Stopwatch()
    until(lambda: watch.seconds > QUIET, "a time of rest", QUIET + 5)
    assert not audit_log.writes(since, USER_AGENT)


def test_rollout_and_way_back(kube: Kube, namespace: str, ray: FakeRay) -> None:
    """To another cluster, to another config, and back to the first of each."""
    service = _serving(kube, namespace)
    first = service.active_cluster
    service.patch(manifests.with_env(SAMPLE, "COLOUR", "green"))
    second = service.wait_switched(first, SOON)
    service.wait_alone(COLLECTED)
    service.patch(SAMPLE)
    service.wait_switched(second, SOON)
    service.wait_ready(SOON)
    for greeting in ("one", "two", "one"):
        service.patch(manifests.with_user_config(SAMPLE, "Echo", greeting=greeting))
        wanted = manifests.with_user_config(SAMPLE, "Echo", greeting=greeting)
        expected = manifests.serve_config(wanted)["applications"]
        until(lambda: ray.puts[-1]["applications"] == expected, f"Ray is told {greeting}", SOON)  # noqa: B023
    service.wait_ready(SOON)
    refused = [event for event in service.events if event["reason"] == "ActionRefused"]
    assert not refused, refused[0]["message"]


def test_nothing_that_vanished_unseen_stays(
    kube: Kube, namespace: str, line: Line, audit_log: AuditLog
) -> None:
    """The watch is cut, objects go, history is forgotten: nothing lost is missed or haunts."""
    cluster = session.local_cluster()
    if cluster is None:
        pytest.skip("only a local cluster lets us break its control plane")
    stays = _serving(kube, namespace, "stays")
    goes = _serving(kube, namespace, "goes")
    _wait_quiet(audit_log)
    ray_cluster = stays.active_cluster
    line.cut()
    kube.delete("rayservices", namespace, goes.name)
    [worker] = stays.workers()
    stays.delete_pod(worker)
    kube.delete("services", namespace, f"{ray_cluster}-head-svc")
    until(lambda: not goes.clusters, "the RayCluster is collected", COLLECTED)
    left = f"ray.io/cluster,ray.io/cluster!={ray_cluster}"
    until(lambda: not kube.list("pods", namespace, left), "the pods are collected", COLLECTED)
    forget_history(cluster, kube)
    since = audit_log.position()
    line.mend()
    until(lambda: len(stays.workers()) == 1, "the worker is replaced", 60)
    until(
        lambda: kube.find("services", namespace, f"{ray_cluster}-head-svc"),
        "the head Service is made anew",
        60,
    )
    stays.wait_ready(60)
    watch = Stopwatch()
    until(lambda: watch.seconds > QUIET, "a time of rest", QUIET + 5)
    haunted = [
        f"{request['verb']} {request['requestURI']} → {request['responseStatus']['code']}"
        for request in audit_log.requests(since, USER_AGENT)
        if request["verb"] in WRITES and "/goes" in request["requestURI"]
    ]
    assert not haunted, "\n".join(haunted)
    assert not goes.clusters


def test_a_hand_edited_selector_is_healed(kube: Kube, namespace: str) -> None:
    """Our fields are ours, whoever else applies them; what others add stays."""
    service = _serving(kube, namespace)
    name = f"{service.name}-serve-svc"
    active = service.active_cluster
    kubectl("label", f"--namespace={namespace}", "service", name, "team=search")
    patch = '{"spec":{"selector":{"ray.io/cluster":"nowhere"}}}'
    kubectl("patch", f"--namespace={namespace}", "service", name, "--type=merge", "--patch", patch)
    until(lambda: service.active_cluster == active, "the selector is healed", SOON)
    labels = kube.get("services", namespace, name)["metadata"]["labels"]
    assert labels["team"] == "search"


def test_a_service_of_the_users_is_left_alone(kube: Kube, namespace: str) -> None:
    """A Service under our name that is not ours: a condition tells, and it stays as it is."""
    theirs = {
        "metadata": {"name": "minimal-serve-svc", "namespace": namespace},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    before = kube.create("services", theirs)["metadata"]["resourceVersion"]
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    until(lambda: service.holds("ServiceConflict"), "condition ServiceConflict", SOON)
    after = kube.get("services", namespace, "minimal-serve-svc")["metadata"]["resourceVersion"]
    assert after == before


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"imagePullPolice": "Always"}, "imagePullPolice"),
        ({"resources": {"limits": {"cpus": 1}}}, "resources.limits.cpus"),
        ({"env": [{"name": "THREADS", "value": 4}]}, "env[0].value"),
    ],
    ids=["typo", "resource", "number"],
)
def test_no_cluster_is_made_of_pods_that_cannot_be(
    kube: Kube, namespace: str, fields: dict[str, Any], place: str
) -> None:
    """Without the webhook the mistake is told as any other, and what serves is kept up."""
    service = _serving(kube, namespace)
    first = service.active_cluster
    worse = copy.deepcopy(SAMPLE)
    for template in manifests.pod_templates(worse):
        template["spec"]["containers"][0].update(fields)
    service.apply({**worse, "metadata": {"name": "minimal"}})
    condition = until(lambda: service.conditions.get("SpecValid"), "the spec is judged", SOON)
    assert condition is not None
    assert condition["status"] == "False"
    for part in ("headGroupSpec", "workerGroupSpecs[0]"):
        at = f"spec.rayClusterConfig.{part}.template.spec.containers[0].{place}"
        assert at in condition["message"]
    assert service.clusters == [first]
    assert any(event["reason"] == "InvalidRayServiceSpec" for event in service.events)
    service.patch(SAMPLE)
    service.wait_ready(SOON)


def test_a_quota_does_not_hold_back_the_first_cluster(kube: Kube, namespace: str) -> None:
    """There may be room a moment later, and it is told when the pods are made."""
    quota = {"metadata": {"name": "none", "namespace": namespace}, "spec": {"hard": {"pods": "0"}}}
    kube.create("resourcequotas", quota)

    def is_counted() -> bool:
        return bool(kube.get("resourcequotas", namespace, "none").get("status", {}).get("hard"))

    until(is_counted, "the quota is counted", SOON)
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    until(lambda: service.clusters, "a cluster is made", SOON)
    until(lambda: service.holds("SpecValid"), "the spec counts as valid", SOON)
    kube.delete("resourcequotas", namespace, "none")
    service.wait_ready(60)


def test_ray_is_told_once(kube: Kube, namespace: str, ray: FakeRay) -> None:
    """One PUT for one meaning: not for another spelling, not for a restart, not at rest."""
    service = _serving(kube, namespace)
    service.patch(manifests.reformatted(SAMPLE))
    service.wait_ready(SOON)
    service.patch(manifests.with_spec(SAMPLE, rayClusterDeletionDelaySeconds=2))
    service.wait_ready(SOON)
    assert len(ray.puts) == 1
