"""The way in for root on the server: HTTP on a socket that only the waker's own user can open, and its client.

    docker exec waker python3 -m waker.admin status
    docker exec waker python3 -m waker.admin wake wiki

`GET /status`, `POST /apps/NAME/wake`, `POST /apps/NAME/sleep`. JSON comes back, `{"error": ..., "fix": ...}` where it
was not done.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from .client import Server
from .states import Answer, State
from .wire import WireError

if TYPE_CHECKING:
    from .apps import Apps
    from .keeper import Keeper
    from .server import Exchange
    from .telling import Telling

SOCKET = "/run/waker/admin.sock"
SECONDS = 600.0
LOOK_EVERY = 0.5
ORDER = re.compile(r"/apps/([^/]+)/(wake|sleep)")


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
            await _answer(
                exchange, 404, _error("the request is not known", "GET /status or POST /apps/NAME/wake|sleep")
            )
        elif (keeper := self._apps.keepers.get(order[1])) is None:
            await _answer(exchange, 404, _error(f"{order[1]} is no app that sleeps", "ez-homelab status"))
        else:
            document = await (self._wake(keeper) if order[2] == "wake" else self._sleep(keeper))
            await _answer(exchange, 409 if "error" in document else 200, document)

    async def _wake(self, keeper: Keeper) -> dict[str, Any]:
        began = keeper.now
        if keeper.ask(again=True) is not Answer.REFUSE:
            await keeper.settled()
        if keeper.life.state is State.AWAKE:
            return {"app": keeper.app.name, "state": "awake", "seconds": round(keeper.now - began, 3)}
        return _error(f"{keeper.app.name} has not started: {keeper.life.reason}", f"ez-homelab logs {keeper.app.name}")

    async def _sleep(self, keeper: Keeper) -> dict[str, Any]:
        name = keeper.app.name
        if self._apps.scheduled(keeper.app):
            return _error(f"{name} is kept awake at this hour", "change its hours, or wait until they are over")
        await keeper.settled()
        await keeper.idle()
        if keeper.life.state is State.AWAKE:
            await self._quiet(keeper)
            keeper.fall_asleep()
            await keeper.settled()
        if keeper.life.state in (State.ASLEEP, State.FAILED):
            return {"app": name, "state": keeper.life.state.value}
        return _error(f"{name} is in use: it stays awake", "try again when nobody uses it")

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


def _error(sentence: str, fix: str) -> dict[str, Any]:
    return {"error": sentence, "fix": fix}


async def ask(path: str, method: str, target: str) -> bytes:
    """The answer of the waker that listens there. Raises `OSError` and `WireError`."""
    return (await Server(f"unix://{path}").ask(method, target, SECONDS)).body


def main(arguments: list[str]) -> int:
    """The client: `status`, `wake APP` or `sleep APP`; the answer to standard output; exit 1 where it is an error."""
    requests = {1: ("GET", "/status"), 2: ("POST", "/apps/{1}/{0}")}
    method, target = requests.get(len(arguments), ("GET", ""))
    path = os.environ.get("WAKER_SOCKET", SOCKET)
    try:
        answer = asyncio.run(ask(path, method, target.format(*arguments) or "/"))
    except (OSError, WireError) as fault:
        answer = json.dumps(_error(f"the waker does not answer at {path}: {fault}", "ez-homelab logs waker")).encode()
    sys.stdout.buffer.write(answer)
    return 1 if not answer or b'"error"' in answer[:10] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
