from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.errors import UsageError
from ez_homelab.tls.authority import Authority, PrivateKeyPem, create_authority
from ez_homelab.tls.certificate import (
    CertificateFacts,
    CertificateSpec,
    DamagedCertificate,
    inspect_certificate,
    issue,
    renewal_cause,
    wanted_names,
)

DOMAIN = "lab.localhost"
SPEC = CertificateSpec(wanted_names(DOMAIN, ["core"]))
START = datetime(2026, 1, 1, tzinfo=UTC)
LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


def facts_of(not_before: datetime, not_after: datetime) -> CertificateFacts:
    return CertificateFacts(SPEC.names, not_before, not_after, "ab", "00")


def test_wanted_names_of_a_lab() -> None:
    assert wanted_names(DOMAIN, ["core", "pi"]) == (
        DOMAIN,
        "*.lab.localhost",
        "*.core.lab.localhost",
        "*.pi.lab.localhost",
    )


@given(domain=st.lists(LABEL, min_size=1, max_size=4).map(".".join), servers=st.lists(LABEL, max_size=20))
def test_wanted_names_cover_every_app_and_server_once(domain: str, servers: list[str]) -> None:
    names = wanted_names(domain, servers)
    assert len(set(names)) == len(names) == 2 + len(set(servers))
    assert {domain, f"*.{domain}"} <= set(names)
    for server in servers:
        assert f"*.{server}.{domain}" in names
    assert all(name == domain or name.endswith(f".{domain}") for name in names)


def test_issued_profile(authority: Authority, now: datetime) -> None:
    issued = issue(authority, SPEC, now)
    leaf, signer = x509.load_pem_x509_certificates(issued.chain_pem)
    extensions = leaf.extensions
    public_key = leaf.public_key()
    assert signer == x509.load_pem_x509_certificate(authority.certificate_pem)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp256r1"
    assert list(leaf.subject) == []
    assert extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert leaf.not_valid_before_utc == now.replace(microsecond=0) - timedelta(hours=1)


def test_every_certificate_has_its_own_serial_and_key(authority: Authority, now: datetime) -> None:
    issued = [issue(authority, SPEC, now) for _ in range(3)]
    serials = {x509.load_pem_x509_certificate(each.chain_pem).serial_number for each in issued}
    assert len(serials) == len({each.key_pem for each in issued}) == 3


def test_the_longest_certificate_is_within_apples_limit(authority: Authority, now: datetime) -> None:
    facts = inspect_certificate(issue(authority, CertificateSpec((DOMAIN,), 398), now).chain_pem)
    assert isinstance(facts, CertificateFacts)
    assert timedelta(days=397) < facts.not_after - facts.not_before < timedelta(days=398)


def test_no_certificate_outlives_its_authority(authority: Authority) -> None:
    end = authority.facts.not_after
    facts = inspect_certificate(issue(authority, SPEC, end - timedelta(days=5)).chain_pem)
    assert isinstance(facts, CertificateFacts)
    assert facts.not_after == end


@pytest.mark.parametrize("days", [0, -1, 399])
def test_lifetimes_that_devices_refuse(days: int) -> None:
    with pytest.raises(UsageError, match=f"cannot live {days} days"):
        CertificateSpec((DOMAIN,), days)


def test_a_certificate_needs_a_name() -> None:
    with pytest.raises(UsageError, match="at least one name"):
        CertificateSpec(())


@pytest.mark.parametrize("name", ["evil.example", "evillab.localhost", "localhost", "ä.lab.localhost", ""])
def test_names_outside_the_domain_are_not_signed(authority: Authority, now: datetime, name: str) -> None:
    with pytest.raises(UsageError, match="does not sign for"):
        issue(authority, CertificateSpec((DOMAIN, name)), now)


def test_inspection_of_what_was_issued(authority: Authority, now: datetime) -> None:
    issued = issue(authority, SPEC, now)
    facts = inspect_certificate(issued.chain_pem, issued.key_pem)
    assert isinstance(facts, CertificateFacts)
    assert facts.names == SPEC.names
    assert facts.issuer_key_id == authority.facts.key_id
    assert len(facts.sha256) == 64
    assert renewal_cause(facts, SPEC, authority.facts.key_id, now) is None


def test_damaged_certificates_and_keys(authority: Authority, now: datetime) -> None:
    issued, other = issue(authority, SPEC, now), issue(authority, SPEC, now)
    cases = [
        (b"", None, "it cannot be read"),
        (issued.chain_pem[:200], None, "it cannot be read"),
        (b"\0\xff" * 100, None, "it cannot be read"),
        (issued.chain_pem, PrivateKeyPem(b""), "its key cannot be read"),
        (issued.chain_pem, PrivateKeyPem(issued.key_pem.reveal()[:80]), "its key cannot be read"),
        (issued.chain_pem, other.key_pem, "its key belongs to another certificate"),
    ]
    for pem, key_pem, why in cases:
        damaged = inspect_certificate(pem, key_pem)
        assert damaged == DamagedCertificate(why)
        assert renewal_cause(damaged, SPEC, "", now) == f"the certificate is damaged: {why}"


def test_no_certificate_yet() -> None:
    assert renewal_cause(None, SPEC, "ab", START) == "there is no certificate yet"


def test_another_authority(authority: Authority, now: datetime) -> None:
    facts = inspect_certificate(issue(authority, SPEC, now).chain_pem)
    other = create_authority(DOMAIN, now).facts.key_id
    assert renewal_cause(facts, SPEC, other, now) == "the certificate was issued by another certificate authority"


@pytest.mark.parametrize(
    ("servers", "cause"),
    [
        (["core", "pi"], "the names changed: new *.pi.lab.localhost"),
        ([], "the names changed: no longer *.core.lab.localhost"),
        (["pi"], "the names changed: new *.pi.lab.localhost; no longer *.core.lab.localhost"),
    ],
)
def test_changed_names_are_told(servers: list[str], cause: str) -> None:
    spec = CertificateSpec(wanted_names(DOMAIN, servers))
    assert renewal_cause(facts_of(START, START + timedelta(days=90)), spec, "ab", START) == cause


def test_the_order_of_names_does_not_matter() -> None:
    spec = CertificateSpec(tuple(reversed(SPEC.names)))
    assert renewal_cause(facts_of(START, START + timedelta(days=90)), spec, "ab", START) is None


def test_times_are_told() -> None:
    facts = facts_of(START, START + timedelta(days=90))
    causes = {
        START - timedelta(minutes=1): "the certificate is valid only from 2026-01-01 00:00 UTC",
        START + timedelta(days=80): "less than a third of the certificate's life is left: 10 of 90 days",
        START + timedelta(days=91): "the certificate expired on 2026-04-01",
    }
    for now, cause in causes.items():
        assert renewal_cause(facts, SPEC, "ab", now) == cause


@given(
    start=st.integers(-800_000_000, 2_000_000_000).map(lambda seconds: START + timedelta(seconds=seconds)),
    third=st.integers(1, 40 * 86400),
    offset=st.integers(-5, 5),
)
def test_renewal_begins_right_after_two_thirds(start: datetime, third: int, offset: int) -> None:
    boundary = start + timedelta(seconds=2 * third)
    facts = facts_of(start, start + timedelta(seconds=3 * third))
    now = max(start, boundary + timedelta(seconds=offset))
    assert (renewal_cause(facts, SPEC, "ab", now) is None) == (now <= boundary)


@given(days=st.integers(1, 398), age=st.floats(0, 1))
def test_once_due_always_due(days: int, age: float) -> None:
    life = timedelta(days=days)
    facts = facts_of(START, START + life)
    due = renewal_cause(facts, SPEC, "ab", START + life * age) is not None
    later = renewal_cause(facts, SPEC, "ab", START + life * (age + 0.01)) is not None
    assert later or not due
