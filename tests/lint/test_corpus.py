from __future__ import annotations

import pytest

from rayserve_operator.advice.findings import Level
from rayserve_operator.advice.inspection import inspect
from rayserve_operator.advice.rules import BY_CODE, RULES

from .cases import CASES, GOOD, TRIED, Case, Tried


def test_nothing_is_to_be_said_of_the_good_manifest() -> None:
    assert inspect(GOOD) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}:{case.place}")
def test_what_is_bad_is_found_at_its_place(case: Case) -> None:
    found = [(finding.problem.code, finding.problem.path) for finding in inspect(case.manifest)]
    assert (case.code, case.place) in found
    assert {code for code, _ in found} == {case.code, *case.also}
    assert all(finding.problem.problem and finding.problem.mend for finding in inspect(case.manifest))


@pytest.mark.parametrize("case", TRIED, ids=lambda case: f"{case.code}:{case.place}")
def test_what_the_api_server_finds_is_told_at_its_place(case: Tried) -> None:
    assert [(problem.code, problem.path) for problem in case.problems] == [(case.code, case.place)]
    assert all(problem.problem and problem.mend for problem in case.problems)
    assert not [finding for finding in inspect(case.manifest) if finding.level is Level.ERROR]


def test_every_rule_has_a_case() -> None:
    assert {rule.code for rule in RULES} == {case.code for case in (*CASES, *TRIED)}
    assert len(BY_CODE) == len(RULES)
