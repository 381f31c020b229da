"""A new cluster is as large as the one it takes over from, before it takes over."""

from scenarios.harness.busy import (
    DEPLOYMENT,
    MANY_USERS,
    MOST,
    SAMPLE,
    SCALE_UP,
    is_scaled_to,
)
from scenarios.harness.crowd import Crowd
from scenarios.harness.load import Record
from scenarios.harness.rayservice import ROLLOUT, RayService, all_ready
from scenarios.harness.rollout import rolled
from scenarios.harness.table import Tables
from scenarios.harness.waiting import OFTEN, Stopwatch, until


def test_rollout_while_scaled_up(busy: RayService, crowd: Crowd, tables: Tables) -> None:
    """Scaled up to three, the service moves to a cluster that has three when traffic comes."""
    crowd.resize(MANY_USERS)
    until(lambda: is_scaled_to(busy, MOST), "all replicas have their workers", SCALE_UP)
    old = busy.active_cluster
    steps: dict[str, list[float]] = {}
    begun = crowd.record().sent
    watch = Stopwatch()
    busy.patch(rolled(SAMPLE))
    until(lambda: busy.active_cluster != old, "traffic moves", ROLLOUT, every=OFTEN)
    new = busy.active_cluster
    # Ray needs seconds for one more replica, and a worker takes longer still.
    replicas, workers = busy.replicas(DEPLOYMENT, new), busy.workers(new)
    steps["edit → switch"] = [watch.seconds]
    switched = Stopwatch()
    busy.wait_alone()
    steps["switch → old pods gone"] = [switched.seconds]
    busy.wait_ready()
    record = _record(crowd, begun)
    tables.add("scaled up to three workers", {"GETs by 24 users": record}, steps)
    assert len(replicas) == MOST, replicas
    assert len(workers) == MOST, workers.keys()
    assert all_ready(workers)
    assert not record.failed, record.explain()
    assert record.by_cluster[new]
    until(lambda: is_scaled_to(busy, MOST), "the new cluster keeps its size", SCALE_UP)
    assert busy.active_cluster == new


def _record(crowd: Crowd, begun: int) -> Record:
    """What has become of the requests but for the first so many, once some more are answered."""
    sent = crowd.record().sent
    until(lambda: crowd.record().sent > sent + MANY_USERS, "the users still ask", 60)
    return Record(requests=crowd.record().requests[begun:])
