"""Handing a request on to an app and its answer back, as Traefik would: until Traefik does it itself.

Host and every other end-to-end field stay as they came, X-Forwarded-* too: Traefik has set them, and one hop more on
the same machine is no news to the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

from .client import connect
from .routes import MARK
from .wire import Body, WireError, answer_body, chunk, framing, head_bytes, last_chunk, parse_answer

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .server import Exchange
    from .settings import Address
    from .wire import Head, Stream

log = logging.getLogger("waker.proxy")

CONNECT_SECONDS = 3.0
CONNECT_PAUSE = 0.05


class UnreachableError(Exception):
    """The app takes no connection: nothing of the request has been sent."""


class Source(Protocol):
    """Where a request's body comes from."""

    body: Body

    async def read(self) -> bytes: ...


async def reach(target: Address) -> Stream:
    """A connection to the app, tried for a few seconds. Raises `UnreachableError`."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    return await connect(target.host, target.port)
                await asyncio.sleep(CONNECT_PAUSE)
    except TimeoutError:
        raise UnreachableError from None


async def hand_on(exchange: Exchange, app: Stream, source: Source) -> None:
    """One request, its answer, and whatever follows an upgrade. Closes `app`, and the client's connection too where
    the answer breaks off. Raises `OSError` and `WireError`; the client has got no answer then if none was started."""
    exchange.handed_on = True
    sending = asyncio.create_task(_send(exchange, app, source))
    answering = asyncio.create_task(_answer(exchange, app))
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            await _client_is_done(sending)
        upgraded = await answering
        await _cancelled(sending)
        if upgraded:
            await _tunnel(exchange.stream, app)
        else:
            # Where it has answered without reading everything, it may never read the rest.
            app.abort()
    except BaseException:
        app.abort()
        raise
    finally:
        await _cancelled(sending)
        await _cancelled(answering)
        await app.close()


async def _client_is_done(sending: asyncio.Task[None]) -> None:
    """What to make of it that the sending side has ended before the answer."""
    fault = sending.exception()
    if fault is None:
        raise ConnectionResetError("the client has gone")
    if isinstance(fault, TimeoutError) or not isinstance(fault, OSError):
        raise fault
    # The app takes no more of the body. It may well say why.


async def _send(exchange: Exchange, app: Stream, source: Source) -> None:
    """Send the request; then return when the client goes."""
    head, body = exchange.head, source.body
    fields = [(name, value) for name, value in head.end_to_end() if name.lower() not in (MARK.lower(), "expect")]
    fields += framing(body)
    fields += [("Connection", "Upgrade"), ("Upgrade", head.get("upgrade"))] if head.upgrades else []
    fields += [] if head.upgrades else [("Connection", "close")]
    await app.send(head_bytes(f"{head.method} {head.target} HTTP/1.1", fields))
    await _copy(source, body, app)
    await exchange.stream.until_gone()


async def _answer(exchange: Exchange, app: Stream) -> bool:
    """Send the answer on; whether it is another protocol from here on."""
    while True:
        text = await app.head()
        if not text:
            raise ConnectionResetError("the app has closed the connection without an answer")
        head = parse_answer(text)
        if head.status >= 200:
            break
        if head.status == 101:
            return _upgrade(exchange, head)
        # 103 Early Hints and the like. 100 is nobody's business: `Expect` was not sent on.
        if head.status != 100:
            exchange.stream.write(head_bytes(_status_line(head), head.fields))
    body = answer_body(head, app, exchange.head.method)
    exchange.started = True
    exchange.stream.write(head_bytes(_status_line(head), [*head.end_to_end(), *framing(body)]))
    try:
        await _copy(body, body, exchange.stream)
    except (OSError, WireError):
        exchange.stream.abort()
        raise
    return False


def _upgrade(exchange: Exchange, head: Head) -> bool:
    exchange.started = exchange.last = True
    exchange.stream.write(head_bytes(_status_line(head), head.fields))
    return True


def _status_line(head: Head) -> str:
    return f"HTTP/1.1 {head.status} {head.reason}"


async def _copy(source: Source | Body, body: Body, to: Stream) -> None:
    in_chunks = body.length is None
    while piece := await source.read():
        await to.send(chunk(piece) if in_chunks else piece)
    await to.send(last_chunk(body.trailers) if in_chunks else b"")


async def _tunnel(client: Stream, app: Stream) -> None:
    """Bytes both ways, until either side ends."""
    ways = {asyncio.create_task(_pour(client, app)), asyncio.create_task(_pour(app, client))}
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            await _cancelled(way)


async def _pour(source: Stream, to: Stream) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read():
            await to.send(piece)


async def _cancelled(task: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError, WireError):
        await task


async def until_gone(work: Coroutine[object, object, None], gone: Coroutine[object, object, None]) -> bool:
    """Do the work unless the client goes first; whether it was done. Raises what either raises."""
    working, going = asyncio.create_task(work), asyncio.create_task(gone)
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            going.result()
            return False
        working.result()
        return True
    finally:
        await _cancelled(working)
        await _cancelled(going)
