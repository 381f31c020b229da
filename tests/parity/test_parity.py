"""Our model of a Serve config says what Ray's own schema says, and no more but where Ray fails later.

It needs a Python with the Ray that is modelled: `make parity` makes one, and so does CI.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
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

from ..lint.cases import SERVE
from ..lint.test_generated import CONFIG, JSON, places, replaced

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
DIFFERENCES: tuple[Difference, ...] = ()


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


def disagreements(config: Any, said: Verdict) -> list[str]:
    """Where the two say different things, in words."""
    found = ours(config)
    unknown = {problem.path for problem in found if problem.code in UNKNOWN}
    broken = [problem for problem in found if problem.code not in UNKNOWN]
    if said.refused is not None:
        # Where Ray refuses it does not say what it would have dropped.
        return [] if found else [f"Ray refuses what is fine here: {said.refused}"]
    late = [at for at in said.late if not any(problem.path.startswith(at) for problem in broken)]
    return [
        *(f"Ray drops without a word here: {at}" for at in said.dropped if at not in unknown),
        *(f"Ray knows what it is not to know: {at}" for at in unknown if at not in said.dropped),
        *(f"Ray fails later with what is fine here: {at}" for at in late),
        *(
            f"Ray takes: {problem.code} {problem}"
            for problem in broken
            if not is_known(problem) and not any(problem.path.startswith(at) for at in said.late)
        ),
    ]


MODELS = [model for model in vars(serve_schema).values() if isinstance(model, type) and issubclass(model, BaseModel)]
KEYS = sorted(
    {key for model in MODELS for key in model.model_fields} | set(RETIRED) | {"numReplicas", "host", "nonsense"}
)
VALUES = st.one_of(
    JSON,
    st.sampled_from(
        [0, 1, 2, -1, 0.5, 1.5, 101, 70_000, "", "auto", "1", "/", "/a/", "a:b", "app", "INFO", "PACK", "EveryNode",
         True, None, [], {}, [{"CPU": 1}], {"env_vars": {"A": 1}}, {"working_dir": "/here"}, {"gang_size": 2},
         {"min_replicas": 3, "max_replicas": 2}, [{"name": "D"}], ["a"]]
    ),
)  # fmt: skip
SAMPLES = [
    yaml.safe_load(yaml.safe_load(path.read_text())["spec"]["serveConfigV2"])
    for path in sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
]
REAL = [SERVE, *SAMPLES]


def with_key(value: Any, path: tuple[Any, ...], key: str, by: Any) -> Any:
    """The value with one more key in the mapping there; unchanged where there is none."""
    inner = value
    for one in path:
        inner = inner[one]
    return replaced(value, path, {**inner, key: by}) if isinstance(inner, dict) else value


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """A config that works, changed in one to three places."""
    config = draw(st.one_of(st.sampled_from(REAL), CONFIG))
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(config, dict):
            break
        place = draw(st.sampled_from(places(config)))
        by = draw(VALUES)
        config = (
            replaced(config, place, by)
            if draw(st.booleans())
            else with_key(config, place, draw(st.sampled_from(KEYS)), by)
        )
    return config if isinstance(config, dict) else {}


@given(config=st.one_of(CONFIG, mutants()))
@settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
def test_a_serve_config_is_judged_as_ray_judges_it(ray: Ray, config: Any) -> None:
    assert disagreements(config, ray(config)) == []


@pytest.mark.parametrize("config", REAL)
def test_what_works_is_fine_to_both(ray: Ray, config: Any) -> None:
    assert ours(config) == []
    assert ray(config) == Verdict(None, [], [])
