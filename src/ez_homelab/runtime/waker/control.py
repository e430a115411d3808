"""`python3 -m waker.control`: what stands between the waker and Docker, in a container of its own.

It has the engine's socket and no network; the waker has a socket of its making, in a volume that the two share. What
is asked there is done for containers that lazy.json names and for no other, and answered with what the waker needs to
know: never with a container's environment. It keeps the waker itself running too (see guard.py).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .docker import EVENTS_QUERY, LIST_QUERY, LOG_QUERY, Docker, DockerError, unix_time
from .guard import TRAEFIK, WAKER, Guard
from .options import ControlOptions
from .proxy import until_gone
from .server import Server
from .settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .server import Exchange

log = logging.getLogger("waker.control")

MOST_CONNECTIONS = 256
LARGEST_HEAD = 16_384
LARGEST_ANSWER = 8_000_000
LARGEST_LOG = 262_144
BEFORE_START = 2
"""Seconds. Docker notes a start after it, and what ends at once has then said all it had to say."""
SEND_SECONDS = 10.0
MOST_UNREAD = 1_000
"""Events that wait for a listener; one that is so far behind is sent away, and looks anew when it comes back."""
RECONNECT = (0.2, 5.0)
TARGET = re.compile(r"(?:/v1\.[0-9]{1,2})?(/[a-z_]+|/containers/([^/?]+)/([a-z]+)|/containers/json)(?:\?(.*))?")
LIKE_AN_ID = re.compile(r"[0-9a-f]+")
FIELDS = [("Content-Type", "application/json")]


class Events:
    """Docker's events, heard once and told to whoever listens."""

    def __init__(self, docker: Docker, guard: Guard) -> None:
        self._docker = docker
        self._guard = guard
        self._listeners: set[asyncio.Queue[tuple[str, str] | None]] = set()
        self.heard = False
        """Whether Docker is being listened to."""

    async def run(self) -> None:
        """Listen to Docker, until cancelled."""
        pause = RECONNECT[0]
        while True:
            try:
                async for name, action in self._docker.events():
                    pause, self.heard = RECONNECT[0], True
                    self._tell(name, action)
            except DockerError as fault:
                log.warning("%s; once more in %.1f s", fault, pause)
            self.heard = False
            for listener in tuple(self._listeners):
                self._send_away(listener)
            await asyncio.sleep(pause)
            pause = min(pause * 2, RECONNECT[1])

    def listen(self) -> asyncio.Queue[tuple[str, str] | None]:
        """A queue of names and what happens to them; None at its end."""
        listener: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue(MOST_UNREAD)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: asyncio.Queue[tuple[str, str] | None]) -> None:
        """Nobody reads this queue any more."""
        self._listeners.discard(listener)

    def _tell(self, name: str, action: str) -> None:
        if name in ("", TRAEFIK, WAKER):
            self._guard.soon()
        for listener in tuple(self._listeners) if name else ():
            if listener.full():
                self._send_away(listener)
            else:
                listener.put_nowait((name, action))

    def _send_away(self, listener: asyncio.Queue[tuple[str, str] | None]) -> None:
        self.leave(listener)
        while listener.full():
            listener.get_nowait()
        listener.put_nowait(None)


class Filter:
    """Answers what the waker asks of Docker, and refuses everything else."""

    def __init__(self, settings: Settings, docker: Docker, events: Events) -> None:
        self._settings = settings
        self._docker = docker
        self._events = events

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        found = TARGET.fullmatch(exchange.head.target)
        try:
            if found is None or not exchange.body.complete or not await self._answered(exchange, found):
                log.warning("refused: %s %s", exchange.head.method, exchange.head.target[:200])
                await _message(exchange, 403, "this is not allowed")
        except DockerError as fault:
            await _message(exchange, fault.status or 502, fault.detail or str(fault))

    async def health(self, exchange: Exchange) -> None:
        """What its own container's health check asks: whether Docker answers."""
        try:
            await self._docker.ping()
        except DockerError as fault:
            await exchange.say(503, str(fault))
        else:
            await exchange.say(200, "ok")

    async def _answered(self, exchange: Exchange, found: re.Match[str]) -> bool:
        """Whether it was allowed, and has its answer."""
        method, path, name, what, query = exchange.head.method, found[1], found[2], found[3], found[4] or ""
        match (method, path, query):
            case ("GET", "/_ping", ""):
                await _answer(exchange, 200, b"OK", [("Api-Version", await self._docker.ping())])
                return True
            case ("GET", "/containers/json", _) if query == LIST_QUERY:
                await _json(exchange, await self._list())
                return True
            case ("GET", "/events", _) if query == EVENTS_QUERY:
                await self._follow(exchange)
                return True
        return bool(name) and await self._answered_of(exchange, f"{method} {what}?{query}", unquote(name))

    async def _answered_of(self, exchange: Exchange, request: str, name: str) -> bool:
        if name not in self._names():
            return False
        match request:
            case "GET json?":
                await _json(exchange, await self._one(await self._exactly(name)))
            case "POST start?" | "POST stop?":
                await _answer(exchange, await self._docker.tell(await self._exactly(name), request[5:-1]))
            case _ if request == f"GET logs?{LOG_QUERY}":
                await _answer(exchange, 200, await self._last_words(await self._exactly(name)))
            case _:
                return False
        return True

    async def _last_words(self, name: str) -> bytes:
        """Of its last start alone: what it said before tells who used it then, and nothing of why it failed now."""
        started = unix_time((await self._docker.find(name)).started)
        since = str(started - BEFORE_START) if started else ""
        return await self._docker.raw_log(name, LARGEST_LOG, since=since)

    async def _exactly(self, name: str) -> str:
        """What Docker takes for this container alone: where it is gone, its name could begin another one's id."""
        return await self._docker.identity(name) if LIKE_AN_ID.fullmatch(name) else name

    def _names(self) -> set[str]:
        self._settings.reload()
        return {container.name for app in self._settings.lazy.apps.values() for container in app.containers}

    async def _list(self) -> list[dict[str, Any]]:
        states, names = await self._docker.states(), self._names()
        return [{"Names": [f"/{name}"], "State": state} for name, state in states.items() if name in names]

    async def _one(self, name: str) -> dict[str, Any]:
        found = await self._docker.find(name)
        state: dict[str, Any] = {"Status": found.status, "ExitCode": found.exit_code}
        state |= {"Health": {"Status": found.health}} if found.health else {}
        return {"State": state, "Config": {"Tty": found.tty}}

    async def _follow(self, exchange: Exchange) -> None:
        if not self._events.heard:
            raise DockerError("Docker's events are not heard at the moment", 503)
        listener = self._events.listen()
        try:
            exchange.begin(200, [*FIELDS, ("Transfer-Encoding", "chunked")])
            await until_gone(self._tell(exchange, listener), exchange.stream.until_gone())
        finally:
            self._events.leave(listener)
            exchange.last = True

    async def _tell(self, exchange: Exchange, listener: asyncio.Queue[tuple[str, str] | None]) -> None:
        while (event := await listener.get()) is not None:
            name, action = event
            if name in self._names():
                document = {"Action": action, "Actor": {"Attributes": {"name": name}}}
                async with asyncio.timeout(SEND_SECONDS):
                    await exchange.send_chunk(json.dumps(document).encode() + b"\n")


async def _answer(
    exchange: Exchange, status: int, content: bytes = b"", fields: Iterable[tuple[str, str]] = ()
) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await exchange.answer(status, content, fields)


async def _json(exchange: Exchange, document: object) -> None:
    await _answer(exchange, 200, json.dumps(document).encode(), FIELDS)


async def _message(exchange: Exchange, status: int, text: str) -> None:
    await _answer(exchange, status, json.dumps({"message": text}).encode(), FIELDS)


async def run(options: ControlOptions) -> None:
    """Serve and guard until SIGTERM or SIGINT. Raises `SettingsError` and `OSError` where it cannot start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    docker = Docker(options.engine, LARGEST_ANSWER)
    guard = Guard(docker)
    events = Events(docker, guard)
    allowed = Filter(Settings(options.config / "lazy.json"), docker, events)
    async with AsyncExitStack() as closing:
        server = Server(allowed.handle, most=MOST_CONNECTIONS, largest_head=LARGEST_HEAD)
        await server.start_unix(options.socket, 0o660)
        closing.push_async_callback(server.stop)
        health = Server(allowed.health, most=MOST_CONNECTIONS, largest_head=LARGEST_HEAD)
        await health.start(options.address, options.port)
        closing.push_async_callback(health.stop)
        log.info("ready: at %s", options.socket)
        work = {asyncio.create_task(one) for one in (events.run(), guard.run(), stop.wait())}
        await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    log.info("ended")


def main() -> int:
    """Exit 0 after SIGTERM, 1 where it could not start; the log says why."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(run(ControlOptions.from_environment()))
    except (SettingsError, OSError) as fault:
        log.error("the waker's way to Docker cannot start: %s", fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
