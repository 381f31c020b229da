"""How what a rule of the user's gives to a RayService is divided between two clusters, and made whole again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayserve_operator.planning.service.backends import Own, Part, Rule

STABLE, OLD, NEW = "demo-serve-svc", "demo-a-serve-svc", "demo-b-serve-svc"
SERVE = {"name": "serve", "port": 8000, "targetPort": 8000}
OWN = Own("default", STABLE, (SERVE,), {OLD: (SERVE,), NEW: (SERVE,)})


def ref(name: str = STABLE, weight: int | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": name, "port": 8000, **({} if weight is None else {"weight": weight}), **fields}


def divided(refs: Sequence[Mapping[str, Any]], percent: int = 20, own: Own = OWN) -> Sequence[Mapping[str, Any]]:
    return Rule(refs, own).divided(Part(OLD, 100 - percent), Part(NEW, percent))


def united(refs: Sequence[Mapping[str, Any]], own: Own = OWN) -> Sequence[Mapping[str, Any]]:
    return Rule(refs, own).united()


def told(refs: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    return [(one["name"], one["weight"]) for one in refs]


def test_what_stands_alone_is_divided_by_percent() -> None:
    assert divided([ref()]) == [ref(OLD, 80), ref(NEW, 20)]
    assert told(divided([ref(weight=3)])) == [(OLD, 240), (NEW, 60)]
    assert told(divided([ref(weight=20_000)])) == [(OLD, 16_000), (NEW, 4_000)]
    assert told(divided([ref(weight=1)], 0)) == [(OLD, 100), (NEW, 0)]
    assert told(divided([ref(weight=10_000)])) == [(OLD, 800_000), (NEW, 200_000)]


def test_the_next_share_is_made_of_what_is_divided() -> None:
    assert told(divided(divided([ref(weight=3)]), 50)) == [(OLD, 150), (NEW, 150)]
    assert told(divided([ref(OLD, 1), ref(NEW, 0)])) == [(OLD, 80), (NEW, 20)]


def test_beside_others_the_sum_stays() -> None:
    others = [ref("theirs", 50), ref(weight=150), ref("more", 0)]
    found = divided(others)
    assert told(found) == [("theirs", 50), (OLD, 120), (NEW, 30), ("more", 0)]
    assert united(found) == others
    assert told(divided([ref("theirs", 50), ref(weight=101)], 33)) == [("theirs", 50), (OLD, 68), (NEW, 33)]


@pytest.mark.parametrize("weight", [1, 99])
def test_a_small_weight_beside_others_is_not_divided(weight: int) -> None:
    refs = [ref(weight=weight), ref("theirs", 1)]
    assert divided(refs) == refs
    assert not Rule(refs, OWN).is_divisible
    assert Rule([ref(weight=100), ref("theirs", 1)], OWN).is_divisible


@given(st.integers(1, 10_000), st.integers(0, 99), st.booleans(), st.integers(100, 10_000))
def test_whatever_is_divided_is_whole_again(alone: int, percent: int, has_company: bool, beside: int) -> None:
    refs = [ref(weight=beside), ref("theirs", 7)] if has_company else [ref(weight=alone)]
    assert united(divided(divided(refs, percent), 50)) == refs


@pytest.mark.parametrize(
    "other",
    [
        ref("theirs"),
        ref(namespace="elsewhere"),
        ref(kind="ServiceImport", group="multicluster.x-k8s.io"),
        ref(group="example.com"),
        ref(kind="Gadget"),
        ref("demo-c-serve-svc"),
    ],
)
def test_what_leads_elsewhere_is_left_alone(other: dict[str, Any]) -> None:
    assert divided([other]) == united([other]) == [other]
    assert Rule([other], OWN).weight == 0


def test_what_is_whole_is_left_as_it_is_written() -> None:
    refs = [ref(weight=100)]
    assert united(refs) == refs
    assert Rule(refs, OWN).weight == 100


def test_all_else_of_a_backend_goes_with_it() -> None:
    filters = [{"type": "RequestHeaderModifier"}]
    given_ = ref(kind="Service", group="", namespace="default", filters=filters)
    found = divided([given_])
    assert [{**one, "name": STABLE, "weight": 1} for one in found] == [{**given_, "weight": 1}] * 2


def test_a_service_that_is_named_twice_is_one() -> None:
    assert told(divided([ref(), ref("theirs", 100), ref(weight=199)])) == [(OLD, 160), (NEW, 40), ("theirs", 100)]
    assert told(united([ref(OLD, 60), ref(weight=40)])) == [(STABLE, 1)]


def test_weights_by_hand_become_their_sum() -> None:
    assert told(united([ref(OLD, 100), ref(NEW, 50)])) == [(STABLE, 150)]


def test_weights_are_whole_numbers() -> None:
    for found in (divided([ref()]), united([ref(OLD, 80), ref(NEW, 20)])):
        assert all(isinstance(one["weight"], int) for one in found)


FIRST, SECOND = {"name": "first", "port": 8000}, {"name": "second", "port": 9000}


def with_ports(*stable: dict[str, Any], own: Sequence[dict[str, Any]] = (FIRST, SECOND)) -> Own:
    return Own("default", STABLE, stable, {OLD: own, NEW: own})


@pytest.mark.parametrize(
    ("stable", "given_", "own"),
    [
        (({"port": 80, "targetPort": 8000},), 80, 8000),
        (({"port": 80, "targetPort": "first"},), 80, 8000),
        (({"port": 81, "targetPort": "second"}, {"port": 80, "targetPort": "first"}), 80, 8000),
        (({"port": 80, "targetPort": "first"}, {"port": 81, "targetPort": "second"}), 81, 9000),
        (({"port": 8000, "targetPort": 9000}, {"port": 9000, "targetPort": 8000}), 8000, 9000),
        (({"port": 8000, "targetPort": 9000}, {"port": 9000, "targetPort": 8000}), 9000, 8000),
        ((FIRST, SECOND), 9000, 9000),
    ],
    ids=["a-number", "a-name", "the-first-name", "the-second-name", "crossed", "crossed-back", "the-same"],
)
def test_the_ports_lead_where_that_of_the_stable_service_leads(
    stable: Sequence[dict[str, Any]], given_: int, own: int
) -> None:
    of_both = with_ports(*stable)
    for found in (once := divided([ref(port=given_)], own=of_both), divided(once, 50, own=of_both)):
        assert [one["port"] for one in found] == [own, own]
        assert [one["port"] for one in united(found, of_both)] == [given_]


def test_a_port_that_leads_nowhere_becomes_the_first() -> None:
    assert [one["port"] for one in divided([ref(port=80)], own=with_ports(FIRST))] == [8000, 8000]
    assert [one["port"] for one in united([ref(OLD, 80, port=7000), ref(NEW, 20)], with_ports(SECOND))] == [9000]


def test_the_port_of_the_stable_service_stays_while_a_rule_leads_to_it_as_well() -> None:
    crossed = with_ports({"port": 9000, "targetPort": 8000}, {"port": 8000, "targetPort": 9000})
    assert [one["port"] for one in united([ref(weight=80), ref(NEW, 20, port=9000)], crossed)] == [8000]


def test_each_cluster_listens_where_it_does() -> None:
    more = {"name": "serve-more", "port": 8001}
    own = Own("default", STABLE, (SERVE,), {OLD: (SERVE, more), NEW: ({"name": "serve", "port": 9000},)})
    found = divided([ref(port=8001)], own=own)
    assert [one["port"] for one in found] == [8001, 9000]
    assert [one["port"] for one in divided(found, own=own)] == [8001, 9000]


def test_where_the_services_are_gone_the_port_stays() -> None:
    own = Own("default", STABLE, (), {OLD: (), NEW: ()})
    assert united([ref(OLD, 80), ref(NEW, 20)], own) == [ref(weight=1)]
