"""What KubeRay made, behind CRDs that default as KubeRay's do, is taken over as it is."""

import pytest

from scenarios.harness import adopted, manifests
from scenarios.harness.audit import AuditLog
from scenarios.harness.fakes import FakeRay
from scenarios.harness.kube import Kube
from scenarios.harness.process import OperatorProcess
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import USER_AGENT
from scenarios.harness.waiting import Stopwatch, until

SAMPLE = manifests.sample("minimal")
CLUSTER = "minimal-k2b4c"
SOON = 30.0
QUIET = 12.0
"""Seconds in which an operator at rest looks at everything again."""
ONCE = {
    "patch rayservices": 1,
    "patch rayservices/status": 2,
    "patch rayclusters": 3,
    "patch rayclusters/status": 2,
    "patch services": 6,
    "create controllerrevisions": 1,
    "patch poddisruptionbudgets": 1,
}
"""How often each kind is written at most; a status a second time for what happens meanwhile."""


def _make(kube: Kube, namespace: str, ray: FakeRay) -> RayService:
    """A RayService that serves, with everything that KubeRay makes for it."""
    service = adopted.make(kube, namespace, SAMPLE, CLUSTER)
    until(lambda: service.head_address(CLUSTER), "the head has an address", SOON)
    ray.take(service.head_address(CLUSTER), manifests.serve_config(SAMPLE))
    adopted.tell_that_it_serves(service, CLUSTER)
    return service


@pytest.mark.usefixtures("kuberays_crds")
def test_what_kuberay_made_is_taken_over_as_it_is(
    kube: Kube, namespace: str, ray: FakeRay, operator: OperatorProcess, audit_log: AuditLog
) -> None:
    """Pods, RayCluster and Services stay the same objects, and each is written once."""
    operator.kill()
    service = _make(kube, namespace, ray)
    before = adopted.uids(service)
    told = len(ray.puts)
    since = audit_log.position()
    operator.start()
    service.wait_ready(SOON)
    watch = Stopwatch()
    until(lambda: watch.seconds > QUIET, "a time of rest", QUIET + 5)
    assert adopted.uids(service) == before
    assert service.active_cluster == CLUSTER
    assert not service.object["metadata"].get("finalizers")
    assert len(ray.puts) == told
    writes = audit_log.writes(since, USER_AGENT)
    too_often = {
        what: count
        for what, count in writes.items()
        if what != "create events" and count > ONCE.get(what, 0)
    }
    assert not too_often
    assert "lacks spec.upgradeStrategy" in operator.log
    rest = audit_log.position()
    until(lambda: watch.seconds > 2 * QUIET, "another time of rest", 2 * QUIET + 5)
    assert not audit_log.writes(rest, USER_AGENT)
