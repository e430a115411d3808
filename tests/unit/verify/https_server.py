"""A small true HTTPS server (and one for plain HTTP) on free ports of 127.0.0.1, with a lab's certificate."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from ez_homelab.tls.authority import Authority, create_authority
from ez_homelab.tls.certificate import CertificateSpec, issue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from pathlib import Path

Answered = int | tuple[int, str]


@dataclass
class Site:
    """What the two servers answer, by name and path; a value is a status, or a status and where it leads.

    `guard` is asked first, with the name, the path and the headers; None leaves it to `answers`. `posted`
    answers whatever is posted.
    """

    answers: dict[tuple[str, str], Answered] = field(default_factory=dict)
    guard: Callable[[str, str, Message], Answered | None] | None = None
    posted: Callable[[BaseHTTPRequestHandler], None] | None = None
    redirect: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)


@contextmanager
def running(site: Site, folder: Path, authority: Authority | None = None, *names: str) -> Iterator[Site]:
    """The site, up; certified by `authority` for `names`."""
    made = authority or create_authority("lab.localhost", datetime.now(UTC))
    issued = issue(made, CertificateSpec(names or ("*.lab.localhost",)), datetime.now(UTC))
    (folder / "chain.pem").write_bytes(issued.chain_pem)
    (folder / "key.pem").write_bytes(issued.key_pem.reveal())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    secure, plain = _server(site, secure=True), _server(site, secure=False)
    # Hands are shaken in each connection's own thread: a client that breaks off then keeps nobody waiting.
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    site.ports = {"http": plain.server_address[1], "https": secure.server_address[1]}
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (secure, plain)]
    for thread in threads:
        thread.start()
    try:
        yield site
    finally:
        for server, thread in zip((secure, plain), threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


def _server(site: Site, *, secure: bool) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = self.headers["Host"]
            site.asked.append((host, self.path))
            answer = _answer(site, host, self.path, self.headers) if secure else _redirect(site, host)
            status, location = answer if isinstance(answer, tuple) else (answer, "")
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            assert site.posted is not None
            site.posted(self)

        def log_message(self, *_arguments: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that does not trust us hangs up; that is what some tests are about."""

    return Quiet(("127.0.0.1", 0), Handler)


def _answer(site: Site, host: str, path: str, headers: Message) -> Answered:
    guarded = site.guard(host, path, headers) if site.guard else None
    return site.answers.get((host, path), 404) if guarded is None else guarded


def _redirect(site: Site, host: str) -> Answered:
    return (301, f"https://{host}/") if site.redirect else 200
