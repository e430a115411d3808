"""The certificate that Traefik serves: what it should be, what it is, whether it needs a new one, and making it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ez_homelab.errors import UsageError
from ez_homelab.tls.authority import CLOCK_SKEW, Authority, PrivateKeyPem, check_time, parse_key, signing_key, to_pem

if TYPE_CHECKING:
    from collections.abc import Iterable

# Apple refuses TLS certificates that are valid longer: https://support.apple.com/en-us/102028
LONGEST_LIFETIME_DAYS = 398
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """The certificate that is wanted: its DNS names and how many days it is to live.

    Raises `UsageError` for no names or a lifetime outside 1 to 398 days.
    """

    names: tuple[str, ...]
    lifetime_days: int = 90

    def __post_init__(self) -> None:
        if not self.names:
            raise UsageError("a certificate needs at least one name", fix="set `domain` in homelab.yaml")
        if not 1 <= self.lifetime_days <= LONGEST_LIFETIME_DAYS:
            raise UsageError(
                f"a certificate cannot live {self.lifetime_days} days",
                cause=f"Apple devices refuse certificates that are valid for more than {LONGEST_LIFETIME_DAYS} days",
                fix=f"choose a lifetime of 1 to {LONGEST_LIFETIME_DAYS} days",
            )


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says; `issuer_key_id` ("" where it names none) and `sha256`, over its DER form, are hex."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    issuer_key_id: str
    sha256: str

    def ends_soon(self, now: datetime) -> bool:
        """Whether less than a third of its life is left: from then on an apply renews it."""
        return (self.not_after - now) * 3 < self.not_after - self.not_before


@dataclass(frozen=True, slots=True)
class DamagedCertificate:
    """There is something where the certificate should be, and it cannot be used; `why` in a few plain words."""

    why: str


class IssuedCertificate(NamedTuple):
    """A new certificate followed by its authority's, and the new key that belongs to it."""

    chain_pem: bytes
    key_pem: PrivateKeyPem


def wanted_names(domain: str, servers: Iterable[str]) -> tuple[str, ...]:
    """The names one certificate needs for a whole lab: apps are `*.domain`, per-server tools `*.<server>.domain`."""
    return tuple(dict.fromkeys([domain, f"*.{domain}", *(f"*.{server}.{domain}" for server in servers)]))


def inspect_certificate(pem: bytes, key_pem: PrivateKeyPem | None = None) -> CertificateFacts | DamagedCertificate:
    """What the first certificate in the PEM says; with its key, also whether the two belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        facts = _facts(certificate)
        public_key = certificate.public_key()
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return DamagedCertificate("it cannot be read")
    if key_pem is None:
        return facts
    key = parse_key(key_pem)
    if key is None:
        return DamagedCertificate("its key cannot be read")
    return facts if key.public_key() == public_key else DamagedCertificate("its key belongs to another certificate")


def renewal_cause(
    facts: CertificateFacts | DamagedCertificate | None, spec: CertificateSpec, authority_key_id: str, now: datetime
) -> str | None:
    """Why a new certificate is due, in one plain phrase for the plan; None while all is well."""
    if facts is None:
        return "there is no certificate yet"
    if isinstance(facts, DamagedCertificate):
        return f"the certificate is damaged: {facts.why}"
    if facts.issuer_key_id != authority_key_id:
        return "the certificate was issued by another certificate authority"
    return _names_cause(facts, spec) or _time_cause(facts, now)


def issue(authority: Authority, spec: CertificateSpec, now: datetime) -> IssuedCertificate:
    """A new certificate with a new key, valid from an hour before `now`, never longer than its authority.

    Raises `UsageError` for a name that the authority may not sign for, `PrerequisiteError` where it cannot sign.
    """
    facts = authority.facts
    check_time(facts, now)
    _check_names(spec.names, facts.domain)
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    start = max(now.replace(microsecond=0) - CLOCK_SKEW, facts.not_before)
    # Both ends of a certificate's validity count (RFC 5280, 4.1.2.5), hence the second less.
    end = min(start + timedelta(days=spec.lifetime_days, seconds=-1), facts.not_after)
    certificate = (
        x509.CertificateBuilder(issuer_name=issuer.subject, subject_name=x509.Name([]), public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        # With an empty subject the names must be critical (RFC 5280, 4.2.1.6).
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in spec.names]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(facts.key_id), None, None), critical=False)
        .sign(signing_key(authority), hashes.SHA256())
    )
    chain = certificate.public_bytes(serialization.Encoding.PEM) + authority.certificate_pem
    return IssuedCertificate(chain, to_pem(key))


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        names=_names(certificate.extensions),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        issuer_key_id=_issuer_key_id(certificate.extensions),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _names(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(alternatives.get_values_for_type(x509.DNSName))


def _issuer_key_id(extensions: x509.Extensions) -> str:
    try:
        identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    return (identifier or b"").hex()


def _names_cause(facts: CertificateFacts, spec: CertificateSpec) -> str | None:
    new = [name for name in spec.names if name not in facts.names]
    gone = [name for name in facts.names if name not in spec.names]
    changes = [f"new {', '.join(new)}"] * bool(new) + [f"no longer {', '.join(gone)}"] * bool(gone)
    return f"the names changed: {'; '.join(changes)}" if changes else None


def _time_cause(facts: CertificateFacts, now: datetime) -> str | None:
    if now < facts.not_before:
        return f"the certificate is valid only from {facts.not_before.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    left = facts.not_after - now
    if left < timedelta(0):
        return f"the certificate expired on {facts.not_after.astimezone(UTC):%Y-%m-%d}"
    if facts.ends_soon(now):
        life = facts.not_after - facts.not_before
        return f"less than a third of the certificate's life is left: {left // DAY} of {round(life / DAY)} days"
    return None


def _check_names(names: tuple[str, ...], domain: str) -> None:
    outside = [name for name in names if not (f".{name}".endswith(f".{domain}") and name.isascii())]
    if outside:
        raise UsageError(
            f"the lab's certificate authority does not sign for {', '.join(outside)}",
            evidence=f"it is bound to {domain}",
            fix=f"use names below {domain}",
        )


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
