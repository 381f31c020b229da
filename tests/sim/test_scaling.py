"""Whoever scales a RayCluster, and whatever befalls its pods, it ends with the pods that it should have.

On the way, `rules.Rules` sees to it that no pod is deleted that the autoscaler wants to keep, that no name comes twice,
and that no head is made beside another that may run. SIMULATIONS=3000 looks for longer, each time elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from rayserve_operator.planning.actions import Kind
from rayserve_operator.render import labels

from .client import Fault
from .manifests import Json, copied, is_leaving, merged, name_of
from .rayservice import template
from .rules import NAME, wanted_pods, wanted_replicas
from .story import Story, simulated
from .virtual_time import run, wait

Steps = list[tuple[str, Any]]
GROUPS = ("cpu", "gpu", "tpu")
HOSTS = {"cpu": 1, "gpu": 1, "tpu": 2}


class ClusterStory(Story):
    """The story of a RayCluster that belongs to nobody else."""

    def __init__(self, seed: int, *, autoscaling: bool) -> None:
        super().__init__(seed)
        self.autoscaling = autoscaling
        self.world.load, self.world.autoscales = None, False

    @property
    def cluster(self) -> Json:
        """The RayCluster."""
        found = self.world.find(Kind.RAY_CLUSTER, NAME)
        assert found is not None
        return found

    def make(self, *groups: Json) -> None:
        """Make the RayCluster."""
        head = {"template": template("head", "a"), "rayStartParams": {}}
        spec = {"headGroupSpec": head, "enableInTreeAutoscaling": self.autoscaling, "workerGroupSpecs": list(groups)}
        self.world.put(Kind.RAY_CLUSTER, {"metadata": {"name": NAME}, "spec": spec})

    @override
    async def perform(self, step: str, argument: Any) -> None:
        spec = copied(self.cluster["spec"])
        heads = list(self.world.pods(NAME, labels.HEAD))
        if self._edit(spec, step, argument):
            self.world.put(Kind.RAY_CLUSTER, {**self.cluster, "spec": spec})
            self.lives[-1].tell(f"--- {step}: {_summary(self.cluster)}")
            return
        match step:
            case "delete the head":
                for pod in heads:
                    self.world.end(Kind.POD, name_of(pod))
            case "fail the head":
                for pod in heads:
                    self.world.fail(pod)
            case "lose the head's node":
                seconds, comes_back = argument
                for pod in heads:
                    self.world.silence(pod["spec"].get("nodeName"), seconds, comes_back=comes_back)
            case _:
                await super().perform(step, argument)
                return
        self.lives[-1].tell(f"--- {step} {argument}")

    def _edit(self, spec: Json, step: str, argument: Any) -> bool:
        """Change the spec, if that is what the step is."""
        groups = spec["workerGroupSpecs"]
        match step:
            case "autoscale":
                self._autoscale(spec, *argument)
            case "edit a group":
                index, fields = argument
                for group in _one(groups, index):
                    # Under autoscaling, replicas are Ray's.
                    group.update({key: fields[key] for key in fields if not (self.autoscaling and key == "replicas")})
            case "suspend":
                if argument or not is_being_suspended(self.cluster):
                    spec["suspend"] = argument
            case "add a group":
                if argument["groupName"] not in [group["groupName"] for group in groups]:
                    groups.append(argument)
            case "remove a group":
                for group in _one(groups, argument):
                    groups.remove(group)
            case _:
                return False
        return True

    def _autoscale(self, spec: Json, index: int, replicas: int, named: frozenset[int]) -> None:
        """What Ray's autoscaler patches: a group's replicas, and the names of those that are to go."""
        if not self.autoscaling:
            return
        for group in _one(spec["workerGroupSpecs"], index):
            pods = [name_of(pod) for pod in self.world.workers(NAME, group["groupName"])]
            group["replicas"] = replicas
            group["scaleStrategy"] = {"workersToDelete": [pods[at] for at in sorted(named) if at < len(pods)]}

    async def settle_scaling(self) -> None:
        """No more trouble; Ray's autoscaler names what is too much, and keeps the replicas that there are to be."""
        self.world.autoscales = True
        await self.settle()

    def assert_reached(self) -> None:
        """Each group has the pods that it should have, and each of its replicas is whole."""
        world, cluster = self.world, self.cluster
        groups = cluster["spec"]["workerGroupSpecs"]
        wanted = {group["groupName"]: wanted_pods(cluster, group) for group in groups}
        assert self.counts(cluster) == wanted | {labels.HEAD_GROUP: 0 if cluster["spec"].get("suspend") else 1}
        for pod in world.all(Kind.POD):
            assert not is_leaving(pod)
            assert world.is_up(pod), name_of(pod)
            assert not world.is_orphaned(pod), name_of(pod)
        for group in groups:
            self._assert_whole(group)

    def _assert_whole(self, group: Json) -> None:
        hosts = defaultdict(list)
        for pod in self.world.workers(NAME, group["groupName"]):
            noted = pod["metadata"]["labels"]
            hosts[noted[labels.REPLICA_INDEX]].append(noted.get(labels.HOST_INDEX, "0"))
        assert len(hosts) == wanted_replicas(self.cluster, group), f"{group['groupName']}: {dict(hosts)}"
        for index, found in hosts.items():
            assert sorted(found) == [str(host) for host in range(group["numOfHosts"])], f"replica {index}: {found}"


def is_being_suspended(cluster: Json) -> bool:
    """Whether a suspension is on its way, and not reached yet."""
    conditions = {c["type"]: c["status"] for c in cluster.get("status", {}).get("conditions", ())}
    return bool(cluster["spec"].get("suspend")) and conditions.get("RayClusterSuspended") != "True"


def _summary(cluster: Json) -> str:
    """The spec in few words."""
    spec = cluster["spec"]
    groups = [
        f"{g['groupName']}:{g['replicas']}/{g['minReplicas']}-{g['maxReplicas']}{' suspended' * bool(g.get('suspend'))}"
        f" {g.get('scaleStrategy', {}).get('workersToDelete', '')}"
        for g in spec["workerGroupSpecs"]
    ]
    return f"{'suspended ' * bool(spec.get('suspend'))}{groups}"


def _one(groups: list[Json], index: int) -> Iterator[Json]:
    """A group, if there is any."""
    if groups:
        yield groups[index % len(groups)]


def group(name: str, replicas: int, low: int, high: int) -> Json:
    return {
        "groupName": name,
        "template": template("worker", "a"),
        "rayStartParams": {},
        "numOfHosts": HOSTS[name],
        "replicas": replicas,
        "minReplicas": low,
        "maxReplicas": high,
    }


def groups(names: tuple[str, ...] = GROUPS) -> st.SearchStrategy[Json]:
    return st.builds(group, st.sampled_from(names), st.integers(0, 4), st.integers(0, 1), st.integers(1, 4))


FIELDS = st.one_of(
    st.fixed_dictionaries({"minReplicas": st.integers(0, 1), "maxReplicas": st.integers(1, 4)}),
    st.fixed_dictionaries({"replicas": st.integers(0, 4)}),
    st.fixed_dictionaries({"suspend": st.booleans()}),
)
INDEX = st.integers(0, 7)
NAMED = st.frozensets(st.integers(0, 5), max_size=3)
SILENCES = st.sampled_from([5.0, 30.0, 100.0, 200.0])
LAGGING = st.tuples(st.sampled_from([Kind.POD, Kind.RAY_CLUSTER]), st.sampled_from([0.5, 3.0, 8.0]))
FAULTS = st.tuples(st.integers(0, 4), st.sampled_from(Fault))
STEPS = st.lists(
    st.one_of(
        *(st.tuples(st.just("wait"), st.sampled_from([0.05, 1.0, 6.0, 20.0, 70.0])) for _ in range(5)),
        *(st.tuples(st.just("autoscale"), st.tuples(INDEX, st.integers(0, 4), NAMED)) for _ in range(2)),
        *(st.tuples(st.just("edit a group"), st.tuples(INDEX, FIELDS)) for _ in range(2)),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("add a group"), groups()),
        st.tuples(st.just("remove a group"), INDEX),
        st.tuples(st.just("delete"), st.tuples(st.just(Kind.POD), INDEX)),
        st.tuples(st.just("fail a pod"), INDEX),
        st.tuples(st.just("lose a node"), st.tuples(INDEX, SILENCES, st.booleans())),
        st.tuples(st.just("delete the head"), st.none()),
        st.tuples(st.just("fail the head"), st.none()),
        st.tuples(st.just("lose the head's node"), st.tuples(SILENCES, st.booleans())),
        st.tuples(st.just("lag"), LAGGING),
        st.tuples(st.just("cut"), LAGGING),
        st.tuples(st.just("fault"), FAULTS),
        st.tuples(st.just("outage"), st.sampled_from([0.5, 5.0])),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=10,
    max_size=40,
)


async def tell(autoscaling: bool, first: list[Json], steps: Steps, seed: int) -> None:
    async with ClusterStory(seed, autoscaling=autoscaling) as story:
        story.make(*first)
        await wait(10)
        for step, argument in steps:
            await story.perform(step, argument)
        await story.settle_scaling()
        story.assert_reached()
        await story.assert_stays()
        await story.assert_survives_a_restart()


@pytest.mark.parametrize("autoscaling", [False, True])
@simulated(examples=25)
@given(
    first=st.lists(groups(), min_size=1, max_size=3, unique_by=lambda found: str(found["groupName"])),
    steps=STEPS,
    seed=st.integers(0, 1000),
)
def test_every_group_ends_as_it_should_be(autoscaling: bool, first: list[Json], steps: Steps, seed: int) -> None:
    run(tell(autoscaling, first, steps, seed))


def test_a_suspension_that_is_called_off_is_carried_to_its_end_and_no_further() -> None:
    async def called_off() -> None:
        async with ClusterStory(0, autoscaling=False) as story:
            story.make(group("cpu", 2, 0, 4))
            await wait(10)
            await story.perform("suspend", True)
            await wait(1)
            story.world.put(Kind.RAY_CLUSTER, merged(story.cluster, {"spec": {"suspend": False}}))
            await story.settle(60)
            story.assert_reached()
            assert story.network.writes["create Pod"] == 2 * 3

    run(called_off())
