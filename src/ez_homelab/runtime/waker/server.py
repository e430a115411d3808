"""The waker's own server: for Traefik on a TCP port, for root on a Unix socket."""

from __future__ import annotations

import asyncio
import logging
import os
from http import HTTPStatus
from typing import TYPE_CHECKING

from .wire import LARGEST_HEAD, Stream, WireError, chunk, head_bytes, parse_request, request_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from .wire import Body, Head

log = logging.getLogger("waker.server")

IDLE = 120.0
"""Seconds between two requests. Longer than Traefik keeps a connection (90 s), so that it is Traefik who lets go."""
CLOSING = 2.0
BACKLOG = 1024
TOLD = 200
"""So many connections past the limit are answered; those past these are closed."""

Fields = list[tuple[str, str]]


class Exchange:
    """One request and its answer."""

    def __init__(self, head: Head, body: Body, stream: Stream) -> None:
        self.head = head
        self.body = body
        self.stream = stream
        self.started = False
        """Whether an answer has begun: after that no other one can be given."""
        self.last = False
        """Whether the connection ends with this answer."""
        self.handed_on = False
        """Whether an app may have it already. Then nobody may be asked to repeat it: it could be done twice."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.head.target.partition("?")[0]

    @property
    def may_go_on(self) -> bool:
        """Whether another request can follow on the same connection."""
        kept = self.head.minor == 1 and "close" not in self.head.words("connection")
        return kept and self.started and self.body.complete and not self.last

    async def answer(self, status: int, content: bytes = b"", fields: Iterable[tuple[str, str]] = ()) -> None:
        """Answer with a whole content."""
        told = [*fields, ("Content-Length", str(len(content))), ("Cache-Control", "no-store")]
        self.begin(status, told, b"" if self.head.method == "HEAD" else content)
        await self.stream.send(b"")

    async def say(self, status: int, text: str, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Answer with a line of text."""
        await self.answer(status, f"{text}\n".encode(), [("Content-Type", "text/plain; charset=utf-8"), *fields])

    def begin(self, status: int, fields: Fields, content: bytes = b"") -> None:
        """Send the head of an answer of the waker's own, and what is there of its body."""
        self.started = True
        self.last = self.last or not self.body.complete
        fields = [*fields, ("Connection", "close")] if self.last else fields
        self.stream.write(head_bytes(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", fields) + content)

    async def send_chunk(self, piece: bytes) -> None:
        """Send a piece of an answer that was begun with `Transfer-Encoding: chunked`."""
        await self.stream.send(chunk(piece))


class Server:
    """Hands every request to `handle`."""

    def __init__(
        self,
        handle: Callable[[Exchange], Awaitable[None]],
        *,
        most: int | None = None,
        beyond: Callable[[Exchange], Awaitable[None]] | None = None,
        largest_head: int = LARGEST_HEAD,
    ) -> None:
        """`most`: connections at a time, of which further ones are closed at once; where there is `beyond`, the first
        of them are answered by it. `largest_head`: bytes."""
        self._handle = handle
        self._most = most
        self._beyond = beyond
        self._limit = largest_head
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int) -> int:
        """Listen on a TCP port; the port, which is a free one for 0. Raises `OSError`."""
        server = await asyncio.start_server(self._accept, address, port, limit=self._limit, backlog=BACKLOG)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def start_unix(self, path: Path, mode: int = 0o600) -> None:
        """Listen on a Unix socket that only this user can open, unless `mode` says otherwise. One that a killed
        program left behind is replaced."""
        path.unlink(missing_ok=True)
        before = os.umask(0o777 & ~mode)
        try:
            self._servers.append(
                await asyncio.start_unix_server(self._accept, path, limit=self._limit, backlog=BACKLOG)
            )
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Stop listening; whoever waits still is told to come again."""
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        stream = Stream(reader, writer)
        too_many = self._are_more_than(0)
        if too_many and (self._beyond is None or self._are_more_than(TOLD)):
            stream.abort()
            return
        try:
            while await self._one(stream, too_many=too_many):
                pass
            await stream.close()
        except (OSError, WireError, TimeoutError):
            stream.abort()
        except asyncio.CancelledError:
            stream.abort()

    def _are_more_than(self, further: int) -> bool:
        """Whether there are more connections than may be, and than so many further ones."""
        return self._most is not None and len(self._tasks) > self._most + further

    async def _one(self, stream: Stream, *, too_many: bool) -> bool:
        """Serve one request; whether another can follow."""
        async with asyncio.timeout(IDLE):
            text = await stream.head()
        if not text:
            return False
        try:
            head = parse_request(text)
            exchange = Exchange(head, request_body(head, stream), stream)
        except WireError as fault:
            await stream.send(_refusal(fault.status))
            return False
        if "100-continue" in head.words("expect") and not exchange.body.complete:
            stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        still = too_many and self._are_more_than(0)
        await self._handled(exchange, self._beyond if still and self._beyond else self._handle)
        if exchange.started and not exchange.body.complete:
            await stream.let_go(CLOSING)
        return exchange.may_go_on

    async def _handled(self, exchange: Exchange, handle: Callable[[Exchange], Awaitable[None]]) -> None:
        try:
            await handle(exchange)
        except asyncio.CancelledError:
            if not exchange.started:
                await _say_the_end(exchange)
                await exchange.stream.close()
            raise
        except (OSError, WireError):
            raise
        except Exception:
            log.exception("a request has failed")
            if not exchange.started:
                await exchange.say(500, "The waker has failed; its log says why.")
            exchange.last = True


async def _say_the_end(exchange: Exchange) -> None:
    if exchange.handed_on:
        await exchange.say(502, "The waker ended before the app answered. What was asked may have been done.")
    else:
        await exchange.say(503, "The waker is restarting.", [("Retry-After", "1")])


def _refusal(status: int) -> bytes:
    return head_bytes(
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", [("Content-Length", "0"), ("Connection", "close")]
    )
