"""Certificates, as OpenSSL and Python's own reading see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from rayserve_operator.adapters.certificates import AUTHORITIES, CERTIFICATE, KEY, X509
from rayserve_operator.planning.certificates import LIFETIME

NAME = "operator-webhook.system.svc"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MADE = X509().issue(NAME, (), NOW)


def verify(data: dict[str, str], name: str, at: datetime) -> None:
    """As a TLS client does that trusts these authorities (RFC 5280, and the rules of public authorities)."""
    store = Store(x509.load_pem_x509_certificates(data[AUTHORITIES].encode()))
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(name))
    [certificate] = x509.load_pem_x509_certificates(data[CERTIFICATE].encode())
    verifier.verify(certificate, [])


def test_a_client_that_trusts_the_authority_trusts_the_certificate_for_this_name_and_time() -> None:
    verify(dict(MADE), NAME, NOW)
    for name, at in ((f"x{NAME}", NOW), (NAME, NOW + LIFETIME + timedelta(seconds=1)), (NAME, NOW - timedelta(days=1))):
        with pytest.raises(VerificationError):
            verify(dict(MADE), name, at)


def test_what_is_made_is_read_again() -> None:
    stock = X509().read(MADE)
    assert stock is not None
    assert stock.held.names == {NAME}
    assert stock.held.begins < NOW
    assert stock.held.expires == NOW + LIFETIME
    assert stock.held.bundle == MADE[AUTHORITIES]
    assert stock.pair == (MADE[CERTIFICATE], MADE[KEY])


def test_after_a_renewal_both_certificates_are_trusted() -> None:
    before = X509().read(MADE)
    assert before is not None
    later = NOW + timedelta(days=60)
    renewed = dict(X509().issue(NAME, before.held.authorities, later))
    verify(renewed, NAME, later)
    verify({**renewed, CERTIFICATE: MADE[CERTIFICATE]}, NAME, later)
    after = X509().read(renewed)
    assert after is not None
    assert after.held.authorities[1:] == before.held.authorities
    assert not {MADE[KEY], MADE[CERTIFICATE]} & set(renewed.values())


OTHER = X509().issue(NAME, (), NOW)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {CERTIFICATE: MADE[CERTIFICATE]},
        {**MADE, KEY: OTHER[KEY]},
        {**MADE, KEY: "none"},
        {**MADE, CERTIFICATE: "none"},
        {**MADE, AUTHORITIES: "none"},
    ],
    ids=["nothing", "no-key", "another-key", "bad-key", "bad-certificate", "bad-authority"],
)
def test_what_cannot_be_shown_is_none(data: dict[str, str]) -> None:
    assert X509().read(data) is None


def test_an_authority_that_has_not_issued_it_does_not_vouch() -> None:
    stock = X509().read({**MADE, AUTHORITIES: OTHER[AUTHORITIES]})
    assert stock is not None
    assert stock.held.authorities == ()
    without = X509().read({CERTIFICATE: MADE[CERTIFICATE], KEY: MADE[KEY]})
    assert without is not None
    assert without.held.authorities == ()
