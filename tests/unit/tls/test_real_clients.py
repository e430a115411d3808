"""What openssl and Python's own TLS client make of the certificates, over a real connection."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from ez_homelab.tls.authority import Authority, create_authority
from ez_homelab.tls.certificate import CertificateSpec, IssuedCertificate, issue, wanted_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

DOMAIN = "lab.localhost"
REFUSED_NAMES = [
    (x509.DNSName("evil.example"), "evil.example", "permitted subtree violation"),
    (x509.DNSName("evillab.localhost"), "evillab.localhost", "permitted subtree violation"),
    (x509.IPAddress(ip_address("127.0.0.1")), "127.0.0.1", "excluded subtree violation"),
    (x509.IPAddress(ip_address("::1")), "::1", "excluded subtree violation"),
]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def issued(authority: Authority, now: datetime) -> IssuedCertificate:
    return issue(authority, CertificateSpec(wanted_names(DOMAIN, ["core"])), now)


@contextlib.contextmanager
def serve_once(issued: IssuedCertificate, folder: Path) -> Iterator[int]:
    """A TLS server on 127.0.0.1 that greets one client; gives its port."""
    pair = folder / "pair.pem"
    pair.write_bytes(issued.key_pem.reveal() + issued.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def greet() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as plain:
            plain.settimeout(20)
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.sendall(b"hello")

    thread = threading.Thread(target=greet)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def ask(port: int, name: str, authority: Authority) -> bytes:
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.recv(5)


@pytest.mark.parametrize("name", [DOMAIN, "x.lab.localhost", "x.core.lab.localhost"])
def test_python_accepts_the_labs_names(
    issued: IssuedCertificate, authority: Authority, tmp_path: Path, name: str
) -> None:
    with serve_once(issued, tmp_path) as port:
        assert ask(port, name, authority) == b"hello"


@pytest.mark.parametrize("name", ["evil.example", "x.other.lab.localhost", "127.0.0.1"])
def test_python_refuses_other_names(issued: IssuedCertificate, authority: Authority, tmp_path: Path, name: str) -> None:
    with (
        serve_once(issued, tmp_path) as port,
        pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"),
    ):
        ask(port, name, authority)


@pytest.mark.parametrize(("san", "name", "reason"), REFUSED_NAMES)
def test_python_honours_the_constraints_of_a_stolen_key(
    sign_anything: Callable[..., IssuedCertificate],
    authority: Authority,
    tmp_path: Path,
    san: x509.GeneralName,
    name: str,
    reason: str,
) -> None:
    with (
        serve_once(sign_anything(san), tmp_path) as port,
        pytest.raises(ssl.SSLCertVerificationError, match=reason),
    ):
        ask(port, name, authority)


def test_python_refuses_another_authority_of_the_same_domain(
    issued: IssuedCertificate, now: datetime, tmp_path: Path
) -> None:
    with serve_once(issued, tmp_path) as port, pytest.raises(ssl.SSLCertVerificationError):
        ask(port, DOMAIN, create_authority(DOMAIN, now))


def openssl_verify(
    leaf_pem: bytes, authority: Authority, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "leaf.pem").write_bytes(leaf_pem)
    argv = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-no-CApath", "-no-CAstore"]
    files = ["-CAfile", str(folder / "ca.pem"), str(folder / "leaf.pem")]
    return subprocess.run([*argv, *options, *files], capture_output=True, text=True)


@needs_openssl
def test_openssl_accepts_the_chain(issued: IssuedCertificate, authority: Authority, tmp_path: Path) -> None:
    verified = openssl_verify(issued.chain_pem, authority, tmp_path, "-verify_hostname", "x.core.lab.localhost")
    assert (verified.returncode, verified.stdout.strip()) == (0, f"{tmp_path}/leaf.pem: OK")


@needs_openssl
@pytest.mark.parametrize(("san", "name", "reason"), REFUSED_NAMES)
def test_openssl_honours_the_constraints_of_a_stolen_key(
    sign_anything: Callable[..., IssuedCertificate],
    authority: Authority,
    tmp_path: Path,
    san: x509.GeneralName,
    name: str,
    reason: str,
) -> None:
    verified = openssl_verify(sign_anything(san).chain_pem, authority, tmp_path)
    assert verified.returncode != 0
    assert reason in verified.stderr
