from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rayserve_operator.planning.certificates import (
    LIFETIME,
    Authority,
    Await,
    Held,
    Issue,
    Show,
    Trust,
    next_step,
)

from ..builders import NOW

NAME = "operator-webhook.system.svc"
NEW = Authority("new\n", NOW + LIFETIME)
OLD = Authority("old\n", NOW + timedelta(days=20))
GONE = Authority("gone\n", NOW - timedelta(days=1))
HELD = Held(frozenset({NAME, "other"}), NOW, NOW + LIFETIME, (NEW, OLD))


def test_without_a_certificate_one_is_made() -> None:
    assert next_step(None, [""], NAME, NOW) == Issue()


def test_a_certificate_is_trusted_before_it_is_shown() -> None:
    assert next_step(HELD, [""], NAME, NOW) == Trust("new\nold\n")
    assert next_step(HELD, ["new\nold\n"], NAME, NOW) == Show()


@pytest.mark.parametrize("trusted", [["old\n"], ["old\nnew\n"], ["new\nold\n", "old\n"]])
def test_whatever_else_is_trusted_is_put_right(trusted: list[str]) -> None:
    assert next_step(HELD, trusted, NAME, NOW) == Trust("new\nold\n")


def test_nobody_who_asks_is_nobody_who_has_to_trust() -> None:
    assert next_step(HELD, [], NAME, NOW) == Show()


def test_it_is_renewed_long_before_it_ends() -> None:
    trusted = ["new\nold\n"]
    due = NOW + LIFETIME * 2 / 3
    assert next_step(HELD, trusted, NAME, due - timedelta(seconds=1)) == Show()
    assert next_step(HELD, trusted, NAME, due) == Issue((NEW,))


def test_an_older_authority_stays_trusted_while_it_is_valid() -> None:
    elsewhere = replace(HELD, names=frozenset({"other"}))
    assert next_step(elsewhere, [], NAME, NOW) == Issue((NEW,))
    assert next_step(replace(elsewhere, authorities=(GONE, OLD)), [], NAME, NOW) == Issue((OLD,))
    assert next_step(elsewhere, [], NAME, OLD.expires) == Issue((NEW,))
    assert next_step(replace(elsewhere, authorities=(OLD,)), [], NAME, OLD.expires) == Issue()


def test_one_that_nobody_vouches_for_is_made_anew() -> None:
    assert next_step(replace(HELD, authorities=()), [""], NAME, NOW) == Issue()


def test_what_somebody_else_issues_is_only_shown() -> None:
    assert next_step(None, None, NAME, NOW) == Await()
    assert next_step(replace(HELD, names=frozenset({"other"})), None, NAME, NOW) == Await()
    assert next_step(replace(HELD, authorities=()), None, NAME, NOW + LIFETIME) == Show()
