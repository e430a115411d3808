"""A client that sends exactly the bytes it is told to, over TLS, from the loopback address it is told to.

No library for HTTP requests does that: they all tidy up paths, hosts and headers, which is what attacks are made of.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_SECONDS = 20.0
Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status 0 says that the connection was closed without one; header names are in lower case."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first header of that name, "" where there is none."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every header of that name."""
        return tuple(value for key, value in self.headers if key == name.lower())

    @property
    def location(self) -> str:
        """Where it leads."""
        return self.header("location")

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def seen(self) -> Seen | None:
        """What the echo app was asked, where it is the one that answered."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return None
        if self.status != 200 or not isinstance(told, dict) or "target" not in told:
            return None
        return Seen(told["method"], told["target"], tuple((name, value) for name, value in told["headers"]))


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the echo app got it, headers in their own spelling."""

    method: str
    target: str
    headers: tuple[Header, ...]

    def header(self, name: str) -> str | None:
        """The header of that name in any case (several: joined by commas), None where the app got none."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    def like(self, name: str) -> tuple[Header, ...]:
        """Every header that an app could take for that one: `_` and `.` read as `-` in CGI, WSGI and PHP."""
        wanted = name.lower()
        return tuple((key, value) for key, value in self.headers if key.lower().translate(_ALIASES) == wanted)


_ALIASES = str.maketrans("_.", "--")


@dataclass(slots=True)
class Client:
    """Sends to one entrypoint of Traefik on 127.0.0.1; `trust` is the authority that its certificate must come from."""

    port: int
    trust: str
    _context: ssl.SSLContext = field(init=False)
    _sessions: dict[str, ssl.SSLSession] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._context = ssl.create_default_context(cadata=self.trust)
        # One protocol only: what a case is about must not depend on what the two sides agree on.
        self._context.set_alpn_protocols(["http/1.1"])

    def connect(self, host: str, address: str = "127.0.0.1", seconds: float = DEFAULT_SECONDS) -> ssl.SSLSocket:
        """A TLS connection for that name, from that loopback address. Raises `OSError`."""
        raw = socket.create_connection(("127.0.0.1", self.port), seconds, source_address=(address, 0))
        # The request follows the handshake's last piece at once instead of waiting 40 ms for its acknowledgement.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Resumed as browsers do: it spares both sides most of the work of a handshake.
        return self._context.wrap_socket(raw, server_hostname=host, session=self._sessions.get(host))

    def send(self, request: bytes, host: str, address: str = "127.0.0.1", seconds: float = DEFAULT_SECONDS) -> Answer:
        """What those bytes are answered with; `host` is only the name in the TLS handshake. Raises `TimeoutError`."""
        with self.connect(host, address, seconds) as connection:
            answer = exchange(connection, request)
            if connection.session is not None:
                self._sessions[host] = connection.session
            return answer

    def ask(
        self,
        method: str,
        url: str,
        headers: Iterable[Header] = (),
        *,
        body: bytes = b"",
        address: str = "127.0.0.1",
        seconds: float = DEFAULT_SECONDS,
        server_name: str = "",
    ) -> Answer:
        """Ask for an `https://host/target`, sent as it is written; a browser's Accept unless `headers` have one.

        `server_name` is the name in the TLS handshake where it is not the host.
        """
        host, target = split(url)
        return self.send(request_bytes(method, host, target, headers, body), server_name or host, address, seconds)


def split(url: str) -> tuple[str, str]:
    """Host and target of an URL, the target exactly as written."""
    rest = url.removeprefix("https://")
    host, slash, target = rest.partition("/")
    return host, slash + target or "/"


def request_bytes(method: str, host: str, target: str, headers: Iterable[Header] = (), body: bytes = b"") -> bytes:
    """One HTTP/1.1 request; the usual headers are added unless they are given."""
    given = list(headers)
    names = {name.lower() for name, _ in given}
    lines = [] if "host" in names else [("Host", host)]
    if "accept" not in names:
        lines.append(("Accept", "text/html"))
    if body and not names & {"content-length", "transfer-encoding"}:
        lines.append(("Content-Length", str(len(body))))
    text = "".join(f"{name}: {value}\r\n" for name, value in (*lines, *given))
    return f"{method} {target} HTTP/1.1\r\n{text}Connection: close\r\n\r\n".encode("latin-1") + body


def exchange(connection: socket.socket, request: bytes) -> Answer:
    """Send those bytes and read one answer. Raises `TimeoutError` where none comes."""
    method = request.split(b" ", 1)[0].decode("latin-1")
    # An answer that came before the whole request was taken is an answer.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        connection.sendall(request)
    return read_answer(connection, method)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on a connection. Raises `TimeoutError` where none comes."""
    reader = HTTPResponse(connection, method=method)
    try:
        reader.begin()
        headers = tuple((name.lower(), value) for name, value in reader.getheaders())
        return Answer(reader.status, headers, b"" if reader.status == 101 else reader.read())
    except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, HTTPException):
        return Answer(0)


def plain_ask(
    port: int, method: str, target: str, headers: Mapping[str, str] | Iterable[Header] = (), body: bytes = b""
) -> Answer:
    """Ask a program on 127.0.0.1 straight, around Traefik, without TLS: what a neighbour on its network could do."""
    pairs: Any = headers.items() if hasattr(headers, "items") else headers
    with socket.create_connection(("127.0.0.1", port), DEFAULT_SECONDS) as connection:
        return exchange(connection, request_bytes(method, f"127.0.0.1:{port}", target, pairs, body))


def leads_to(answer: Answer) -> str:
    """The host that a Location leads to, "" for a path on the same host or none."""
    return urlsplit(answer.location).netloc
