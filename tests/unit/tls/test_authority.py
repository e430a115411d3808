from __future__ import annotations

import dataclasses
import logging
import traceback
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from ez_homelab.errors import PrerequisiteError, UsageError
from ez_homelab.tls.authority import Authority, PrivateKeyPem, create_authority, load_authority, read_authority
from ez_homelab.tls.certificate import CertificateSpec, issue

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DOMAIN = "lab.localhost"


def certificate_of(authority: Authority) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.certificate_pem)


def load(certificate_pem: bytes, key_pem: bytes, now: datetime) -> Authority:
    return load_authority(certificate_pem, key_pem, domain=DOMAIN, now=now)


def test_certificate_profile(authority: Authority, now: datetime) -> None:
    certificate = certificate_of(authority)
    extensions = certificate.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    constraints = extensions.get_extension_for_class(x509.NameConstraints)
    key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    public_key = certificate.public_key()

    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp256r1"
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 0)
    assert usage.key_cert_sign
    assert usage.crl_sign
    assert not usage.digital_signature
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName(DOMAIN)]
    assert constraints.value.excluded_subtrees == [
        x509.IPAddress(ip_network("0.0.0.0/0")),
        x509.IPAddress(ip_network("::/0")),
    ]
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == key_id
    assert certificate.not_valid_before_utc <= now - timedelta(hours=1)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=3650)


def test_two_authorities_of_one_domain_can_be_told_apart(now: datetime) -> None:
    one, two = create_authority(DOMAIN, now), create_authority(DOMAIN, now)
    assert one.facts.short_id != two.facts.short_id
    assert certificate_of(one).subject != certificate_of(two).subject
    for authority in (one, two):
        expected = f"CN=EZ-Homelab CA for {DOMAIN} ({authority.facts.short_id}),O=EZ-Homelab"
        assert certificate_of(authority).subject.rfc4514_string() == expected


def test_the_longest_domain_is_shortened_in_the_subject_only(now: datetime) -> None:
    domain = ".".join(["a" * 60] * 4)
    authority = create_authority(domain, now)
    name = certificate_of(authority).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert len(name) == 64
    assert authority.facts.domain == domain


@pytest.mark.parametrize("domain", ["", "*.lab.localhost", ".lab.localhost", "läb.localhost"])
def test_no_authority_for_what_is_no_domain(domain: str, now: datetime) -> None:
    with pytest.raises(UsageError) as caught:
        create_authority(domain, now)
    assert caught.value.fix


def test_loading_gives_back_what_was_created(authority: Authority, now: datetime) -> None:
    assert load(authority.certificate_pem, authority.key_pem.reveal(), now) == authority


def test_key_of_another_authority_is_refused(authority: Authority, now: datetime) -> None:
    other = create_authority(DOMAIN, now)
    with pytest.raises(PrerequisiteError, match="do not belong together") as caught:
        load(authority.certificate_pem, other.key_pem.reveal(), now)
    assert "backup" in caught.value.fix


def test_another_domain_is_refused(authority: Authority, now: datetime) -> None:
    with pytest.raises(
        PrerequisiteError, match=r"signs for lab\.localhost, the lab's domain is home\.example"
    ) as caught:
        load_authority(authority.certificate_pem, authority.key_pem.reveal(), domain="home.example", now=now)
    assert caught.value.fix.startswith("set the domain back to lab.localhost")


@pytest.mark.parametrize(("days", "match"), [(3650, "expired on"), (-1, "is valid only from")])
def test_outside_its_life_it_is_refused(authority: Authority, now: datetime, days: int, match: str) -> None:
    with pytest.raises(PrerequisiteError, match=match) as caught:
        load(authority.certificate_pem, authority.key_pem.reveal(), now + timedelta(days=days))
    assert caught.value.fix
    with pytest.raises(PrerequisiteError, match=match):
        issue(authority, CertificateSpec((DOMAIN,)), now + timedelta(days=days))


@pytest.mark.parametrize(
    "damage",
    [lambda pem: pem[:0], lambda pem: pem[:-60], lambda pem: b"\xff\0" + pem[30:], lambda pem: pem.replace(b"M", b"N")],
)
def test_damaged_files_are_refused(authority: Authority, now: datetime, damage: Callable[[bytes], bytes]) -> None:
    certificate_pem, key_pem = authority.certificate_pem, authority.key_pem.reveal()
    with pytest.raises(PrerequisiteError) as of_certificate:
        load(damage(certificate_pem), key_pem, now)
    assert "ca.crt" in of_certificate.value.what
    with pytest.raises(PrerequisiteError) as of_key:
        load(certificate_pem, damage(key_pem), now)
    assert "ca.key" in of_key.value.what
    assert of_key.value.fix == of_certificate.value.fix


def test_a_key_of_another_kind_is_refused(authority: Authority, now: datetime) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(PrerequisiteError, match=r"ca\.key"):
        load(authority.certificate_pem, key, now)


def test_a_server_certificate_is_no_authority(authority: Authority, now: datetime) -> None:
    leaf = issue(authority, CertificateSpec((DOMAIN,)), now)
    with pytest.raises(PrerequisiteError, match="is not the certificate of a lab's certificate authority"):
        read_authority(leaf.chain_pem)


def test_an_authority_without_bounds_is_refused(now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signs for everything")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(PrerequisiteError, match="is not the certificate of a lab's certificate authority"):
        read_authority(certificate.public_bytes(Encoding.PEM))


def secret_lines(key: PrivateKeyPem) -> list[str]:
    return [line for line in key.reveal().decode().splitlines() if "-----" not in line]


def test_the_key_prints_nowhere(authority: Authority, now: datetime, caplog: pytest.LogCaptureFixture) -> None:
    issued = issue(authority, CertificateSpec((DOMAIN,)), now)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().warning("%s %r %s", authority, issued, {"key": authority.key_pem})
    for key in (authority.key_pem, issued.key_pem):
        shown = [repr(key), str(key), f"{key}", "%s" % key, repr(authority), str(authority), repr(issued)]  # noqa: UP031
        shown += [repr(dataclasses.asdict(authority)), caplog.text]
        assert secret_lines(key)
        assert not [line for line in secret_lines(key) for text in shown if line in text]


@pytest.mark.parametrize("damage", [lambda pem: pem, lambda pem: pem[: len(pem) // 2], lambda pem: pem + pem[40:]])
def test_no_exception_holds_the_key(authority: Authority, now: datetime, damage: Callable[[bytes], bytes]) -> None:
    other = create_authority(DOMAIN, now)
    with pytest.raises(PrerequisiteError) as caught:
        load(authority.certificate_pem, damage(other.key_pem.reveal()), now)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.to_dict())
    assert not [line for line in secret_lines(other.key_pem) if line[:20] in told]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
