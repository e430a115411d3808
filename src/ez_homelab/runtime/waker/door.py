"""Who comes to the waker, and what each one gets."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .held import HeldBody
from .pages import HEADERS, SENTENCES, Pages, is_signed_in, state_of, wants_page
from .proxy import UnreachableError, hand_on, reach, until_gone
from .routes import MARK, OWN_PATHS
from .states import UNSETTLED, Answer, State
from .wire import WireError, last_chunk

if TYPE_CHECKING:
    from .apps import Apps
    from .held import Room
    from .keeper import Keeper
    from .proxy import Source
    from .server import Exchange
    from .settings import LazyRoute
    from .statistics import Statistics
    from .telling import Telling

log = logging.getLogger("waker.door")

TRIES = 5
LARGEST_FORM = 16_384
MOST = 1000
"""Connections at a time, where there are file descriptors enough."""
PAUSE = 5
"""Seconds after which whoever was one too many may come again."""
SLOW = 2.0
"""An app that usually takes so many times its `page_after` shows the page at once."""


class Door:
    """Answers every request that Traefik sends to the waker."""

    def __init__(self, apps: Apps, pages: Pages, statistics: Statistics, telling: Telling, room: Room) -> None:
        self._apps = apps
        self._pages = pages
        self._statistics = statistics
        self._telling = telling
        self._room = room

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        mark = exchange.head.get(MARK.lower())
        if not mark:
            await self._local(exchange)
            return
        route, _, kind = mark.partition("/")
        found = self._apps.find(route)
        if found is None:
            await exchange.say(404, "No app that sleeps has this name any more.")
        elif kind == "page":
            await self._own(exchange, found[0])
        elif kind == "monitor":
            await self._monitor(exchange, *found)
        else:
            await self._visitor(exchange, *found)

    async def turn_away(self, exchange: Exchange) -> None:
        """One request more than may be here at a time."""
        exchange.last = True
        if exchange.head.get(MARK.lower()):
            await exchange.say(503, "Too many requests wait here.", [("Retry-After", str(PAUSE))])
        else:
            await self._local(exchange)

    async def _local(self, exchange: Exchange) -> None:
        """Who asks the waker itself, which only this network namespace can: no router sends a request without mark."""
        if exchange.path == "/health":
            # Where Traefik does not answer, the waker sits in a namespace that is nobody's: it serves no one.
            well = await self._apps.reaches_traefik()
            await exchange.say(200 if well else 503, "ok" if well else "Traefik does not answer.")
        elif exchange.path == "/metrics":
            fields = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]
            await exchange.answer(200, self._telling.metrics().encode(), fields)
        else:
            await exchange.say(404, "Nothing is here.")

    async def _visitor(self, exchange: Exchange, keeper: Keeper, route: LazyRoute) -> None:
        answer = keeper.ask()
        if answer is Answer.SERVE:
            await self._serve(exchange, keeper, route, _Live(exchange))
            return
        head = exchange.head
        if wants_page(head.method, head.get("accept"), head.get("sec-fetch-dest")):
            await self._browser(exchange, keeper, route)
        elif answer is Answer.REFUSE:
            await self._refuse(exchange, keeper)
        elif keeper.app.clients == "503":
            await self._come_again(exchange, keeper)
        else:
            await self._hold(exchange, keeper, route)

    async def _browser(self, exchange: Exchange, keeper: Keeper, route: LazyRoute) -> None:
        """An app that is quick needs no page: the answer itself is worth a moment's wait."""
        wakes = self._statistics.of(keeper.app.name)
        if wakes.p50 is None or wakes.p50 < SLOW * keeper.app.page_after:
            try:
                async with asyncio.timeout(keeper.app.page_after):
                    if not await until_gone(keeper.settled(), exchange.stream.until_gone()):
                        raise ConnectionResetError("the client has gone")
            except TimeoutError:
                pass
        if keeper.life.state is State.AWAKE:
            await self._serve(exchange, keeper, route, _Live(exchange))
            return
        title, head = self._apps.settings.lazy.title, exchange.head
        page = self._pages.page(keeper, wakes, title, head.target, signed_in=is_signed_in(head))
        await exchange.answer(503, page, [*HEADERS, ("Retry-After", "2")])

    async def _hold(self, exchange: Exchange, keeper: Keeper, route: LazyRoute) -> None:
        held = HeldBody(exchange.body, keeper.app.held_body, self._room)
        try:
            for _ in range(TRIES):
                if not await until_gone(keeper.settled(), _fill(held, exchange)):
                    raise ConnectionResetError("the client has gone")
                answer = keeper.ask()
                if answer is Answer.SERVE:
                    await self._serve(exchange, keeper, route, held)
                    return
                if answer is Answer.REFUSE:
                    break
            await self._refuse(exchange, keeper)
        finally:
            held.close()

    async def _serve(
        self, exchange: Exchange, keeper: Keeper, route: LazyRoute, source: Source, *, counts: bool = True
    ) -> None:
        """Hand it on. No moment lies between knowing that the app is awake and counting the request."""
        keeper.in_flight += counts
        port = 0
        try:
            app = await reach(route.target)
            port = 0 if counts else app.port
            keeper.own_ports.add(port)
            await hand_on(exchange, app, source)
        except UnreachableError:
            self._apps.soon()
            await exchange.say(502, f"{keeper.app.title} takes no connections.", [("Retry-After", "2")])
        except (OSError, WireError) as fault:
            log.info("%s: a request broke off: %s", keeper.app.name, fault or type(fault).__name__)
            if exchange.started:
                raise
            # No invitation to come again: the app may have done what it was asked to.
            exchange.last = True
            await exchange.say(502, f"{keeper.app.title} has given no answer.")
        finally:
            keeper.own_ports.discard(port)
            keeper.in_flight -= counts
            if counts:
                keeper.life.seen_in_use(keeper.now)

    async def _monitor(self, exchange: Exchange, keeper: Keeper, route: LazyRoute) -> None:
        """Who only looks wakes nothing: an app that sleeps is well, one that is awake answers for itself."""
        state = keeper.life.state
        if state is State.AWAKE:
            await self._serve(exchange, keeper, route, _Live(exchange), counts=False)
        elif state is State.FAILED:
            await self._refuse(exchange, keeper)
        else:
            await exchange.say(200, state.value)

    async def _own(self, exchange: Exchange, keeper: Keeper) -> None:
        name = exchange.path.removeprefix(OWN_PATHS)
        if name == "events":
            await self._events(exchange, keeper)
        elif name == "retry" and exchange.head.method == "POST":
            await self._retry(exchange, keeper)
        else:
            file = self._pages.file(name)
            if file is None:
                await exchange.say(404, "Nothing is here.")
            else:
                fields = [("Content-Type", file.kind), ("X-Content-Type-Options", "nosniff")]
                await exchange.answer(200, file.content, fields)

    async def _events(self, exchange: Exchange, keeper: Keeper) -> None:
        fields = [
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("Transfer-Encoding", "chunked"),
        ]
        exchange.begin(200, fields)
        await until_gone(self._tell(exchange, keeper), exchange.stream.until_gone())
        exchange.last = True

    async def _tell(self, exchange: Exchange, keeper: Keeper) -> None:
        while True:
            told = state_of(keeper, self._statistics.of(keeper.app.name))
            await exchange.send_chunk(b"data: %b\n\n" % json.dumps(told).encode())
            if keeper.life.state not in UNSETTLED or keeper.gone:
                break
            await keeper.changed(1.0)
        await exchange.stream.send(last_chunk([]))

    async def _retry(self, exchange: Exchange, keeper: Keeper) -> None:
        if exchange.head.get("sec-fetch-site") not in ("", "none", "same-origin"):
            await exchange.say(403, "This comes from another page.")
            return
        form = b""
        while piece := await exchange.body.read():
            form += piece
            if len(form) > LARGEST_FORM:
                await exchange.say(413, "This is too long.")
                return
        keeper.ask(again=True)
        to = parse_qs(form.decode("latin-1")).get("to", ["/"])[0]
        await exchange.answer(303, fields=[("Location", same_host(to))])

    async def _refuse(self, exchange: Exchange, keeper: Keeper) -> None:
        pause = max(1, round(keeper.life.retry_at - keeper.now))
        gone = "it sleeps no more" if keeper.gone else "it was stopped again and again"
        reason = keeper.life.reason or gone
        await exchange.say(503, f"{keeper.app.title} has not started: {reason}", [("Retry-After", str(pause))])

    async def _come_again(self, exchange: Exchange, keeper: Keeper) -> None:
        typical = self._statistics.of(keeper.app.name).p95 or 5.0
        left = max(1, round(typical - (keeper.now - keeper.life.since)))
        await exchange.say(503, f"{keeper.app.title} {SENTENCES[keeper.life.state]}", [("Retry-After", str(left))])


class _Live:
    """A body that comes as it is sent."""

    def __init__(self, exchange: Exchange) -> None:
        self.body = exchange.body

    async def read(self) -> bytes:
        return await self.body.read()


async def _fill(held: HeldBody, exchange: Exchange) -> None:
    """Read the body ahead, then return when the client goes."""
    await held.fill()
    if not exchange.body.complete:
        await asyncio.Event().wait()
    await exchange.stream.until_gone()


def same_host(target: str) -> str:
    """The target where it is a path of this host, "/" where it could lead elsewhere."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if plain and target.isascii() and target.isprintable() and " " not in target else "/"
