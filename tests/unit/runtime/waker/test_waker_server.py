"""The waker's own server: how many it serves at a time, and what the others get. Real connections."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from ez_homelab.runtime.waker import server as room
from ez_homelab.runtime.waker.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ez_homelab.runtime.waker.server import Exchange

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def served(exchange: Exchange) -> None:
    await exchange.say(200, "served")


async def turned_away(exchange: Exchange) -> None:
    exchange.last = True
    await exchange.say(503, "too many", [("Retry-After", "5")])


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    try:
        yield await server.start("127.0.0.1", 0)
    finally:
        await server.stop()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, request: bytes = GET) -> bytes:
        """The head of the answer, b"" where there is none."""
        self.writer.write(request)
        async with asyncio.timeout(10):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
                await self.reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
        return head


async def dial(port: int, closing: AsyncExitStack) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    closing.callback(client.writer.close)
    return client


async def test_more_than_it_serves_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TOLD", 3)
    async with serving(Server(served, most=3, beyond=turned_away)) as port, AsyncExitStack() as closing:
        clients = [await dial(port, closing) for _ in range(3)]
        assert [(await client.ask())[:12] for client in clients] == [b"HTTP/1.1 200"] * 3
        beyond = [await dial(port, closing) for _ in range(3)]
        answers = [await client.ask() for client in beyond]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 503", b"HTTP/1.1 503", b"HTTP/1.1 503"]
        assert b"Retry-After: 5" in answers[0]
        assert b"Connection: close" in answers[0]
        assert await beyond[0].ask() == b""
        assert [(await client.ask())[:12] for client in clients] == [b"HTTP/1.1 200"] * 3


async def test_beyond_those_nobody_is_told_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TOLD", 1)
    async with serving(Server(served, most=1, beyond=turned_away)) as port, AsyncExitStack() as closing:
        first, second = await dial(port, closing), await dial(port, closing)
        assert (await first.ask())[:12] == b"HTTP/1.1 200"
        third = await dial(port, closing)
        assert await third.ask() == b""
        assert (await second.ask())[:12] == b"HTTP/1.1 503"
        assert (await first.ask())[:12] == b"HTTP/1.1 200"


async def test_who_was_one_too_many_is_served_once_there_is_room() -> None:
    async with serving(Server(served, most=1, beyond=turned_away)) as port, AsyncExitStack() as closing:
        first = await dial(port, closing)
        assert (await first.ask())[:12] == b"HTTP/1.1 200"
        second = await dial(port, closing)
        assert (await first.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))[:12] == b"HTTP/1.1 200"
        assert await first.reader.read() == b""
        assert (await second.ask())[:12] == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "descriptors"),
    [(1024, 3400, 1000, 3400), (1024, 4000, 1000, 3400), (3500, 3500, 1000, 3500), (1024, 2200, 600, 2200)],
)
def test_as_many_descriptors_as_a_thousand_connections_need(
    soft: int, hard: int, connections: int, descriptors: int
) -> None:
    code = (
        "import resource; from ez_homelab.runtime.waker.descriptors import enough_for;"
        "print(enough_for(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    argv = ["prlimit", f"--nofile={soft}:{hard}", sys.executable, "-c", code]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert shown.stdout.split() == [str(connections), str(descriptors)]


async def test_who_still_sends_gets_the_answer_all_the_same() -> None:
    """An end with bytes unread would be a reset, which costs a sender that is at it the answer."""
    async with serving(Server(turned_away)) as port, AsyncExitStack() as closing:
        client = await dial(port, closing)
        client.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n" + bytes(1_000_000))
        head = await client.ask(b"")
        assert head[:12] == b"HTTP/1.1 503"
        assert b"Connection: close" in head
        assert await client.reader.read() == b""
        client.writer.write(bytes(1_000_000))
        await client.writer.drain()
        client.writer.write(bytes(1_000_000))
        await client.writer.drain()
