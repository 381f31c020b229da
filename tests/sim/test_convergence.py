"""Whatever happens on the way, the system reaches what the user wants, stays there, and breaks no invariant.

The invariants are held against every single write, in `machine.Machine`: traffic goes only where applications run,
the serving cluster is never deleted, a cluster that served is kept for its delay, no cluster has a twin or a second
head, no pod name comes twice, and no cluster is sent another revision's Serve config.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayserve_operator.model.serve_parsing import parse_serve_config
from rayserve_operator.planning.actions import Kind
from rayserve_operator.planning.changes import compare

from .cluster import Fault
from .machine import DELAY, NAME, SERVE_SERVICE, Machine

EXAMPLES = int(os.environ.get("SIMULATIONS", "60"))
SERVE = (
    "applications:\n- {{name: app, import_path: 'app:{code}', deployments: [{{name: D, num_replicas: {replicas}}}]}}\n"
)


def spec(
    image: str = "a", code: str = "x", replicas: int = 1, workers: int = 1, groups: tuple[str, ...] = ("cpu",)
) -> dict[str, Any]:
    def template(name: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": name, "image": f"ray:{image}"}]}}

    return {
        "serveConfigV2": SERVE.format(code=code, replicas=replicas),
        "rayClusterDeletionDelaySeconds": DELAY,
        "rayClusterConfig": {
            "headGroupSpec": {"template": template("head")},
            "workerGroupSpecs": [
                {
                    "groupName": name,
                    "template": template("worker"),
                    "replicas": workers,
                    "minReplicas": 1,
                    "maxReplicas": 3,
                }
                for name in groups
            ],
        },
    }


SPECS = st.builds(
    spec,
    image=st.sampled_from("abc"),
    code=st.sampled_from("xy"),
    replicas=st.integers(1, 2),
    workers=st.integers(1, 3),
    groups=st.sampled_from([("cpu",), ("cpu", "gpu"), ("gpu", "cpu")]),
)
INVALID = spec() | {"serveConfigV2": "applications: ["}

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), SPECS),
        st.tuples(st.just("break the spec"), st.none()),
        st.tuples(st.just("deliver"), st.integers(1, 30)),
        st.tuples(st.just("run"), st.integers(0, 5)),
        st.tuples(st.just("run"), st.integers(0, 5)),
        st.tuples(st.just("step"), st.integers(1, 4)),
        st.tuples(st.just("tick"), st.sampled_from([0.5, 5, 40, 100])),
        st.tuples(st.just("fault"), st.tuples(st.integers(0, 6), st.sampled_from(Fault))),
        st.tuples(st.just("go on"), st.integers(1, 12)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(
            st.just("delete"), st.tuples(st.sampled_from([Kind.POD, Kind.RAY_CLUSTER, Kind.SERVICE]), st.integers(0, 5))
        ),
        st.tuples(st.just("point elsewhere"), st.none()),
    ),
    min_size=5,
    max_size=60,
)


def perform(machine: Machine, step: str, argument: Any) -> None:
    match step:
        case "edit":
            machine.edit(argument)
        case "break the spec":
            machine.edit(INVALID, is_valid=False)
        case "deliver":
            machine.deliver(argument)
        case "run":
            machine.run(argument)
        case "step":
            for _ in range(argument):
                machine.cluster.step()
        case "tick":
            machine.tick(argument)
        case "fault":
            machine.cluster.fault = argument
        case "go on":
            for _ in range(argument):
                machine.deliver(1000)
                for _ in range(len(machine.woken)):
                    machine.run(0)
                machine.cluster.step()
                machine.tick(1)
        case "restart":
            machine.start()
        case "delete":
            kind, index = argument
            names = [manifest["metadata"]["name"] for manifest in machine.cluster.named(kind)]
            if names:
                machine.cluster.remove(kind, names[index % len(names)])
        case "point elsewhere":
            service = machine.cluster.objects.get((Kind.SERVICE, SERVE_SERVICE))
            if service is not None:
                selector = {**service["spec"]["selector"], "ray.io/cluster": "elsewhere"}
                machine.cluster.put(Kind.SERVICE, {**service, "spec": {**service["spec"], "selector": selector}})
        case _:
            raise AssertionError(step)


def assert_reached(machine: Machine, wanted: dict[str, Any]) -> None:
    [(name, live)] = machine.clusters.items()
    parsed, digest = machine.valid[-1]
    diff = compare(live, parsed.ray_cluster_config)
    assert (diff.rebuild, diff.edited) == ((), ())
    assert machine.selected == name
    assert machine.cluster.apps_run(name)
    [head] = machine.cluster.heads.values()
    assert head.config is not None
    assert head.config.digest == digest == parse_serve_config(wanted["serveConfigV2"]).digest
    pods = [pod["metadata"]["labels"]["ray.io/node-type"] for pod in machine.cluster.named(Kind.POD)]
    workers = sum(group["replicas"] for group in wanted["rayClusterConfig"]["workerGroupSpecs"])
    assert sorted(pods) == ["head", *["worker"] * workers]
    service = machine.cluster.objects[Kind.RAY_SERVICE, NAME]
    assert machine.status["observedGeneration"] == service["metadata"]["generation"]
    assert machine.status["activeServiceStatus"]["rayClusterName"] == name
    assert "pendingServiceStatus" not in machine.status
    assert [machine.condition(t) for t in ("Ready", "SpecValid", "UpgradeInProgress", "Reconciling")] == [
        "True",
        "True",
        "False",
        "False",
    ]


def assert_stays(machine: Machine) -> None:
    before = machine.cluster.writes.copy()
    puts = len(machine.cluster.puts)
    for _ in range(30):
        machine.deliver(1000)
        for key in list(machine.store.keys()):
            machine.woken[key] = None
        for _ in range(len(machine.woken)):
            machine.run(0)
        machine.cluster.step()
        machine.tick(60)
    assert machine.cluster.writes - before == {}
    assert len(machine.cluster.puts) == puts


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(first=SPECS, steps=STEPS, last=SPECS)
def test_what_the_user_wants_last_is_reached_and_stays(
    first: dict[str, Any], steps: list[tuple[str, Any]], last: dict[str, Any]
) -> None:
    machine = Machine()
    machine.edit(first)
    for step, argument in steps:
        perform(machine, step, argument)
    machine.edit(last)
    machine.settle()
    assert_reached(machine, last)
    assert_stays(machine)
    machine.start()
    assert_stays(machine)


@pytest.mark.parametrize("fault", Fault)
def test_a_rollout_survives_a_fault_at_any_of_its_writes(fault: Fault) -> None:
    at = 0
    while True:
        machine = Machine()
        machine.edit(spec())
        machine.settle()
        machine.edit(spec(image="b", code="y"))
        machine.cluster.fault = (at, fault)
        for _ in range(DELAY + 40):
            perform(machine, "go on", 1)
        is_struck = machine.cluster.fault is None
        machine.settle()
        assert_reached(machine, spec(image="b", code="y"))
        assert_stays(machine)
        if not is_struck:
            break
        at += 1
    assert at > 10


def test_formatting_alone_is_sent_to_nobody() -> None:
    machine = Machine()
    machine.edit(spec())
    machine.settle()
    machine.cluster.writes.clear()
    machine.cluster.puts.clear()
    machine.edit(spec() | {"serveConfigV2": f"# a comment\n{spec()['serveConfigV2']}"})
    machine.settle()
    assert machine.cluster.puts == []
    assert set(machine.cluster.writes) == {"status RayService"}


def test_a_serve_edit_is_made_in_place() -> None:
    machine = Machine()
    machine.edit(spec())
    machine.settle()
    [before] = machine.clusters
    machine.edit(spec(replicas=2))
    machine.settle()
    assert list(machine.clusters) == [before]
    assert_reached(machine, spec(replicas=2))


def test_a_revert_in_the_middle_of_a_rollout_makes_no_third_cluster() -> None:
    machine = Machine()
    machine.edit(spec())
    machine.settle()
    [first] = machine.clusters
    machine.edit(spec(image="b"))
    perform(machine, "go on", 2)
    assert len(machine.clusters) == 2
    machine.edit(spec())
    machine.settle()
    assert list(machine.clusters) == [first]
    assert_reached(machine, spec())


def test_an_invalid_edit_leaves_the_last_valid_revision_looked_after() -> None:
    machine = Machine()
    machine.edit(spec(code="y"))
    machine.settle()
    machine.edit(INVALID, is_valid=False)
    machine.settle()
    [head] = [pod for pod in machine.cluster.named(Kind.POD) if pod["metadata"]["labels"]["ray.io/node-type"] == "head"]
    machine.cluster.remove(Kind.POD, head["metadata"]["name"])
    machine.start()
    machine.settle()
    assert machine.cluster.apps_run(next(iter(machine.clusters)))
    [state] = machine.cluster.heads.values()
    assert state.config is not None
    assert state.config.document["applications"][0]["import_path"] == "app:y"
    assert machine.condition("SpecValid") == "False"
    assert machine.condition("Ready") == "True"


def test_a_cluster_made_again_has_a_name_of_its_own() -> None:
    machine = Machine()
    names: list[str] = []
    for image, code in (("a", "x"), ("b", "x"), ("a", "x"), ("b", "x"), ("a", "y")):
        machine.edit(spec(image=image, code=code))
        machine.settle()
        names += machine.clusters
    assert len(set(names)) == len(names) == 5


def test_a_service_of_the_users_is_left_alone() -> None:
    machine = Machine()
    theirs = {"metadata": {"name": SERVE_SERVICE}, "spec": {"selector": {"app": "theirs"}}}
    machine.cluster.put(Kind.SERVICE, theirs)
    machine.delivered = len(machine.cluster.events)  # The watch is narrowed to our own Services.
    machine.edit(spec())
    machine.settle()
    assert machine.condition("ServiceConflict") == "True"
    assert machine.cluster.objects[Kind.SERVICE, SERVE_SERVICE]["spec"] == theirs["spec"]
    assert_stays(machine)
    machine.cluster.remove(Kind.SERVICE, SERVE_SERVICE)
    machine.settle()
    assert machine.condition("ServiceConflict") is None
    assert_reached(machine, spec())
