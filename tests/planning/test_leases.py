"""Whether a Lease says that somebody leads."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from rayserve_operator.model.lease import Record
from rayserve_operator.planning.leases import CLOCKS_DIFFER, KUBERAY_LEASE, Sighting, sighted
from scenarios.harness import kuberay

from ..builders import NOW

DURATION = timedelta(seconds=15)


def lease(renewed: datetime, namespace: str = "kuberay-system", **spec: Any) -> dict[str, Record]:
    manifest = kuberay.lease(renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return {namespace: Record.parse({**manifest, "spec": manifest["spec"] | spec})}


def holds_after(pause: timedelta, known: tuple[Sighting, ...]) -> bool:
    return any(sighting.holds(NOW + pause) for sighting in known)


def test_it_is_known_by_the_name_that_kuberay_gives_it() -> None:
    assert kuberay.lease("2030-01-01T00:00:00Z")["metadata"]["name"] == KUBERAY_LEASE


def test_one_that_does_not_say_when_it_was_renewed_counts_from_when_it_is_seen() -> None:
    known = sighted(lease(NOW, renewTime=None), None, NOW)
    assert holds_after(DURATION - timedelta(seconds=1), known)
    assert not holds_after(DURATION, known)


@pytest.mark.parametrize("skew", [timedelta(), -CLOCKS_DIFFER, timedelta(hours=1)])
def test_one_that_may_just_have_been_renewed_holds_for_its_duration_from_then_on(skew: timedelta) -> None:
    known = sighted(lease(NOW + skew), None, NOW)
    assert holds_after(DURATION - timedelta(seconds=1), known)
    assert not holds_after(DURATION, known)


def test_one_that_was_left_behind_does_not_hold() -> None:
    a_minute_and_its_duration = timedelta(seconds=75)
    assert not holds_after(timedelta(), sighted(lease(NOW - a_minute_and_its_duration), None, NOW))
    assert not holds_after(timedelta(), sighted(lease(NOW, holderIdentity=""), None, NOW))


def test_each_renewal_that_is_seen_counts_from_when_it_is_seen_however_old_it_says_it_is() -> None:
    left_behind = lease(NOW - timedelta(days=1))
    known = sighted(left_behind, None, NOW)
    same = sighted(left_behind, known, NOW + DURATION)
    assert same == known
    renewed = sighted(lease(NOW - timedelta(hours=23)), same, NOW + DURATION)
    assert holds_after(2 * DURATION - timedelta(seconds=1), renewed)
    assert not holds_after(2 * DURATION, renewed)


def test_one_that_is_gone_is_forgotten_and_a_new_one_holds() -> None:
    known = sighted({}, sighted(lease(NOW), None, NOW), NOW)
    assert known == ()
    assert holds_after(timedelta(), sighted(lease(NOW - timedelta(days=1)), known, NOW))


def test_each_namespace_may_have_its_own() -> None:
    known = sighted(lease(NOW) | lease(NOW - timedelta(days=1), "other"), None, NOW)
    assert {sighting.namespace: sighting.holds(NOW) for sighting in known} == {"kuberay-system": True, "other": False}
