"""Generated manifests: none that Ray takes is refused, and nothing that anybody writes stops the inspection."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.advice.findings import Level
from rayserve_operator.advice.inspection import inspect
from rayserve_operator.model.problems import InvalidSpec
from rayserve_operator.model.serve_parsing import parse_serve_config, read_serve_config

from .cases import GOOD, SERVE
from .generated import CONFIG, JSON, MANIFEST, places, replaced, with_serve


@given(config=CONFIG)
def test_none_that_ray_takes_is_refused(config: dict[str, Any]) -> None:
    assert [str(f.problem) for f in inspect(with_serve(config)) if f.level is Level.ERROR] == []


@given(manifest=MANIFEST)
def test_none_that_can_be_made_is_refused(manifest: dict[str, Any]) -> None:
    assert [str(f.problem) for f in inspect(manifest) if f.level is Level.ERROR] == []


@given(place=st.sampled_from(places(SERVE)), value=JSON)
def test_what_the_operator_refuses_is_an_error_in_its_words(place: tuple[Any, ...], value: Any) -> None:
    manifest = with_serve(replaced(SERVE, place, value))
    found = {str(f.problem) for f in inspect(manifest) if f.level is Level.ERROR}
    assert refused(manifest["spec"]["serveConfigV2"]) <= found


def refused(text: str) -> set[str]:
    try:
        parse_serve_config(text)
    except InvalidSpec as invalid:
        return {str(problem) for problem in invalid.problems}
    return set()


@given(place=st.sampled_from(places(GOOD)[1:]), value=JSON)
def test_nothing_stops_the_inspection(place: tuple[Any, ...], value: Any) -> None:
    manifest = replaced(GOOD, place, value)
    for finding in inspect({**manifest, "kind": "RayService"}):
        assert finding.problem.code
        assert finding.problem.mend


def test_the_good_config_reads_as_it_is_written() -> None:
    assert read_serve_config(GOOD["spec"]["serveConfigV2"]) == SERVE
