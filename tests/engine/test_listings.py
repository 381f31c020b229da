from datetime import UTC, datetime, timedelta

from rayserve_operator.engine.listings import PAUSE, Listings
from rayserve_operator.planning.actions import Kind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def told(listings: Listings, *seen: tuple[str, float], kind: Kind = Kind.POD) -> list[bool]:
    """Whether each object, listed after so many pauses, begins a listing that was not expected."""
    return [listings.is_another(kind, uid, NOW + pauses * PAUSE) for uid, pauses in seen]


def watching(*kinds: Kind) -> Listings:
    listings = Listings()
    listings.expect(kinds)
    return listings


def test_the_first_listing_may_take_its_time() -> None:
    assert told(watching(Kind.POD), ("a", 3), ("b", 3.9), ("c", 4.8)) == [False, False, False]


def test_what_is_listed_after_a_pause_is_listed_anew() -> None:
    assert told(watching(Kind.POD), ("a", 0), ("b", 1.1), ("c", 1.2)) == [False, True, False]


def test_what_is_listed_twice_is_listed_anew_however_soon() -> None:
    assert told(watching(Kind.POD), ("a", 0), ("b", 0.1), ("a", 0.2), ("b", 0.3)) == [False, False, True, False]


def test_where_there_was_nothing_to_list_the_first_listing_is_another() -> None:
    assert told(watching(Kind.POD), ("a", 0), ("b", 0.1), kind=Kind.SERVICE) == [True, False]


def test_each_kind_has_listings_of_its_own() -> None:
    listings = watching(Kind.POD, Kind.SERVICE)
    assert told(listings, ("a", 0)) == [False]
    assert told(listings, ("a", 0), kind=Kind.SERVICE) == [False]
    assert listings.is_another(Kind.POD, "b", NOW + PAUSE + timedelta(seconds=1))
