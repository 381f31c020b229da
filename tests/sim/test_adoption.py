"""From KubeRay to the operator and back: no pod is touched, and each thing is written once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from typing_extensions import override

from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.custody import Manage
from rayserve_operator.render import labels
from scenarios.harness import kuberay as written

from .kuberay import KubeRay
from .manifests import Json, copied, merged, name_of, uid_of
from .rayservice import ServiceStory, spec
from .rules import DELAY, NAME, SERVE_SERVICE
from .virtual_time import run, wait

TAKEN_OVER = 60.0
"""Long enough for the Lease to lapse, and for all that follows."""
CLUSTER, OTHER = "demo-k2b4c", "demo-x7v9z"
OURS = "ray.io/rayserve-operator"


class AdoptionStory(ServiceStory):
    """The story of a RayService that KubeRay has made, and of an operator that starts beside it."""

    def __init__(self, manage: Manage = "all") -> None:
        super().__init__()
        self.manage = manage
        self.kuberay = KubeRay(self.world)
        self.kuberay.lead()

    @property
    def pods(self) -> dict[str, str]:
        """Names of the pods by uid."""
        return {uid_of(pod): name_of(pod) for pod in self.world.all(Kind.POD)}

    async def begin(self, wanted: Json, *names: str) -> None:
        """KubeRay brings the RayService to where it serves, and the operator does nothing."""
        self.world.put(Kind.RAY_SERVICE, written.ray_service(wanted))
        self.edit(wanted)
        await self.kuberay.serve(*names or (CLUSTER,))
        assert self.network.writes == {}

    def assert_written(self, expected: Mapping[str, int]) -> None:
        """This was written, and the status once, or again for what has become of the cluster meanwhile."""
        writes = dict(self.network.writes)
        assert writes.pop("status RayService", 0) <= 2
        assert writes == expected

    def assert_taken_over(self, pods: dict[str, str]) -> None:
        """All is as it was, but for what is written down."""
        assert self.pods == pods
        self.assert_reached()
        assert self.service["metadata"]["finalizers"] == []
        [cluster] = self.world.all(Kind.RAY_CLUSTER)
        assert cluster["metadata"]["annotations"][labels.KUBERAY_VERSION] == "rayserve-operator"

    @override
    def edit(self, wanted: Any, *, is_valid: bool = True) -> None:
        super().edit(written.ray_service(wanted)["spec"], is_valid=is_valid)


def told(manage: Manage = "all") -> Callable[[Callable[[AdoptionStory], Awaitable[None]]], Callable[[], None]]:
    def wrap(tell: Callable[[AdoptionStory], Awaitable[None]]) -> Callable[[], None]:
        async def whole() -> None:
            async with AdoptionStory(manage) as story:
                await tell(story)
                story.assert_no_violation()

        return lambda: run(whole())

    return wrap


ONCE = {
    "merge RayCluster": 3,  # that it takes traffic, whose it was, which revision it serves
    "patch RayService": 1,
    "create ControllerRevision": 1,
    "apply Service": 3,
    "patch Service": 3,
    "status RayCluster": 1,
    "create Event": 2,
}
RIGHTS = {"apply ServiceAccount": 1, "apply Role": 1, "apply RoleBinding": 1}


@pytest.mark.parametrize("rights", [{}, RIGHTS], ids=["fixed", "autoscaled"])
def test_what_kuberay_made_is_taken_over_as_it_is(rights: dict[str, int]) -> None:
    @told()
    async def tell(story: AdoptionStory) -> None:
        await story.begin(spec(autoscaling=bool(rights)))
        pods = story.pods
        story.kuberay.stop()
        await story.settle(TAKEN_OVER)
        story.assert_taken_over(pods)
        story.assert_written(ONCE | rights)
        await story.assert_stays()
        await story.assert_survives_a_restart()

    tell()


@told()
async def test_services_that_have_addresses_or_ports_of_others_are_taken_over_as_they_are(story: AdoptionStory) -> None:
    story.kuberay.addresses = True
    await story.begin(spec())
    serve = story.world.find(Kind.SERVICE, SERVE_SERVICE)
    assert serve is not None
    added = {"name": "debug", "port": 9999, "protocol": "TCP"}
    spec_by_hand = {**serve["spec"], "type": "NodePort", "ports": [added, *serve["spec"]["ports"]]}
    story.world.put(Kind.SERVICE, {**serve, "spec": spec_by_hand})
    services = {name_of(found): uid_of(found) for found in story.world.all(Kind.SERVICE)}
    pods = story.pods
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.assert_taken_over(pods)
    story.assert_written(ONCE)
    assert {name_of(found): uid_of(found) for found in story.world.all(Kind.SERVICE)} == services
    serve = story.world.find(Kind.SERVICE, SERVE_SERVICE)
    assert serve is not None
    assert added in serve["spec"]["ports"]
    assert serve["spec"]["type"] == "NodePort"
    await story.assert_stays(60)


@told()
async def test_what_was_taken_over_is_rolled_like_any_other(story: AdoptionStory) -> None:
    await story.begin(spec())
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.edit(spec(code="y"))
    await story.settle(TAKEN_OVER)
    assert story.clusters == [CLUSTER]
    story.assert_reached()
    story.edit(spec(image="b", code="y"))
    await story.settle(3 * DELAY)
    assert story.clusters != [CLUSTER]
    story.assert_reached()


@told()
async def test_kuberay_comes_back_and_goes_again(story: AdoptionStory) -> None:
    await story.begin(spec())
    pods = story.pods
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.edit(spec(code="y"))
    await story.settle(TAKEN_OVER)
    story.kuberay.lead()
    await wait(TAKEN_OVER)
    story.network.writes.clear()
    story.kuberay.bring_up_to_date(CLUSTER)
    story.kuberay.tell(CLUSTER)
    await wait(TAKEN_OVER)
    assert story.network.writes == {}
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.assert_taken_over(pods)
    story.assert_written({"patch RayService": 1, "merge RayCluster": 1, "merge Event": 1})
    await story.assert_stays()


@told()
async def test_what_kuberay_has_rolled_in_between_is_not_taken_back(story: AdoptionStory) -> None:
    await story.begin(spec())
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.kuberay.lead()
    await wait(TAKEN_OVER)
    story.kuberay.bring_up_to_date(CLUSTER)
    story.edit(spec(image="b"))
    await story.kuberay.serve(OTHER)
    story.network.writes.clear()
    story.kuberay.stop()
    await story.settle(3 * DELAY)
    assert story.clusters == [OTHER]
    assert story.network.writes["apply Service"] == 3
    story.assert_reached()


@told()
async def test_an_edit_of_serves_own_options_rolls_what_was_taken_over(story: AdoptionStory) -> None:
    await story.begin(spec())
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.edit(spec(port=8001))
    await story.settle(3 * DELAY)
    assert story.clusters != [CLUSTER]
    story.assert_reached()


@told()
async def test_a_cluster_that_kuberay_has_just_left_is_drained(story: AdoptionStory) -> None:
    await story.begin(spec(), CLUSTER, OTHER)
    story.world.keep_asking(CLUSTER, 100)
    story.kuberay.stop()
    await wait(90)
    assert story.clusters == [CLUSTER, OTHER]
    assert len(story.world.serving_pods(CLUSTER)) == 2
    await story.settle(3 * DELAY)
    assert story.clusters == [OTHER]
    story.assert_reached()
    await story.assert_stays()


@told()
async def test_where_fields_of_the_status_are_not_kept_it_is_written_once_all_the_same(story: AdoptionStory) -> None:
    for kind, missing in {
        Kind.RAY_SERVICE: ("numServeEndpoints", "observedGeneration"),
        Kind.RAY_CLUSTER: ("readyWorkerReplicas", "stateTransitionTimes"),
    }.items():
        schema = copied(story.world.schemas[kind])
        for field in missing:
            del schema["properties"]["status"]["properties"][field]
        story.world.schemas[kind] = schema
    await story.perform("restart", None)
    await story.begin(spec())
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    story.assert_written(ONCE)
    assert "numServeEndpoints" not in story.service["status"]
    await story.assert_stays()
    await story.assert_survives_a_restart()


@told("marked")
async def test_side_by_side_a_service_is_moved_by_its_mark_and_back(story: AdoptionStory) -> None:
    await story.begin(spec())
    await wait(TAKEN_OVER)
    assert story.network.writes == {}
    pods = story.pods
    story.edit({**spec(), "managedBy": OURS})
    await story.settle(TAKEN_OVER)
    story.assert_taken_over(pods)
    story.assert_written(ONCE | {"patch RayCluster": 1})
    [cluster] = story.world.all(Kind.RAY_CLUSTER)
    assert cluster["spec"]["managedBy"] == OURS
    await story.assert_stays(60)
    story.network.writes.clear()
    story.edit(spec())
    await story.settle(TAKEN_OVER)
    assert story.network.writes == {"patch RayCluster": 1}
    assert "managedBy" not in story.world.all(Kind.RAY_CLUSTER)[0]["spec"]
    assert story.pods == pods


@told()
async def test_what_is_marked_is_looked_after_while_kuberay_leads(story: AdoptionStory) -> None:
    story.edit({**spec(), "managedBy": OURS})
    await story.settle(TAKEN_OVER)
    story.assert_reached()
    [cluster] = story.world.all(Kind.RAY_CLUSTER)
    assert cluster["spec"]["managedBy"] == OURS


@told()
async def test_the_cluster_of_a_rayjob_is_never_touched(story: AdoptionStory) -> None:
    story.kuberay.stop()
    await wait(TAKEN_OVER)
    job = {labels.FROM_CRD: "RayJob", labels.FROM_CR_NAME: "nightly"}
    service = merged(written.ray_service(spec()), {"metadata": {"uid": "uid-of-the-job"}})
    cluster = written.ray_cluster(service, "nightly-k2b4c")
    story.world.put(Kind.RAY_CLUSTER, merged(cluster, {"metadata": {"labels": job, "ownerReferences": None}}))
    await story.assert_stays(60)


@told()
async def test_a_service_that_is_deleted_meanwhile_is_let_go(story: AdoptionStory) -> None:
    await story.begin(spec())
    story.world.end(Kind.RAY_SERVICE, NAME)
    assert story.service["metadata"]["deletionTimestamp"]
    story.kuberay.stop()
    await story.settle(TAKEN_OVER)
    assert story.world.find(Kind.RAY_SERVICE, NAME) is None
    assert story.clusters == []
    assert story.world.find(Kind.SERVICE, SERVE_SERVICE) is None


@told()
async def test_a_lease_that_was_left_behind_holds_nobody_up(story: AdoptionStory) -> None:
    story.kuberay.stop()
    await wait(120)
    await story.perform("restart", None)
    await wait(1)
    assert story.operator.standby.leader is None
