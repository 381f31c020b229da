"""X.509 certificates, made and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rayserve_operator.engine.ports import Pair, Stock
from rayserve_operator.planning.certificates import BACKDATED, LIFETIME, Authority, Held, bundle

CERTIFICATE, KEY, AUTHORITIES = "tls.crt", "tls.key", "ca.crt"
"""What a Secret calls them (Kubernetes' kubernetes.io/tls, and cert-manager)."""
_AUTHORITY, _WEBHOOK = (
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"rayserve-operator {name}")])
    for name in ("webhook authority", "webhook")
)


class X509:
    """Makes certificates, each vouched for by an authority of its own, whose key nobody keeps."""

    def issue(self, name: str, keep: Sequence[Authority], now: datetime) -> Mapping[str, str]:
        """Data of a Secret with a new certificate for a DNS name, and with older authorities that stay trusted."""
        key, key_of_authority = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        expires = now + LIFETIME
        # RFC 5280: the identifiers tell this authority from those of the same name before it.
        shared = (
            x509.CertificateBuilder()
            .issuer_name(_AUTHORITY)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(expires)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key_of_authority.public_key()), critical=False
            )
        )
        authority = (
            shared.subject_name(_AUTHORITY)
            .serial_number(x509.random_serial_number())
            .public_key(key_of_authority.public_key())
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key_of_authority.public_key()), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(of_authority=True), critical=True)
            .sign(key_of_authority, SHA256())
        )
        certificate = (
            shared.subject_name(_WEBHOOK)
            .serial_number(x509.random_serial_number())
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(of_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key_of_authority, SHA256())
        )
        return {
            CERTIFICATE: _pem(certificate),
            KEY: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            AUTHORITIES: bundle((Authority(_pem(authority), expires), *keep)),
        }

    def read(self, data: Mapping[str, str]) -> Stock | None:
        """What the data of a Secret holds; None where that is no certificate that can be shown."""
        try:
            [certificate, *_] = x509.load_pem_x509_certificates(data[CERTIFICATE].encode())
            key = load_pem_private_key(data[KEY].encode(), password=None)
            bundled = data.get(AUTHORITIES)
            authorities = x509.load_pem_x509_certificates(bundled.encode()) if bundled else []
        except (KeyError, ValueError, TypeError, UnsupportedAlgorithm):
            return None
        if certificate.public_key() != key.public_key():
            return None
        held = Held(
            names=_names(certificate),
            begins=certificate.not_valid_before_utc,
            expires=certificate.not_valid_after_utc,
            authorities=tuple(
                Authority(_pem(one), one.not_valid_after_utc)
                for one in authorities
                if _issued(certificate, authorities[0])
            ),
        )
        return Stock(held, Pair(data[CERTIFICATE], data[KEY]))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    return frozenset(names.get_values_for_type(x509.DNSName))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _usage(*, of_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_authority,
        key_cert_sign=of_authority,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
