"""From the release before to this one and back: what the one made, the other looks after."""

from collections.abc import Iterator

import pytest

from scenarios.harness import earlier, manifests
from scenarios.harness.asking import GREET
from scenarios.harness.kube import Kube
from scenarios.harness.mix import SHORT, Mix
from scenarios.harness.rayservice import RayService
from scenarios.harness.release import LANE, OperatorRelease
from scenarios.harness.rollout import Rollout, edit_in_place, rolled, under_load
from scenarios.harness.session import local_cluster
from scenarios.harness.table import Tables
from scenarios.harness.waiting import Stopwatch

SAMPLE = manifests.with_deployment(
    manifests.sample("minimal"), "Echo", num_replicas=2, max_ongoing_requests=100
)


@pytest.fixture(scope="module")
def before() -> earlier.Release:
    """The release before, its image in the node."""
    found, cluster = earlier.find(), local_cluster()
    if found is None:
        pytest.skip("nothing is tagged before this commit; RELEASE=REVISION takes any")
    if LANE or cluster is None:
        pytest.skip("the CRDs are for all lanes, and the image for a local node")
    cluster.load_image(found.image.archive)
    return found


@pytest.fixture(scope="module")
def release(operator: OperatorRelease) -> Iterator[OperatorRelease]:
    """The operator, which is for the others again as it was when this module is done."""
    yield operator
    operator.install()


@pytest.fixture
def echo(
    kube: Kube, namespace: str, release: OperatorRelease, before: earlier.Release
) -> RayService:
    """The minimal sample with two replicas, as the release before serves it after a rollout."""
    release.install(chart=before.chart, image=before.image)
    service = RayService(kube, namespace, "minimal")
    service.apply(SAMPLE)
    service.wait_answer(GREET)
    service.wait_ready()
    return service


def test_an_upgrade_and_its_rollback_touch_no_pod(
    echo: RayService, release: OperatorRelease, before: earlier.Release, tables: Tables
) -> None:
    """Each of the two edits in place and rolls out what the other one has made."""
    title = f"from {before.commit} to this release, and back"
    with under_load(tables, title, Mix(echo.url).with_long(SHORT)) as run:
        made, watch = echo.uids, Stopwatch()
        release.install()
        run.steps["upgrade → ready"].append(watch.seconds)
        greeted = manifests.with_user_config(SAMPLE, "Echo", greeting="upgraded")
        run.steps["edit in place → done"].append(edit_in_place(echo, greeted))
        assert echo.uids == made
        current = rolled(greeted)
        Rollout(echo, current).run(run)
        made = echo.uids
        release.roll_back()
        greeted = manifests.with_user_config(current, "Echo", greeting="rolled back")
        run.steps["edit in place after the rollback → done"].append(edit_in_place(echo, greeted))
        assert echo.uids == made
