"""Our model of a Serve config says what Ray's own schema says, and no more but where Ray fails later.

It needs a Python with the Ray that is modelled: `make parity` makes one, and so does CI.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rayserve_operator.model import serve_schema
from rayserve_operator.model.problems import InvalidSpec, Problem
from rayserve_operator.model.serve_parsing import PATH, parse_serve_config
from rayserve_operator.model.serve_strict import NEWEST, RETIRED, strict_problems
from tests.lint.cases import SERVE
from tests.lint.generated import CONFIG, JSON, places, replaced

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-ray" / "bin" / "python"
ORACLE = Path(__file__).parent / "oracle.py"
EXAMPLES = int(os.environ.get("EXAMPLES") or 300)

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="there is no Ray to ask; `make parity` gets it")


class Difference(NamedTuple):
    """What we find and Ray does not, and why."""

    code: str
    place: str
    """A pattern of the path within the config."""
    reason: str


_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
UNKNOWN = frozenset({"RS104", "RS105", "RS106", "RS107", "RS116"})
"""Rules on keys that Ray does not know."""
DIFFERENCES = (
    Difference("RS108", r"(http|grpc)_options\.port", "nothing can listen there, or a port is said in words"),
    Difference("RS114", r"http_options\.ssl_keyfile", "Serve then speaks plain HTTP without a word"),
    Difference("RS108", r"(.*\.)?logging_config\.log_level", "false is taken for 0, which logs everything"),
    Difference("RS108", r".*\.num_replicas", "true is taken for 1"),
    Difference("RS109", r".*\.import_path", "no module has such a name, so the application fails"),
    Difference("RS110", r".*\.route_prefix", "the application fails when it is deployed"),
    Difference("RS111", r".*\.deployments\[\d+\]\.name", "of two descriptions of a deployment one is forgotten"),
    Difference("RS115", r".*\.runtime_env\.env_vars(\..*)?", "the environment is refused when it is made"),
    Difference("RS108", r".*\.max_replicas_per_node", "the deployment is refused when it is made"),
    Difference("RS108", r".*\.placement_group_(strategy|bundles.*)", "the placement group is refused when it is made"),
    Difference("RS108", r".*\.ray_actor_options\.num_gpus", "the replica is refused when it is made"),
    Difference("RS102", r".*\.ray_actor_options\.resources\..*", "the replica is refused when it is made"),
    Difference("RS108", r".*\.ray_actor_options\.resources\..*", "the replica is refused when it is made"),
)
"""Each is a case that Ray takes, and then fails with or does not as it was meant."""


class Verdict(NamedTuple):
    """What Ray says; see the oracle."""

    refused: str | None
    late: list[str]
    dropped: list[str]


class Ray:
    """The oracle, at work."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [PYTHON, ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __call__(self, config: Any) -> Verdict:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(config) + "\n")
        self._process.stdin.flush()
        return Verdict(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def ray() -> Iterator[Ray]:
    ray = Ray()
    yield ray
    ray.close()


def ours(config: Any) -> list[Problem]:
    """What is found here."""
    problems = list(strict_problems(config, PATH, NEWEST))
    try:
        parse_serve_config(yaml.dump(config, Dumper=_Dumper))
    except InvalidSpec as invalid:
        problems += invalid.problems
    return [Problem(p.path.removeprefix(f"{PATH}:"), p.problem, p.mend, p.code) for p in problems]


def is_known(problem: Problem) -> bool:
    return any(one.code == problem.code and re.fullmatch(one.place, problem.path) for one in DIFFERENCES)


def disagreements(config: Any, ray: Ray) -> list[str]:
    """Where the two say different things, in words."""
    found, said = ours(config), ray(config)
    unknown = {problem.path for problem in found if problem.code in UNKNOWN}
    broken = [problem for problem in found if problem.code not in UNKNOWN]
    if said.refused is not None:
        # Where Ray refuses, it does not say what it would have dropped.
        is_for_keys = not broken and ray(without(config, unknown)).refused is None
        return [] if broken or is_for_keys else [f"Ray refuses what is fine here: {said.refused}"]
    late = [at for at in said.late if not any(problem.path.startswith(at) for problem in broken)]
    return [
        *(f"Ray drops without a word here: {at}" for at in said.dropped if at not in unknown),
        *(f"Ray knows what it is not to know: {at}" for at in unknown if at not in said.dropped),
        *(f"Ray fails later with what is fine here: {at}" for at in late),
        *(f"Ray takes: {one.code} {one}" for one in broken if not is_known(one) and not is_below(one.path, said.late)),
    ]


def is_below(path: str, places: Iterable[str]) -> bool:
    return any(path.startswith(place) for place in places)


def without(config: Any, paths: Iterable[str]) -> Any:
    """The config without the keys at these paths."""
    kept = copy.deepcopy(config)
    for path in paths:
        *places, last = re.findall(r"[^.\[\]]+", path)
        part = kept
        for place in places:
            part = part[int(place) if isinstance(part, list) else place]
        del part[last]
    return kept


APPLICATION = ("applications", 0)
DEPLOYMENT = (*APPLICATION, "deployments", 0)
LEVELS: dict[tuple[Any, ...], tuple[type[BaseModel], dict[str, Any]]] = {
    (): (serve_schema.ServeSchema, {}),
    ("http_options",): (serve_schema.Http, {}),
    ("grpc_options",): (serve_schema.Grpc, {}),
    ("controller_options",): (serve_schema.Controller, {}),
    ("logging_config",): (serve_schema.Logging, {}),
    ("tracing_config",): (serve_schema.Tracing, {}),
    APPLICATION: (serve_schema.Application, {"import_path": "shop:app"}),
    DEPLOYMENT: (serve_schema.Deployment, {"name": "D"}),
    (*DEPLOYMENT, "ray_actor_options"): (serve_schema.ActorOptions, {}),
    (*DEPLOYMENT, "autoscaling_config"): (serve_schema.Autoscaling, {}),
    (*DEPLOYMENT, "autoscaling_config", "policy"): (serve_schema.Policy, {}),
    (*DEPLOYMENT, "logging_config"): (serve_schema.Logging, {}),
    (*DEPLOYMENT, "backpressure_config"): (serve_schema.Backpressure, {}),
    (*DEPLOYMENT, "gang_scheduling_config"): (serve_schema.Gang, {"gang_size": 2}),
    (*DEPLOYMENT, "request_router_config"): (serve_schema.RequestRouter, {}),
    (*DEPLOYMENT, "deployment_actors", 0): (serve_schema.DeploymentActor, {"name": "a", "actor_class": "shop:Actor"}),
}
"""What stands where, and what it needs at least."""
MODELS = {
    names[-1]: model for place, (model, _) in LEVELS.items() if (names := [k for k in place if isinstance(k, str)])
}
STRAY = sorted(
    {key for model, _ in LEVELS.values() for key in model.model_fields} | set(RETIRED) | {"numReplicas", "host"}
)
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, -1, 0.5, 1.5, 2.0, 10, 101, 70_000, "", "auto", "1", "0.5", "true", "/", "/a", "/a/",
    "a", "/{a}", "a:b", "a.b", ":a", "a:", "a.b:c:d", "a..b", "a b:c", "INFO", "info", "JSON", "PACK", "STRICT_PACK",
    "SPREAD", "EveryNode", "HeadOnly", "NoServer", "max", "MIN", [], ["a"], [1], [None], {}, {"a": 1}, {"a": "b"},
    {"a": None}, [{}], [{"CPU": 1}], [{"CPU": -1}], [{"a": "b"}], {"env_vars": {"A": 1}}, {"env_vars": {"A": "1"}},
    {"env_vars": []},
    {"working_dir": "/here"}, {"working_dir": "s3://b/a.zip"}, {"py_modules": "a"}, {"py_modules": ["a"]},
    {"pip": ["a"]}, {"gang_size": 2}, {"gang_size": 0}, {"min_replicas": 3, "max_replicas": 2}, [{"name": "D"}],
    [{"name": "D"}, {"name": "D"}], [{"import_path": "a:b"}], [{"import_path": "a:b"}, {"import_path": "a:b"}],
)  # fmt: skip
"""Values of which each key takes some and refuses others."""
VALUES = st.one_of(JSON, st.sampled_from(ODD))
SAMPLES = [
    yaml.safe_load(yaml.safe_load(path.read_text())["spec"]["serveConfigV2"])
    for path in sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
]
REAL = [SERVE, *SAMPLES]


def put(place: tuple[Any, ...], part: Any) -> Any:
    """A config with this at a place, and what that needs around it."""
    for depth in reversed(range(len(place))):
        key = place[depth]
        _, needed = LEVELS.get(place[:depth], (None, {}))
        part = [part] if isinstance(key, int) else {**needed, key: part}
    return {"applications": [], **part} if place else part


@pytest.mark.parametrize("place", LEVELS, ids=lambda place: ".".join(map(str, place)) or "top")
def test_each_key_takes_what_ray_takes_for_it(ray: Ray, place: tuple[Any, ...]) -> None:
    model, needed = LEVELS[place]
    found = [
        words
        for key in (*sorted(model.model_fields), "nonsense")
        for value in ODD
        for words in disagreements(put(place, {**({} if place else {"applications": []}), **needed, key: value}), ray)
    ]
    assert sorted(set(found)) == []


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A config that works, changed in one to three places: another value, one key more, or one less."""
    config = draw(st.one_of(st.sampled_from(REAL), CONFIG))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(config)))
        is_revalued = place and draw(st.booleans())
        config = replaced(config, place, draw(VALUES)) if is_revalued else draw(rekeyed(config, place))
    return config


@st.composite
def rekeyed(draw: st.DrawFn, config: Any, place: tuple[Any, ...]) -> Any:
    """The config with a key more, or less, in the mapping that is nearest to a place."""
    part = value_at(config, place)
    while not isinstance(part, dict):
        place = place[:-1]
        part = value_at(config, place)
    model = MODELS.get(next((key for key in reversed(place) if isinstance(key, str)), ""))
    keys = (
        st.sampled_from(STRAY)
        if model is None
        else st.one_of(st.sampled_from(sorted(model.model_fields)), st.sampled_from(STRAY))
    )
    if part and draw(st.integers(0, 3)) == 0:
        less = draw(st.sampled_from(sorted(part)))
        return replaced(config, place, {key: value for key, value in part.items() if key != less})
    return replaced(config, place, {**part, draw(keys): draw(VALUES)})


def value_at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


@given(config=st.one_of(CONFIG, mutants()))
@settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_a_serve_config_is_judged_as_ray_judges_it(ray: Ray, config: Any) -> None:
    assert disagreements(config, ray) == []


@pytest.mark.parametrize("config", REAL)
def test_what_works_is_fine_to_both(ray: Ray, config: Any) -> None:
    assert ours(config) == []
    assert ray(config) == Verdict(None, [], [])
