"""Whatever happens on the way, what the user wants last is reached, and then nothing is written any more.

The operator is the real one, with its loop, timers, backoff and listing, in virtual time. Every write is held against
`rules.Rules`. SIMULATIONS=3000 looks for longer, each time elsewhere.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.planning.actions import Kind

from .client import Fault
from .manifests import Json
from .rayservice import Group, ServiceStory, spec
from .story import simulated
from .virtual_time import run

Steps = list[tuple[str, Any]]


def groups(name: str) -> st.SearchStrategy[Group]:
    return st.tuples(st.just(name), st.integers(0, 3), st.integers(1, 2), st.integers(2, 3))


def specs(codes: tuple[str, ...] = ("x", "y"), images: tuple[str, ...] = ("a", "b")) -> st.SearchStrategy[Json]:
    return st.builds(
        spec,
        image=st.sampled_from(["a", *images]),
        code=st.sampled_from([*codes, "odd"]),
        replicas=st.integers(1, 2),
        groups=st.one_of(
            st.tuples(groups("cpu")), st.tuples(groups("cpu"), groups("gpu")), st.tuples(groups("gpu"), groups("cpu"))
        ),
        autoscaling=st.sampled_from([False, False, True]),
        port=st.sampled_from([None, None, 9000]),
        service_ports=st.sampled_from([(), (), (80,), (80, 81)]),
        front=st.sampled_from([None, None, "f"]),
        scaling=st.sampled_from([None, None, (1, 3, None), (1, 2, None), (2, 3, 3), (1, 3, 2)]),
        strategy=st.sampled_from(STRATEGIES),
    )


STRATEGIES = (
    None,
    None,
    {"warmUpTimeoutSeconds": 10},
    {"onWarmUpTimeout": "Rollback"},
    {"drainTimeoutSeconds": 90},
    {"drainTimeoutSeconds": 10, "rollback": "Manual"},
    {"type": "Recreate"},
    {"type": "Recreate", "drainTimeoutSeconds": 90},
)
FAILING_CODES = ("x", "bad", "refused", "flaky1", "flaky2")
FAILING_IMAGES = ("b", "missing", "crashing", "huge", "cramped")


def happening(name: str, argument: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(name), st.none() if argument is None else argument)


FIRST_FEW = st.integers(0, 7)
REQUESTS = st.sampled_from([0.0, 20.0, 100.0])
BASES = st.fixed_dictionaries(
    {
        "scaling": st.sampled_from([None, (1, 3, None), (1, 3, 2)]),
        "autoscaling": st.booleans(),
        "replicas": st.integers(1, 2),
        "groups": st.one_of(st.tuples(groups("cpu")), st.tuples(groups("cpu"), groups("gpu"))),
    }
)
HARMLESS = (
    happening("freeze", st.sampled_from([4.0, 20.0])),
    happening("mute", st.sampled_from([20.0, 100.0])),
    happening("hold the slices", st.sampled_from([5.0, 30.0])),
    happening("demand", st.integers(0, 3)),
    happening("lose the head", st.integers(0, 2)),
    happening("restart"),
)
PAUSES = st.sampled_from([0.05, 0.3, 1.0, 3.0, 10.0, 70.0])
DELETED = (Kind.POD, Kind.POD, Kind.RAY_CLUSTER, Kind.SERVICE, Kind.REVISION, Kind.BUDGET, Kind.ROLE)
LAGGING = (Kind.RAY_SERVICE, Kind.RAY_CLUSTER, Kind.POD, Kind.SERVICE, Kind.REVISION, Kind.BUDGET)
STEPS = st.lists(
    st.one_of(
        happening("wait", PAUSES),
        happening("wait", PAUSES),
        happening("edit", st.one_of(specs(), specs(FAILING_CODES), specs(images=FAILING_IMAGES))),
        happening("revert", st.integers(1, 3)),
        happening("reformat"),
        happening("break the spec", st.integers(0, 2)),
        happening("make anew"),
        happening("delete", st.tuples(st.sampled_from(DELETED), FIRST_FEW)),
        happening("fail a pod", FIRST_FEW),
        happening("relabel a pod", FIRST_FEW),
        happening("lose a node", st.tuples(FIRST_FEW, st.sampled_from([5.0, 30.0, 100.0]), st.booleans())),
        happening("point elsewhere", FIRST_FEW),
        happening("unstamp"),
        happening("load", st.integers(0, 3)),
        happening("lag", st.tuples(st.sampled_from(LAGGING), st.sampled_from([0.5, 3.0, 8.0]))),
        happening("cut", st.tuples(st.sampled_from(LAGGING), st.sampled_from([0.5, 3.0, 8.0]))),
        happening("fault", st.tuples(st.integers(0, 8), st.sampled_from(Fault))),
        happening("fault", st.tuples(st.integers(0, 8), st.sampled_from(Fault))),
        happening("outage", st.sampled_from([0.5, 5.0])),
        happening("silence", st.sampled_from([0.3, 4.0, 20.0])),
        *HARMLESS,
    ),
    min_size=3,
    max_size=40,
)
FEW_STEPS = st.lists(
    st.one_of(
        happening("wait", PAUSES),
        happening("wait", PAUSES),
        happening("delete", st.tuples(st.sampled_from((Kind.POD, Kind.POD, Kind.SERVICE)), FIRST_FEW)),
        happening("fail a pod", FIRST_FEW),
        happening("lag", st.tuples(st.sampled_from(LAGGING), st.sampled_from([0.5, 3.0, 8.0]))),
        happening("cut", st.tuples(st.sampled_from(LAGGING), st.sampled_from([0.5, 3.0, 8.0]))),
        happening("fault", st.tuples(st.integers(0, 12), st.sampled_from(Fault))),
        happening("fault", st.tuples(st.integers(0, 12), st.sampled_from(Fault))),
        happening("outage", st.sampled_from([0.5, 5.0])),
        happening("silence", st.sampled_from([0.3, 4.0, 20.0])),
        *HARMLESS,
    ),
    max_size=15,
)
FAILING = st.sampled_from(
    [
        ("ImageError", {"image": "missing"}),
        ("ImageError", {"image": "b", "worker_image": "missing"}),
        ("CrashLoop", {"image": "crashing"}),
        ("CrashLoop", {"image": "b", "worker_image": "crashing"}),
        ("ProgressDeadlineExceeded", {"image": "huge", "strategy": {"progressDeadlineSeconds": 90}}),
        ("DeployFailed", {"image": "b", "code": "bad"}),
        ("DeployFailed", {"image": "b", "code": "refused", "front": "f"}),
        ("DeployFailed", {"code": "bad"}),
        ("DeployFailed", {"code": "refused"}),
        ("DeployFailed", {"code": "refused", "front": "f"}),
    ]
)


async def tell(first: Json, steps: Steps, last: Json, longest_request: float, seed: int) -> None:
    async with ServiceStory(seed) as story:
        story.world.longest_request = longest_request
        story.edit(first)
        for step, argument in steps:
            await story.perform(step, argument)
        await story.perform("edit", last)
        await story.settle()
        story.assert_reached()
        await story.assert_stays()
        await story.assert_survives_a_restart()


@simulated(examples=10)
@given(first=specs(), steps=STEPS, last=specs(), longest_request=REQUESTS, seed=st.integers(0, 1000))
def test_what_the_user_wants_last_is_reached_and_stays(
    first: Json, steps: Steps, last: Json, longest_request: float, seed: int
) -> None:
    run(tell(first, steps, last, longest_request, seed))


async def tell_of_failure(served: Json, steps: Steps, reason: str, failing: Json, seed: int) -> None:
    async with ServiceStory(seed) as story:
        story.edit(served)
        await story.settle(60)
        story.assert_reached()
        [wish] = story.rules.wishes
        await story.perform("edit", failing)
        for step, argument in steps:
            await story.perform(step, argument)
        await story.settle()
        story.assert_given_up(reason, wish)
        await story.assert_stays()
        await story.assert_survives_a_restart()


@simulated(examples=10)
@given(base=BASES, steps=FEW_STEPS, failing=FAILING, seed=st.integers(0, 1000))
def test_what_cannot_work_is_given_up_and_the_last_good_revision_serves(
    base: dict[str, Any], steps: Steps, failing: tuple[str, dict[str, Any]], seed: int
) -> None:
    reason, changed = failing
    run(tell_of_failure(spec(**base), steps, reason, spec(**{**base, **changed}), seed))
