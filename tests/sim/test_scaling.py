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
from .manifests import Json, copied, is_leaving, name_of
from .rayservice import template
from .rules import NAME, wanted_pods, wanted_replicas
from .story import Story, simulated
from .virtual_time import run

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
        match step:
            case "autoscale":
                self._autoscale(spec, *argument)
            case "bounds":
                index, fields = argument
                for group in _one(spec["workerGroupSpecs"], index):
                    group.update(fields)
            case "replicas" if not self.autoscaling:
                index, replicas = argument
                for group in _one(spec["workerGroupSpecs"], index):
                    group["replicas"] = replicas
            case "suspend a group":
                index, suspend = argument
                for group in _one(spec["workerGroupSpecs"], index):
                    group["suspend"] = suspend
            case "suspend":
                spec["suspend"] = argument
            case "add":
                if argument["groupName"] not in [group["groupName"] for group in spec["workerGroupSpecs"]]:
                    spec["workerGroupSpecs"].append(argument)
            case "remove":
                for group in _one(spec["workerGroupSpecs"], argument):
                    spec["workerGroupSpecs"].remove(group)
            case "replicas":
                return
            case _:
                await super().perform(step, argument)
                return
        self.lives[-1].tell(f"--- {step} {argument if step != 'add' else argument['groupName']}")
        self.world.put(Kind.RAY_CLUSTER, {**self.cluster, "spec": spec})
        self.rules.look()
        self.assert_no_violation()

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


BOUNDS = st.fixed_dictionaries({"minReplicas": st.integers(0, 1), "maxReplicas": st.integers(1, 4)})
INDEX = st.integers(0, 7)
NAMED = st.frozensets(st.integers(0, 5), max_size=3)
LOST = st.tuples(INDEX, st.sampled_from([5.0, 30.0, 100.0, 200.0]), st.booleans())
LAGGING = st.tuples(st.sampled_from([Kind.POD, Kind.RAY_CLUSTER]), st.sampled_from([0.5, 3.0, 8.0]))
FAULTS = st.tuples(st.integers(0, 4), st.sampled_from(Fault))
STEPS = st.lists(
    st.one_of(
        *(st.tuples(st.just("wait"), st.sampled_from([0.05, 0.3, 1.0, 3.0, 10.0, 70.0])) for _ in range(3)),
        *(st.tuples(st.just("autoscale"), st.tuples(INDEX, st.integers(0, 4), NAMED)) for _ in range(2)),
        st.tuples(st.just("bounds"), st.tuples(INDEX, BOUNDS)),
        st.tuples(st.just("replicas"), st.tuples(INDEX, st.integers(0, 4))),
        st.tuples(st.just("suspend a group"), st.tuples(INDEX, st.booleans())),
        st.tuples(st.just("suspend"), st.booleans()),
        st.tuples(st.just("add"), groups()),
        st.tuples(st.just("remove"), INDEX),
        st.tuples(st.just("delete"), st.tuples(st.just(Kind.POD), INDEX)),
        st.tuples(st.just("fail a pod"), INDEX),
        st.tuples(st.just("lose a node"), LOST),
        st.tuples(st.just("lag"), LAGGING),
        st.tuples(st.just("cut"), LAGGING),
        st.tuples(st.just("fault"), FAULTS),
        st.tuples(st.just("outage"), st.sampled_from([0.5, 5.0])),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=3,
    max_size=40,
)


async def tell(autoscaling: bool, first: list[Json], steps: Steps, seed: int) -> None:
    async with ClusterStory(seed, autoscaling=autoscaling) as story:
        story.make(*first)
        for step, argument in steps:
            await story.perform(step, argument)
        await story.settle_scaling()
        story.assert_reached()
        await story.assert_stays()
        await story.assert_survives_a_restart()


@pytest.mark.parametrize("autoscaling", [False, True])
@simulated(examples=12)
@given(
    first=st.lists(groups(), min_size=1, max_size=3, unique_by=lambda found: str(found["groupName"])),
    steps=STEPS,
    seed=st.integers(0, 1000),
)
def test_every_group_ends_as_it_should_be(autoscaling: bool, first: list[Json], steps: Steps, seed: int) -> None:
    run(tell(autoscaling, first, steps, seed))
