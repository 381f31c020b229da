"""What `rayserve plan` says is what the operator then does."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rayserve_operator.advice.findings import Door, Level
from rayserve_operator.advice.inspection import inspect
from rayserve_operator.cli.forecast import Consequence, Forecast, forecast
from rayserve_operator.cli.imagined import settled
from rayserve_operator.cli.scene import Scene
from rayserve_operator.planning.actions import Annotate, AnyAction, Create, Kind, Patch, SubmitServe
from rayserve_operator.planning.service.planner import plan_service
from tests.builders import NOW, aim_at, answer, cluster, revision, service_spec, world
from tests.fields.fields import Field
from tests.fields.table import CLUSTER_SPEC, SERVICE_SPEC
from tests.fields.values import trials
from tests.lint.generated import CONFIG
from tests.sim.rayservice import ServiceStory, spec
from tests.sim.virtual_time import run

from ..builders import actions_of
from .test_forecast import manifest

Spec = dict[str, Any]


def agrees(before: Spec, after: Spec) -> Forecast:
    """See that the planner does what the forecast says, where a service that is settled is edited."""
    found = forecast(settled(manifest(before), NOW), manifest(after), NOW)
    if found.consequence is Consequence.REFUSED:
        assert any(finding.level is Level.ERROR for finding in inspect(manifest(after), Door.ADMISSION))
        return found
    done = [action for action in actions(before, after) if action not in actions(before, before)]
    assert any(isinstance(one, Create) for one in done) is (found.consequence is Consequence.BLUE_GREEN), found
    is_patched = any(isinstance(one, Patch) and one.kind is Kind.RAY_CLUSTER for one in done)
    assert is_patched is changes_in_place(found, "rayClusterConfig.", "managedBy"), found
    assert any(isinstance(one, SubmitServe) for one in done) is changes_in_place(found, "serveConfigV2:"), found
    if found.consequence is Consequence.NONE:
        assert done == []
    return found


def changes_in_place(found: Forecast, *beginnings: str) -> bool:
    in_place = (change for change in found.changes if change.consequence is Consequence.IN_PLACE)
    return any(change.path.startswith(beginnings) for change in in_place)


def actions(before: Spec, after: Spec) -> list[AnyAction]:
    """What the planner does but for keeping books: of revisions, and of which one a cluster serves."""
    old, new = aim_at(before), aim_at(after)
    runs = answer(before.get("serveConfigV2") or "applications: []")
    serving = cluster("demo-a", old, routed=600, serve=runs)
    plan = plan_service(world(new, serving, active=serving, revisions=(revision(old),)), new, NOW)
    found = actions_of(plan)
    return [one for one in found if not isinstance(one, Annotate) and getattr(one, "kind", None) is not Kind.REVISION]


def pairs(field: Field, *, of_service: bool) -> Iterator[tuple[Spec, Spec]]:
    """Specs that differ in a field, both ways round."""
    for trial in trials(field, of_service=of_service):
        both = (trial.without, trial.with_it) if of_service else map(service_spec, (trial.without, trial.with_it))
        before, after = both
        yield before, after
        if not any(finding.level is Level.ERROR for finding in inspect(manifest(after), Door.ADMISSION)):
            yield after, before


@pytest.mark.parametrize("field", CLUSTER_SPEC, ids=lambda field: field.path)
def test_of_every_field_of_a_cluster(field: Field) -> None:
    for before, after in pairs(field, of_service=False):
        agrees(before, after)


@pytest.mark.parametrize("field", SERVICE_SPEC, ids=lambda field: field.path)
def test_of_every_field_of_a_service(field: Field) -> None:
    for before, after in pairs(field, of_service=True):
        agrees(before, after)


@st.composite
def edits(draw: st.DrawFn) -> tuple[Any, Any]:
    """A Serve config, and one in which some keys of it, or of its applications, are those of another."""
    before: Any = draw(CONFIG)
    other: Any = draw(CONFIG)
    after = copy.deepcopy(before)
    for key in draw(st.sets(st.sampled_from(sorted(other)), max_size=2)):
        after[key] = other[key]
    for app, donor in zip(after["applications"], other["applications"], strict=False):
        for key in draw(st.sets(st.sampled_from(sorted(donor.keys() - {"name", "route_prefix"})), max_size=1)):
            app[key] = donor[key]
    return before, after


@settings(max_examples=30, derandomize=True, database=None)
@given(pair=edits())
def test_of_any_serve_config(pair: tuple[Any, Any]) -> None:
    before, after = pair
    written = (yaml.safe_dump(one, default_flow_style=one is after) for one in pair)
    found = agrees(*(service_spec(app=text) for text in written))
    if before == after:
        assert found.consequence is Consequence.NONE


# The operator itself, in the simulated world. ----------------------------------------------------------------------

OPTIONS: Mapping[str, tuple[Any, ...]] = {
    "image": ("a", "b"),
    "code": ("x", "y"),
    "replicas": (1, 2),
    "groups": ((("cpu", 1, 1, 3),), (("cpu", 2, 1, 3),), (("cpu", 1, 1, 3), ("more", 1, 0, 2))),
    "autoscaling": (False, True),
    "port": (None, 9000),
    "service_ports": ((), (8000,)),
    "front": (None, "x"),
    "strategy": (None, {"drainTimeoutSeconds": 100}),
}
EDITS = 12


def test_of_a_life_of_edits() -> None:
    run(_life(random.Random(1)))


async def _life(chance: random.Random) -> None:
    seen = set()
    chosen = {option: values[0] for option, values in OPTIONS.items()}
    async with ServiceStory() as story:
        story.edit(spec(**chosen))
        await story.settle(40)
        for _ in range(EDITS):
            for option in chance.sample(sorted(OPTIONS), chance.choice((1, 1, 2))):
                chosen[option] = chance.choice(OPTIONS[option])
            wanted = spec(**chosen)
            found = forecast(_scene(story), {"metadata": {"name": "demo"}, "spec": wanted}, story.world.now())
            before = story.network.writes.copy()
            story.edit(wanted)
            await story.settle(200)
            _compare(found, story.network.writes - before)
            seen.add(found.consequence)
    assert seen == {Consequence.NONE, Consequence.IN_PLACE, Consequence.BLUE_GREEN}


def _scene(story: ServiceStory) -> Scene:
    kinds = (Kind.RAY_CLUSTER, Kind.REVISION, Kind.SERVICE)
    clusters, revisions, services = (list(story.world.all(kind)) for kind in kinds)
    return Scene(story.service, clusters, revisions, services)


def _compare(found: Forecast, writes: Counter[str]) -> None:
    is_new = found.consequence is Consequence.BLUE_GREEN
    assert (writes["create RayCluster"] == 1) is is_new, (found, writes)
    if not is_new:
        assert (writes["patch RayCluster"] > 0) is changes_in_place(found, "rayClusterConfig."), (found, writes)
        assert (writes["submit"] > 0) is changes_in_place(found, "serveConfigV2:"), (found, writes)
