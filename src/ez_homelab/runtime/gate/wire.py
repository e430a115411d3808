"""HTTP/1.1 as Traefik's forward-auth speaks it: GET, no body, many requests on one connection.

A server of its own because every request of every app waits for it: of the same trivial answer it gives 1.7 times as
many in a second as aiohttp's low-level server (wrk, 32 connections, two shared cores), whose parser does much that
cannot occur here. What can be read in two ways is refused, not interpreted.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("gate.wire")

LARGEST_HEAD = 65_536
"""Bytes of one request. Browsers keep some 4 KiB for each cookie, and cookies of the domain reach every app."""
MOST_FIELDS = 200
MOST_CONNECTIONS = 1_000
SLOWEST_HEAD = 10.0
"""Seconds from a request's first byte to its last."""
IDLE = 120.0
"""Seconds between two requests. Longer than Traefik keeps a connection (90 s), so that it is Traefik who lets go."""
SWEEP = 2.0

REQUEST_LINE = re.compile(r"([A-Z]{1,20}) (/[!-~]{0,2000}) HTTP/1\.[01]")
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
ONCE = frozenset(
    ("x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-requested-with", "connection")
)

REASONS = {
    200: "OK",
    302: "Found",
    303: "See Other",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


class Request(NamedTuple):
    """One request: field names in lower case, every character one byte."""

    method: str
    path: str
    fields: dict[str, str]


class WireError(Exception):
    """A request that gets this status, and no other one after it on the same connection."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def parse(head: str) -> Request:
    """The request of a head (without the empty line at its end). Raises `WireError`."""
    lines = head.split("\r\n")
    found = REQUEST_LINE.fullmatch(lines[0])
    if found is None or CONTROLS.search(head.replace("\r\n", "")):
        raise WireError(400)
    if len(lines) > MOST_FIELDS:
        raise WireError(431)
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not FIELD_NAME.fullmatch(name):
            raise WireError(400)
        name, value = name.lower(), value.strip(" \t")
        fields[name] = value if name not in fields else _joined(name, fields[name], value)
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        raise WireError(413)
    return Request(found[1], found[2].partition("?")[0], fields)


def _joined(name: str, before: str, value: str) -> str:
    if name in ONCE:
        raise WireError(400)
    return f"{before}; {value}" if name == "cookie" else f"{before}, {value}"


def response(status: int, fields: bytes = b"", body: bytes = b"") -> bytes:
    """A whole response. `fields`: lines that each end with CR LF."""
    return b"HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        *(status, REASONS[status].encode(), len(body)),
        *(fields, body),
    )


class Connection(asyncio.Protocol):
    """One connection of Traefik's."""

    def __init__(self, server: Wire) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self.since = 0.0
        """When it last did something: the first byte of a request, or the end of one."""

    @property
    def within_a_request(self) -> bool:
        """Whether part of a request has arrived."""
        return bool(self._unread)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP: it is a whole transport
        self.since = self._server.now()
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if not self._unread:
            self.since = self._server.now()
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0 and self._is_open:
            head, self._unread = self._unread[:end], self._unread[end + 4 :]
            self._answer(head)
            self.since = self._server.now()
        if len(self._unread) > LARGEST_HEAD and self._is_open:
            self.end(431)

    def pause_writing(self) -> None:
        if self._transport:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport:
            self._transport.resume_reading()

    def end(self, status: int = 0) -> None:
        """Close it, with a last answer where there is a status."""
        if self._transport and self._is_open:
            if status:
                self._transport.write(response(status, b"Connection: close\r\n"))
            self._transport.close()
        self._unread = b""

    @property
    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _answer(self, head: bytes) -> None:
        if len(head) > LARGEST_HEAD:
            self.end(431)
            return
        try:
            request = parse(head.decode("latin-1"))
            answer = self._server.answer(request)
        except WireError as fault:
            self.end(fault.status)
            return
        if self._transport:
            self._transport.write(answer)
            if request.fields.get("connection", "").lower() == "close":
                self._transport.close()


class Wire:
    """The server: hands requests to `answer`, and lets go of connections that are slow or idle."""

    def __init__(self, answer: Callable[[Request], bytes]) -> None:
        self.answer = answer
        self.connections: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; the port, which is a free one for 0."""
        self._server = await self._loop.create_server(lambda: Connection(self), address, port, backlog=512)
        self._sweep()
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._sweeper:
            self._sweeper.cancel()
        if self._server:
            self._server.close()
        for connection in tuple(self.connections):
            connection.end()

    def opened(self, connection: Connection) -> None:
        """A new connection; one too many is closed at once."""
        self.connections.add(connection)
        if len(self.connections) > MOST_CONNECTIONS:
            log.warning("more than %d connections: one is closed", MOST_CONNECTIONS)
            connection.end()

    def _sweep(self) -> None:
        now = self.now()
        for connection in tuple(self.connections):
            if connection.within_a_request and now - connection.since > SLOWEST_HEAD:
                connection.end(408)
            elif now - connection.since > IDLE:
                connection.end()
        self._sweeper = self._loop.call_later(SWEEP, self._sweep)
