"""The lab's own certificate authority: it can sign for one domain and for nothing else.

Profile: RFC 5280; that a domain-bound authority also excludes every IP address is CA/Browser Forum Baseline
Requirements 7.1.2.5.2 (a constraint on DNS names alone says nothing about addresses).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ez_homelab.errors import PrerequisiteError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

LIFETIME = timedelta(days=3650)
# A device whose clock is a little behind must not see a certificate from the future.
CLOCK_SKEW = timedelta(hours=1)
# ub-common-name, RFC 5280 appendix A.1
COMMON_NAME_LIMIT = 64
START_AGAIN = (
    "restore ca.crt and ca.key together from a backup; without one, move both out of the lab's state folder"
    " (/var/lib/ez-homelab/tls), run `ez-homelab apply`, which makes a new authority, then `ez-homelab trust` on each"
    " of your devices"
)


class PrivateKeyPem:
    """A private key in PEM form. Printing, logging or formatting it shows no part of it; `reveal()` gives it away."""

    __slots__ = ("_pem",)

    def __init__(self, pem: bytes) -> None:
        self._pem = pem

    def reveal(self) -> bytes:
        """The key itself, to write into a file of mode 0600 and nowhere else."""
        return self._pem

    def __repr__(self) -> str:
        return "PrivateKeyPem(redacted)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKeyPem) and hmac.compare_digest(self._pem, other._pem)

    def __hash__(self) -> int:
        return hash(self._pem)


@dataclass(frozen=True, slots=True)
class AuthorityFacts:
    """What an authority's certificate says: the one domain it may sign for, its key's id in hex, when it ends."""

    domain: str
    key_id: str
    not_before: datetime
    not_after: datetime

    @property
    def short_id(self) -> str:
        """Eight hex digits that tell this authority from every other one, also of the same domain."""
        return self.key_id[:8]


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its key: what is needed to sign."""

    certificate_pem: bytes
    key_pem: PrivateKeyPem

    @property
    def facts(self) -> AuthorityFacts:
        """What its certificate says."""
        return read_authority(self.certificate_pem)


def create_authority(domain: str, now: datetime) -> Authority:
    """A new authority for `domain` and the names below it, with a new key, for ten years from `now`.

    Raises `UsageError` where the domain is no ASCII DNS name.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    subject = _subject(domain, key_id.digest.hex()[:8])
    start = now.replace(microsecond=0) - CLOCK_SKEW
    certificate = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(_purposes(), critical=False)
        .add_extension(_name_constraints(domain), critical=True)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM), to_pem(key))


def read_authority(certificate_pem: bytes) -> AuthorityFacts:
    """What an authority's certificate says, without its key.

    Raises `PrerequisiteError` where it cannot be read, or is not an authority that is bound to exactly one domain.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        extensions = certificate.extensions
        key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        constraints = extensions.get_extension_for_class(x509.NameConstraints)
        domain = _only_domain(constraints.value)
    except x509.ExtensionNotFound as missing:
        raise _not_ours(f"extension {missing.oid.dotted_string} is missing") from None
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise PrerequisiteError(
            "the certificate of the lab's certificate authority (ca.crt) is damaged",
            evidence=f"{len(certificate_pem)} bytes that are not one PEM certificate",
            fix=START_AGAIN,
        ) from None
    if not (domain and is_authority and constraints.critical):
        raise _not_ours("it is not an authority bound to exactly one domain")
    return AuthorityFacts(domain, key_id, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def load_authority(certificate_pem: bytes, key_pem: bytes, *, domain: str, now: datetime) -> Authority:
    """The authority from its two files, after making sure that it can sign for `domain` at `now`.

    Raises `PrerequisiteError` where a file is damaged, the two do not belong together, the authority has expired or
    is not valid yet, or is for another domain. No error holds any part of the key.
    """
    authority = Authority(certificate_pem, PrivateKeyPem(key_pem))
    facts = authority.facts
    _check_pair(certificate_pem, signing_key(authority))
    if facts.domain != domain:
        raise PrerequisiteError(
            f"the lab's certificate authority signs for {facts.domain}, the lab's domain is {domain}",
            evidence=f"authority {facts.short_id}, name constraint {facts.domain}",
            cause="the domain in homelab.yaml was changed, or ca.crt comes from another lab",
            fix=f"set the domain back to {facts.domain}, or if the change is meant: {_fresh_start()}",
        )
    check_time(facts, now)
    return authority


def check_time(facts: AuthorityFacts, now: datetime) -> None:
    """Raise `PrerequisiteError` where the authority has expired at `now` or is not valid yet."""
    if now > facts.not_after:
        raise PrerequisiteError(
            f"the lab's certificate authority expired on {facts.not_after:%Y-%m-%d}",
            evidence=f"authority {facts.short_id}; this server's clock says {now.astimezone(UTC):%Y-%m-%d}",
            cause="an authority lives ten years",
            fix=_fresh_start(),
        )
    if now < facts.not_before:
        raise PrerequisiteError(
            f"the lab's certificate authority is valid only from {facts.not_before:%Y-%m-%d}",
            evidence=f"authority {facts.short_id}; this server's clock says {now.astimezone(UTC):%Y-%m-%d}",
            cause="this server's clock is wrong",
            fix="set the clock (`timedatectl set-ntp true`), then run the command again",
        )


def signing_key(authority: Authority) -> ec.EllipticCurvePrivateKey:
    """The authority's key, ready to sign. Raises `PrerequisiteError` where it is damaged or of another kind."""
    key = parse_key(authority.key_pem)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise PrerequisiteError(
        "the key of the lab's certificate authority (ca.key) is damaged",
        evidence="it is not one unencrypted ECDSA private key in PEM form",
        fix=START_AGAIN,
    )


def parse_key(pem: PrivateKeyPem) -> PrivateKeyTypes | None:
    """The key in the PEM, or None where there is none that can be read.

    The library's own exception is dropped, because nobody promises that it holds no part of its input.
    """
    try:
        return serialization.load_pem_private_key(pem.reveal(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def to_pem(key: ec.EllipticCurvePrivateKey) -> PrivateKeyPem:
    """The key as unencrypted PKCS #8 PEM, the form that Traefik and openssl read."""
    return PrivateKeyPem(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _subject(domain: str, short_id: str) -> x509.Name:
    room = COMMON_NAME_LIMIT - len(f"EZ-Homelab CA for  ({short_id})")
    shown = domain if len(domain) <= room else f"{domain[: room - 3]}..."
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "EZ-Homelab"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"EZ-Homelab CA for {shown} ({short_id})"),
        ]
    )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _purposes() -> x509.ExtendedKeyUsage:
    # Keeps the authority out of mail and code signing, where a constraint on DNS names has no say.
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def _name_constraints(domain: str) -> x509.NameConstraints:
    try:
        permitted = x509.DNSName(domain)
    except ValueError:
        permitted = None
    if permitted is None or not domain or domain.startswith((".", "*")):
        raise UsageError(
            f"{domain!r} is not a domain that a certificate can be made for",
            cause="a certificate holds ASCII DNS names only",
            fix="set `domain` in homelab.yaml to a plain DNS name (an international name in its xn-- form)",
        )
    every_address = [x509.IPAddress(ip_network("0.0.0.0/0")), x509.IPAddress(ip_network("::/0"))]
    return x509.NameConstraints(permitted_subtrees=[permitted], excluded_subtrees=every_address)


def _only_domain(constraints: x509.NameConstraints) -> str:
    permitted = constraints.permitted_subtrees or []
    if len(permitted) == 1 and isinstance(permitted[0], x509.DNSName):
        return permitted[0].value
    return ""


def _not_ours(evidence: str) -> PrerequisiteError:
    return PrerequisiteError(
        "ca.crt is not the certificate of a lab's certificate authority",
        evidence=evidence,
        cause="another certificate was put in its place",
        fix=START_AGAIN,
    )


def _fresh_start() -> str:
    return START_AGAIN.split("without one, ", 1)[1]


def _check_pair(certificate_pem: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    if certificate.public_key() != key.public_key():
        raise PrerequisiteError(
            "the certificate (ca.crt) and the key (ca.key) of the lab's certificate authority do not belong together",
            evidence="the certificate holds another public key",
            cause="only one of the two files was restored or replaced",
            fix=START_AGAIN,
        )
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError):
        raise _not_ours("it is not signed by its own key") from None
