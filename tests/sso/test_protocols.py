"""What is not one request and one answer: WebSockets, event streams, HTTP/2."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import pytest
from sso_lab import outside

from ez_homelab.testing.front.client import read_answer, request_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.testing.front import Front
    from ez_homelab.testing.front.gate import Gate

UPGRADE = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
]
NO_MASK = b"\0\0\0\0"


def upgrade_bytes(host: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    request = request_bytes("GET", host, "/socket", [*UPGRADE, *headers])
    return request.replace(b"Connection: close\r\n", b"")


def frame(connection: socket.socket) -> bytes:
    """The payload of the next unfragmented WebSocket frame (RFC 6455, 5.2)."""
    _, length = take(connection, 2)
    if length == 126:
        (length,) = struct.unpack(">H", take(connection, 2))
    return take(connection, length)


def take(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        assert more, "the connection ended"
        got += more
    return got


@pytest.mark.parametrize("host", ["one.lab.localhost", "two.lab.localhost", "handmade.lab.localhost"])
def test_a_websocket_without_a_session_is_not_upgraded(front: Front, host: str) -> None:
    before = front.asked()
    with front.client.connect(host, outside()) as connection:
        connection.sendall(upgrade_bytes(host))
        assert read_answer(connection).status in (302, 401)
    assert front.asked() == before


def test_a_websocket_of_somebody_signed_in_speaks_and_sees_no_session(front: Front, gate: Gate) -> None:
    with front.client.connect("one.lab.localhost") as connection:
        connection.sendall(upgrade_bytes("one.lab.localhost", [("Cookie", f"a=1; {gate.identity(['family'])}")]))
        assert head(connection).startswith(b"HTTP/1.1 101 ")
        shook = dict(json.loads(frame(connection))["headers"])
        connection.sendall(b"\x81\x85" + NO_MASK + b"hello")
        assert frame(connection) == b"hello"
    assert shook["Cookie"] == "a=1"
    assert shook["Remote-User"].startswith("verify-")
    assert shook["Remote-Groups"] == "family"


def test_a_websocket_of_a_bypassed_route_tells_no_forged_identity(front: Front) -> None:
    with front.client.connect("open.lab.localhost", outside()) as connection:
        connection.sendall(upgrade_bytes("open.lab.localhost", [("Remote-User", "anna"), ("Remote_User", "anna")]))
        assert head(connection).startswith(b"HTTP/1.1 101 ")
        shook = [name.lower() for name, _ in json.loads(frame(connection))["headers"]]
    assert not [name for name in shook if name.startswith("remote")]


def head(connection: socket.socket) -> bytes:
    """The head of an answer, nothing behind it taken."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += take(connection, 1)
    return got


def test_an_upgrade_that_fails_is_no_tunnel_to_the_app(front: Front) -> None:
    """What comes behind a refused upgrade on the same connection is a request like any other."""
    before = front.asked()
    with front.client.connect("one.lab.localhost", outside(), seconds=3) as connection:
        behind = b"GET /secret HTTP/1.1\r\nHost: one.lab.localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        connection.sendall(upgrade_bytes("one.lab.localhost") + behind)
        got = b""
        try:
            while more := connection.recv(65536):
                got += more
        except TimeoutError:
            pass
    assert b"101 Switching" not in got
    assert front.asked() == before


@pytest.mark.parametrize("protocol", ["h2c", "HTTP/2.0", "websocket, h2c"])
def test_an_upgrade_to_another_protocol_opens_nothing(front: Front, protocol: str) -> None:
    headers = [("Upgrade", protocol), ("Connection", "Upgrade, HTTP2-Settings"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    before = front.asked()
    with front.client.connect("one.lab.localhost", outside()) as connection:
        connection.sendall(
            request_bytes("GET", "one.lab.localhost", "/", headers).replace(b"Connection: close\r\n", b"")
        )
        assert read_answer(connection).status in (302, 400, 401)
    assert front.asked() == before


def test_an_event_stream_of_somebody_signed_in_flows(front: Front, gate: Gate) -> None:
    answer = front.client.ask("GET", "https://one.lab.localhost/events", [("Cookie", gate.identity())])
    assert answer.text.split() == ["data:", "0", "data:", "1", "data:", "2"]


def test_an_event_stream_without_a_session_is_refused(front: Front) -> None:
    before = front.asked()
    answer = front.client.ask(
        "GET", "https://one.lab.localhost/events", [("Accept", "text/event-stream")], address=outside()
    )
    assert answer.status == 401
    assert front.asked() == before


class Http2:
    """One request over HTTP/2, header by header as told (RFC 9113; headers as literals that no table keeps)."""

    def __init__(self, front: Front, host: str) -> None:
        context = ssl.create_default_context(cadata=front.client.trust)
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", front.client.port), 20, source_address=(outside(), 0))
        self._connection = context.wrap_socket(raw, server_hostname=host)
        assert self._connection.selected_alpn_protocol() == "h2"

    def ask(self, headers: list[tuple[str, str]]) -> bytes:
        """The answer's body, b"" where the stream was refused."""
        fields = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in headers)
        assert len(fields) < 16384
        with self._connection as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"") + _frame(1, 0x5, 1, fields))
            return self._body(connection)

    def _body(self, connection: ssl.SSLSocket) -> bytes:
        body = b""
        while True:
            try:
                length, kind, flags = _head(connection)
            except (AssertionError, OSError):
                return b""
            payload = take(connection, length)
            if kind == 0:
                body += payload
            if kind in (0, 1) and flags & 1:
                return body
            if kind in (3, 7):
                return b""


def _head(connection: ssl.SSLSocket) -> tuple[int, int, int]:
    high, low, kind, flags, _stream = struct.unpack(">BHBBI", take(connection, 9))
    return (high << 16) + low, kind, flags


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _literal(text: str) -> bytes:
    raw = text.encode("latin-1")
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


def request2(authority: str, path: str = "/", *more: tuple[str, str], method: str = "GET") -> list[tuple[str, str]]:
    pseudo = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
    return [*pseudo, ("accept", "text/html"), *more]


def test_http2_of_somebody_signed_in(front: Front, gate: Gate) -> None:
    """Cookies come in pieces over HTTP/2 (RFC 9113, 8.2.3): the session in one of its own."""
    told = Http2(front, "one.lab.localhost").ask(
        request2("one.lab.localhost", "/page", ("cookie", "a=1"), ("cookie", gate.identity()), ("cookie", "b=2"))
    )
    headers = dict(json.loads(told)["headers"])
    assert headers["Cookie"] == "a=1; b=2"
    assert headers["Remote-User"].startswith("verify-")


HTTP2_WITHOUT_A_SESSION = {
    "plainly": request2("one.lab.localhost"),
    "with the host of an open route": request2("one.lab.localhost", "/", ("host", "open.lab.localhost")),
    "with a forged identity": request2("one.lab.localhost", "/", ("remote-user", "anna"), ("remote_user", "anna")),
    "with forged forwarded headers": request2("one.lab.localhost", "/", ("x-forwarded-host", "open.lab.localhost")),
    "with a full address as path": request2("one.lab.localhost", "https://open.lab.localhost/"),
    "with dots": request2("native.lab.localhost", "/api/../private"),
    "with a fragment": request2("native.lab.localhost", "/private#/api/"),
    "with a backslash": request2("native.lab.localhost", "/api/..\\private"),
    "with a line break in a value": request2("one.lab.localhost", "/", ("x", "a\r\nRemote-User: anna")),
    "with another scheme": [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "one.lab.localhost"),
        (":path", "/"),
    ],
    "with two authorities": [*request2("open.lab.localhost")[:4], (":authority", "one.lab.localhost")],
    "with no authority": [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "one.lab.localhost")],
    "as a WebSocket (RFC 8441)": request2("one.lab.localhost", "/", method="CONNECT"),
}


@pytest.mark.parametrize("name", HTTP2_WITHOUT_A_SESSION)
def test_http2_without_a_session_opens_nothing(front: Front, name: str) -> None:
    before = front.asked()
    body = Http2(front, "one.lab.localhost").ask(HTTP2_WITHOUT_A_SESSION[name])
    assert b'"target"' not in body
    assert front.asked() == before


def test_http2_with_the_host_of_a_closed_route_sees_the_open_one_as_what_it_is(front: Front) -> None:
    told = Http2(front, "open.lab.localhost").ask(request2("open.lab.localhost", "/", ("host", "one.lab.localhost")))
    if told:
        assert dict(json.loads(told)["headers"])["Host"] == "open.lab.localhost"
