"""The main job: a RayService serves, updates in place, rolls blue/green, and rests."""

import pytest

from scenarios.harness import manifests
from scenarios.harness.asking import SEARCH
from scenarios.harness.audit import AuditLog
from scenarios.harness.kube import Kube
from scenarios.harness.load import Load
from scenarios.harness.rayservice import RayService, all_ready
from scenarios.harness.release import USER_AGENT
from scenarios.harness.waiting import Stopwatch, until

pytestmark = pytest.mark.ci

DELAY = 5
SAMPLE = manifests.with_spec(
    manifests.sample("pipeline-cpu-gpu"), rayClusterDeletionDelaySeconds=DELAY
)
BEST = "the blue whale"
REST = 60.0


@pytest.fixture(scope="module")
def pipeline(kube: Kube, namespace: str) -> RayService:
    """The pipeline of the samples, serving."""
    service = RayService(kube, namespace, "pipeline")
    service.apply(SAMPLE)
    service.wait_answer(SEARCH)
    service.wait_ready()
    return service


def test_predictions_come_through_the_service(pipeline: RayService) -> None:
    """Ingress, embedder and ranker answer together, the ranker from a pod with a GPU."""
    answer = pipeline.ask(SEARCH)
    assert answer["results"][0]["doc"] == BEST
    ranker = pipeline.pods()[answer["pods"]["ranker"]]
    assert ranker["metadata"]["labels"]["ray.io/group"] == "gpu"
    assert pipeline.status["serviceStatus"] == "Running"
    until(lambda: all_ready(pipeline.workers()), "all workers are ready", 60)
    assert pipeline.status["numServeEndpoints"] >= 1


def test_user_config_edit_changes_the_answer_in_place(pipeline: RayService) -> None:
    """The same pods give the new answer, at once."""
    before = pipeline.pods().keys()
    edited = manifests.with_user_config(SAMPLE, "Ranker", model="toy-2")
    watch = Stopwatch()
    pipeline.patch(edited)
    pipeline.wait_answer(SEARCH, 30, every=0.02, model="toy-2")
    seconds = watch.seconds
    print(f"edit → new answer: {seconds:.2f} s")
    assert pipeline.pods().keys() == before
    pipeline.wait_ready()
    assert seconds < 5


def test_formatting_edit_causes_no_put(pipeline: RayService) -> None:
    """Comments, order and indentation mean nothing, so Ray hears nothing."""
    pipeline.patch(manifests.with_user_config(SAMPLE, "Ranker", model="toy-3"))
    pipeline.wait_answer(SEARCH, 30, model="toy-3")
    pipeline.wait_ready()
    before = pipeline.deployed_at()
    edited = manifests.with_user_config(SAMPLE, "Ranker", model="toy-3")
    pipeline.patch(manifests.reformatted(edited))
    pipeline.wait_ready()
    # The next edit with a meaning is taken, so the one without had its turn.
    pipeline.patch(manifests.with_spec(edited, rayClusterDeletionDelaySeconds=4))
    pipeline.wait_ready()
    assert pipeline.deployed_at() == before


def test_rollout_under_load_loses_no_request(pipeline: RayService) -> None:
    """A template edit makes a new cluster; traffic moves to it and no request notices."""
    old = pipeline.active_cluster
    with Load(pipeline.url, SEARCH).running() as load:
        until(lambda: load.sent > 10, "the load runs", 10)
        pipeline.patch(manifests.with_env(SAMPLE, "COLOUR", "green"))
        new = pipeline.wait_switched(old)
        kept = Stopwatch()
        until(lambda: pipeline.clusters == [new], "the old cluster is deleted", 60)
        assert kept.seconds > DELAY - 1
        pipeline.wait_alone()
    assert not load.failed, load.explain()
    assert load.by_cluster.keys() == {old, new}
    pipeline.wait_ready()
    assert pipeline.status["activeServiceStatus"]["rayClusterName"] == new


def test_at_rest_nothing_is_written(pipeline: RayService, audit_log: AuditLog) -> None:
    """With nothing to do, the operator does not write to the API server; Leases are no news."""
    pipeline.wait_ready()
    pipeline.wait_alone()
    since = audit_log.position()
    watch = Stopwatch()
    until(lambda: watch.seconds >= REST, "the time of rest is over", REST + 5)
    assert not audit_log.writes(since, USER_AGENT)
    assert any(audit_log.requests(0, USER_AGENT)), "the log knows the operator by another name"
