from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ez_homelab.tls.authority import Authority, create_authority, signing_key, to_pem
from ez_homelab.tls.certificate import IssuedCertificate

if TYPE_CHECKING:
    from collections.abc import Callable

DOMAIN = "lab.localhost"


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def authority(now: datetime) -> Authority:
    return create_authority(DOMAIN, now)


@pytest.fixture
def sign_anything(authority: Authority, now: datetime) -> Callable[..., IssuedCertificate]:
    """What a thief of the authority's key could do: sign for any name, past every check of ours."""

    def sign(*names: x509.GeneralName) -> IssuedCertificate:
        issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
        key = ec.generate_private_key(ec.SECP256R1())
        key_id = bytes.fromhex(authority.facts.key_id)
        leaf = (
            x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(key_id, None, None), critical=False)
            .sign(signing_key(authority), hashes.SHA256())
        )
        pem = leaf.public_bytes(serialization.Encoding.PEM)
        return IssuedCertificate(pem + authority.certificate_pem, to_pem(key))

    return sign
