from datetime import timedelta

import pytest

from rayserve_operator.model.conditions import Condition, ServiceCondition
from rayserve_operator.model.rayservice import RayServiceStatus
from rayserve_operator.planning.condition_list import Fact, acceptance, carried, dated, replaced, timestamp

from ..builders import NOW

LATER = NOW + timedelta(minutes=1)
READY = Fact(ServiceCondition.READY, True, "Serves", "2 pods")
VALID = Fact(ServiceCondition.SPEC_VALID, True, "Accepted")


def told(*facts: Fact) -> list[Condition]:
    return carried([], facts, 1, NOW)


def test_a_condition_that_holds_on_keeps_its_time_though_its_words_change() -> None:
    [before] = told(READY)
    [after] = carried([before], [Fact(ServiceCondition.READY, True, "Serves", "3 pods")], 2, LATER)
    assert (after.last_transition_time, after.message, after.observed_generation) == (timestamp(NOW), "3 pods", 2)


def test_a_condition_that_turns_gets_a_new_time() -> None:
    [after] = carried(told(READY), [Fact(ServiceCondition.READY, False, "Gone")], 1, LATER)
    assert (after.status, after.last_transition_time) == ("False", timestamp(LATER))


def test_what_cannot_be_known_is_unknown() -> None:
    [after] = told(Fact(ServiceCondition.UPGRADE_IN_PROGRESS, None, "NoActiveCluster"))
    assert after.status == "Unknown"


def test_a_time_is_written_as_kubernetes_does() -> None:
    assert timestamp(NOW) == "2030-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("gaps", "reason", "message"),
    [
        ((), "Accepted", ""),
        (("a", "b.c"), "UnsupportedFields", "accepted, but these have no effect yet: a, b.c"),
    ],
)
def test_an_accepted_spec_says_what_of_it_has_no_effect(gaps: tuple[str, ...], reason: str, message: str) -> None:
    assert acceptance(ServiceCondition.SPEC_VALID, gaps) == Fact(ServiceCondition.SPEC_VALID, True, reason, message)


def test_a_fact_that_no_longer_is_one_goes() -> None:
    assert [c.type for c in carried(told(READY, VALID), [VALID], 1, LATER)] == ["SpecValid"]


def test_one_fact_is_replaced_and_the_others_stay_as_they_are() -> None:
    before = told(READY, VALID)
    after = replaced(before, Fact(ServiceCondition.SPEC_VALID, False, "Invalid"), 2, LATER)
    assert after[0] == before[0]
    assert [(c.type, c.status) for c in after] == [("Ready", "True"), ("SpecValid", "False")]
    assert (after[1].observed_generation, after[1].message) == (2, "")


def test_a_status_is_dated_only_when_something_changed() -> None:
    before = RayServiceStatus(last_update_time="then", num_serve_endpoints=1)
    assert dated(before.model_copy(), before, NOW) is not None
    assert dated(before.model_copy(), before, NOW).last_update_time == "then"
    changed = dated(before.model_copy(update={"num_serve_endpoints": 2}), before, NOW)
    assert changed.last_update_time == timestamp(NOW)


def test_a_condition_that_is_as_before_keeps_its_time_whatever_it_was_on_the_way() -> None:
    before = RayServiceStatus(last_update_time="then", conditions=told(READY, VALID))
    again = [c.model_copy(update={"last_transition_time": "later"}) for c in before.conditions]
    assert dated(RayServiceStatus(last_update_time="later", conditions=again), before, LATER) == before
    turned = [again[0].model_copy(update={"status": "False"}), again[1]]
    found = dated(RayServiceStatus(conditions=turned), before, LATER)
    assert [c.last_transition_time for c in found.conditions] == ["later", timestamp(NOW)]


def test_what_another_writer_says_of_something_else_is_kept() -> None:
    foreign = Condition(
        type="example.com/Audited", status="True", reason="Seen", message="", last_transition_time="then"
    )
    past = Condition(type="Stalled", status="True", reason="ImageError", message="", last_transition_time="then")
    after = carried([foreign, past], [Fact(ServiceCondition.READY, True, "Serves", "3 pods")], 2, LATER)
    assert [condition.type for condition in after] == ["Ready", "example.com/Audited"]
    assert after[1] == foreign
    assert [c.type for c in replaced([foreign], VALID, 2, LATER)] == ["example.com/Audited", "SpecValid"]
