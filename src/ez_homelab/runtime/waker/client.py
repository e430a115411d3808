"""Asking other programs over HTTP: Docker, Traefik, an app's health page. One connection for each question."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from .wire import LARGEST_HEAD, Body, Head, Stream, WireError, answer_body, head_bytes, parse_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 10.0
STALLED = 300.0
"""Seconds after which an app that takes nothing of what it is sent is given up. Long: it may be busy for minutes."""
LARGEST_ANSWER = 32_000_000


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The document in it. Raises `WireError`."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise WireError("the answer is no JSON") from None


async def connect(host: str, port: int) -> Stream:
    """A TCP connection, on which `send` does not wait for ever. Raises `OSError`."""
    return Stream(*await asyncio.open_connection(host, port, limit=LARGEST_HEAD), STALLED)


class Server:
    """A server by its address: http://name:port, tcp://name:port or unix:///path."""

    def __init__(self, address: str, largest: int = LARGEST_ANSWER) -> None:
        """`largest`: bytes of a whole answer."""
        self._largest = largest
        parts = urlsplit(address)
        self._path = parts.path if parts.scheme == "unix" else ""
        self._host = parts.hostname or "localhost"
        self._port = parts.port or 80

    async def ask(self, method: str, target: str, seconds: float = SECONDS) -> Answer:
        """The answer. Raises `OSError` (also `TimeoutError`) and `WireError`."""
        async with asyncio.timeout(seconds), self.asked(method, target) as (head, body):
            pieces, size = [], 0
            while piece := await body.read():
                size += len(piece)
                if size > self._largest:
                    raise WireError("the answer is too large")
                pieces.append(piece)
            return Answer(head.status, b"".join(pieces))

    @asynccontextmanager
    async def asked(self, method: str, target: str) -> AsyncIterator[tuple[Head, Body]]:
        """Head and body of an answer that may go on for long. Raises `OSError` and `WireError`."""
        stream = await self._connect()
        try:
            fields = [("Host", self._host), ("Connection", "close"), ("User-Agent", "ez-homelab-waker")]
            fields += [("Content-Length", "0")] if method == "POST" else []
            await stream.send(head_bytes(f"{method} {target} HTTP/1.1", fields))
            head = parse_answer(await stream.head())
            yield head, answer_body(head, stream, method)
        finally:
            stream.abort()

    async def _connect(self) -> Stream:
        if self._path:
            return Stream(*await asyncio.open_unix_connection(self._path, limit=LARGEST_HEAD))
        return await connect(self._host, self._port)
