from __future__ import annotations

import pytest

from rayserve_operator.advice.inspection import inspect
from rayserve_operator.advice.rules import BY_CODE, RULES

from .cases import CASES, GOOD, Case


def test_nothing_is_to_be_said_of_the_good_manifest() -> None:
    assert inspect(GOOD) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}:{case.place}")
def test_what_is_bad_is_found_at_its_place(case: Case) -> None:
    found = [(finding.problem.code, finding.problem.path) for finding in inspect(case.manifest)]
    assert (case.code, case.place) in found
    assert {code for code, _ in found} == {case.code, *case.also}
    assert all(finding.problem.problem and finding.problem.mend for finding in inspect(case.manifest))


def test_every_rule_has_a_case() -> None:
    assert {rule.code for rule in RULES} == {case.code for case in CASES}
    assert len(BY_CODE) == len(RULES)
