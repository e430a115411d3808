"""A real Chromium, with what it trusts in a home folder of its own, opens pages under the lab's certificate."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ez_homelab.hosts.local import LocalHost
from ez_homelab.tls.authority import Authority, create_authority, signing_key, to_pem
from ez_homelab.tls.certificate import CertificateSpec, IssuedCertificate, issue, wanted_names
from ez_homelab.tls.trust import trust_in_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOMAIN = "lab.localhost"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
)
PAGE = b"<!doctype html><title>page</title><p id=lab>the lab answered</p>"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"),
]


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that refuses the certificate is what this test is about."""


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(issued: IssuedCertificate, folder: Path) -> Iterator[int]:
    """An HTTPS server on 127.0.0.1; gives its port."""
    pair = folder / "pair.pem"
    pair.write_bytes(issued.key_pem.reveal() + issued.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = Server(("127.0.0.1", 0), Pages)
    # The handshake belongs into the request's own thread: a browser opens connections that it never uses.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def authority() -> Authority:
    return create_authority(DOMAIN, datetime.now(UTC))


@pytest.fixture
def port(authority: Authority, tmp_path: Path) -> Iterator[int]:
    spec = CertificateSpec(wanted_names(DOMAIN, ["core"]))
    with serving(issue(authority, spec, datetime.now(UTC)), tmp_path) as port:
        yield port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def browse(home: Path, url: str) -> str:
    """The page that Chromium shows, and what it says on standard error: there a refused certificate is named."""
    profile = home / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    argv = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}", "--dump-dom", url]
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    return ended.stdout + ended.stderr


def stolen_key_certificate(authority: Authority, name: str) -> IssuedCertificate:
    """What a thief of the authority's key could sign, past every check of ours."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(UTC) - timedelta(hours=1)
    leaf = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(authority.facts.key_id), None, None), critical=False)
        .sign(signing_key(authority), hashes.SHA256())
    )
    return IssuedCertificate(leaf.public_bytes(serialization.Encoding.PEM) + authority.certificate_pem, to_pem(key))


async def trust(authority: Authority, home: Path) -> None:
    await trust_in_chromium(LocalHost(), authority.certificate_pem, DOMAIN, str(home))


async def test_a_chromium_that_ran_before_opens_the_lab_once_it_trusts_it(
    authority: Authority, port: int, home: Path
) -> None:
    before = browse(home, f"https://x.{DOMAIN}:{port}/")
    assert "ERR_CERT_AUTHORITY_INVALID" in before
    assert "the lab answered" not in before

    await trust(authority, home)
    for name in (DOMAIN, f"x.{DOMAIN}", f"x.core.{DOMAIN}"):
        assert "the lab answered" in browse(home, f"https://{name}:{port}/")
    assert "ERR_CERT_COMMON_NAME_INVALID" in browse(home, f"https://x.other.{DOMAIN}:{port}/")


async def test_a_chromium_that_never_ran_opens_the_lab(authority: Authority, port: int, home: Path) -> None:
    await trust(authority, home)
    assert "the lab answered" in browse(home, f"https://x.{DOMAIN}:{port}/")


async def test_chromium_refuses_what_a_stolen_key_signs_for_another_site(
    authority: Authority, home: Path, tmp_path: Path
) -> None:
    await trust(authority, home)
    with serving(stolen_key_certificate(authority, f"x.{DOMAIN}"), tmp_path) as port:
        assert "the lab answered" in browse(home, f"https://x.{DOMAIN}:{port}/")
    with serving(stolen_key_certificate(authority, "evil.example"), tmp_path) as port:
        refused = browse(home, f"https://evil.example:{port}/")
    assert "net::ERR_CERT_" in refused
    assert "the lab answered" not in refused
