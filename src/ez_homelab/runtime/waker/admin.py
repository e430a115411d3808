"""The way in for root on the server: HTTP on a socket that only the waker's own user can open, and its client.

    docker exec waker python3 -m waker.admin status
    docker exec waker python3 -m waker.admin wake wiki
    docker exec waker python3 -m waker.admin hold wiki 600

`GET /status`; `POST /apps/NAME/wake`, `.../sleep`, `.../hold/SECONDS`, `.../release`. JSON comes back, `{"error": ...,
"kind": ..., "fix": ...}` where it was not done.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from .client import Server
from .holds import LONGEST
from .states import Answer, State
from .wire import WireError

if TYPE_CHECKING:
    from .apps import Apps
    from .keeper import Keeper
    from .server import Exchange
    from .telling import Telling

SOCKET = "/run/waker/admin.sock"
LOGS = "ez-homelab logs waker"
SECONDS = 86_400.0
"""The client's patience: the waker answers when a start has taken too long, and who runs the client has a limit too."""
LOOK_EVERY = 0.5
ORDER = re.compile(r"/apps/([^/]+)/(wake|sleep|release|hold/([0-9]{1,9}))")


class Administration:
    """Does what root asks for."""

    def __init__(self, apps: Apps, telling: Telling) -> None:
        self._apps = apps
        self._telling = telling

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        order = ORDER.fullmatch(exchange.path)
        if exchange.path == "/status":
            await _answer(exchange, 200, self._telling.status())
        elif order is None or exchange.head.method != "POST":
            known = "GET /status or POST /apps/NAME/wake|sleep|hold/SECONDS|release"
            await _answer(exchange, 404, _error("request", "the request is not known", known))
        elif (keeper := self._apps.keepers.get(unquote(order[1]))) is None:
            sentence = f"{unquote(order[1])} is no app that sleeps"
            await _answer(exchange, 404, _error("unknown", sentence, "ez-homelab status"))
        else:
            document = await self._done(keeper, order[2], order[3])
            await _answer(exchange, 409 if "error" in document else 200, document)

    async def _done(self, keeper: Keeper, order: str, seconds: str | None) -> dict[str, Any]:
        if seconds is not None:
            return await self._hold(keeper, float(seconds))
        orders = {"wake": self._wake, "sleep": self._sleep, "release": self._release}
        return await orders[order](keeper)

    async def _hold(self, keeper: Keeper, seconds: float) -> dict[str, Any]:
        name = keeper.app.name
        if not 0 < seconds <= LONGEST:
            return _error("request", f"{name} cannot be held for {seconds:g} s", f"1 to {LONGEST:.0f} seconds")
        if await self._apps.hold(keeper, seconds):
            return {"app": name, "state": "held", "seconds": seconds}
        return _error("route", f"{name} cannot be held: {keeper.trouble or 'its route changes'}", LOGS)

    async def _release(self, keeper: Keeper) -> dict[str, Any]:
        await self._apps.release(keeper)
        await keeper.settled()
        return {"app": keeper.app.name, "state": keeper.life.state.value, "reason": keeper.life.reason}

    async def _wake(self, keeper: Keeper) -> dict[str, Any]:
        began = keeper.now
        if keeper.ask(again=True) is not Answer.REFUSE:
            await keeper.settled()
        if keeper.life.state is State.AWAKE:
            return {"app": keeper.app.name, "state": "awake", "seconds": round(keeper.now - began, 3)}
        sentence = f"{keeper.app.name} has not started: {keeper.life.reason}"
        # A route is named after its app; the group may have a name that no command knows.
        return _error("failed", sentence, f"ez-homelab logs {keeper.app.routes[0].name}")

    async def _sleep(self, keeper: Keeper) -> dict[str, Any]:
        name = keeper.app.name
        if self._apps.scheduled(keeper.app):
            return _error(
                "hours", f"{name} is kept awake at this hour", "change its hours, or wait until they are over"
            )
        if keeper.held:
            return _error("held", f"{name} is being changed", "try again when that is done")
        await keeper.settled()
        await keeper.idle()
        if keeper.life.state is State.AWAKE:
            await self._quiet(keeper)
            keeper.fall_asleep()
            await keeper.settled()
        if keeper.life.state in (State.ASLEEP, State.FAILED):
            return {"app": name, "state": keeper.life.state.value}
        if keeper.trouble:
            return _error("route", f"{name} stays awake: {keeper.trouble}", LOGS)
        return _error("in use", f"{name} is in use: it stays awake", "try again when nobody uses it")

    async def _quiet(self, keeper: Keeper) -> None:
        """Return when nobody uses it. What the last look does not know yet counts as use, and so does a connection that
        Traefik keeps for the next request: the wait is a little longer than that."""
        patience = self._apps.settings.lazy.keep_connections + LOOK_EVERY
        for _ in range(math.ceil(patience / LOOK_EVERY)):
            in_use = await keeper.look(await self._apps.look())
            keeper.observe(in_use)
            if in_use is False:
                return
            await asyncio.sleep(LOOK_EVERY)


async def _answer(exchange: Exchange, status: int, document: dict[str, Any]) -> None:
    await exchange.answer(status, json.dumps(document).encode() + b"\n", [("Content-Type", "application/json")])


def _error(kind: str, sentence: str, fix: str) -> dict[str, Any]:
    return {"error": sentence, "kind": kind, "fix": fix}


async def ask(path: str, method: str, target: str) -> bytes:
    """The answer of the waker that listens there. Raises `OSError` and `WireError`."""
    return (await Server(f"unix://{path}").ask(method, target, SECONDS)).body


def main(arguments: list[str]) -> int:
    """The client: `status`, `wake GROUP`, `sleep GROUP`, `hold GROUP SECONDS` or `release GROUP`; the answer to
    standard output; exit 1 where it is an error."""
    requests = {1: ("GET", "/status"), 2: ("POST", "/apps/{1}/{0}"), 3: ("POST", "/apps/{1}/{0}/{2}")}
    method, target = requests.get(len(arguments), ("GET", "/"))
    path = os.environ.get("WAKER_SOCKET", SOCKET)
    try:
        answer = asyncio.run(ask(path, method, target.format(*(quote(one, safe="") for one in arguments))))
    except (OSError, WireError) as fault:
        answer = json.dumps(_error("silent", f"the waker does not answer at {path}: {fault}", LOGS)).encode()
    sys.stdout.buffer.write(answer)
    return 1 if not answer or b'"error"' in answer[:10] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
