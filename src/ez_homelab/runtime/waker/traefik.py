"""What the waker asks of Traefik, on 127.0.0.1 of the network namespace that they share.

`GET /api/http/routers/NAME@file`, `GET /api/http/services/NAME@file` and `GET /metrics` of Traefik 3.7. The API is part
of the configuration it tells of: once it says the new one, requests go by the new one (facts measured on 3.7.15).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .client import Server
from .wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import LazyApp, LazyRoute

log = logging.getLogger("waker.traefik")

REQUESTS = "traefik_service_requests_total{"
FIRST_LOOK = 0.02
LAST_LOOK = 0.3
CONFIRM_SECONDS = 10.0
NUDGE_AGAIN = 2.0
"""Seconds after which a route that Traefik does not follow is pointed out to it once more."""


class TraefikError(Exception):
    """Traefik does not say what was asked; the text says why."""


class Traefik:
    """Traefik's API and metrics."""

    def __init__(self, address: str, waker: str, nudge: Callable[[], None] = lambda: None) -> None:
        """`waker`: the waker's own URL, as the route files have it; `nudge` has Traefik read these again."""
        self._server = Server(address)
        self._waker = waker
        self._nudge = nudge

    async def confirm(self, app: LazyApp, *, direct: bool, seconds: float = CONFIRM_SECONDS) -> bool:
        """Wait until Traefik leads every name of an app where its file says; False where it does not in that time."""
        try:
            async with asyncio.timeout(seconds):
                pause = FIRST_LOOK
                time = asyncio.get_running_loop().time
                nudge_at = time() + NUDGE_AGAIN
                while not await self.leads(app, direct=direct):
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.4, LAST_LOOK)
                    if time() >= nudge_at:
                        nudge_at = time() + NUDGE_AGAIN
                        self._point_out()
        except TimeoutError:
            return False
        return True

    def _point_out(self) -> None:
        try:
            self._nudge()
        except OSError as fault:
            log.warning("Traefik cannot be made to read the routes again: %s", fault)

    async def leads(self, app: LazyApp, *, direct: bool) -> bool:
        """Whether every name of an app leads to the app (or to the waker) right now; False where Traefik is silent."""
        for route in app.routes:
            try:
                if not await self._leads(route, direct=direct):
                    return False
            except (OSError, WireError):
                return False
        return True

    async def _leads(self, route: LazyRoute, *, direct: bool) -> bool:
        service = route.name if direct else f"{route.name}-waker"
        router = await self._document(f"/api/http/routers/{route.name}@file")
        if (router.get("rule"), router.get("service"), router.get("status")) != (route.rule, service, "enabled"):
            return False
        found = await self._document(f"/api/http/services/{service}@file")
        servers = (found.get("loadBalancer") or {}).get("servers") or []
        return [one.get("url") for one in servers] == [route.target.url if direct else self._waker]

    async def answers(self) -> bool:
        """Whether its API answers within a moment."""
        try:
            return (await self._server.ask("GET", "/api/version", 2.0)).status == 200
        except (OSError, WireError):
            return False

    async def finished(self) -> dict[str, float]:
        """Requests that have finished, by the name of their service. Raises `TraefikError`."""
        try:
            answer = await self._server.ask("GET", "/metrics")
        except (OSError, WireError) as fault:
            raise TraefikError(f"Traefik's metrics do not answer: {fault or type(fault).__name__}") from fault
        if answer.status != 200:
            raise TraefikError(f"Traefik's metrics answer {answer.status}")
        return requests_by_service(answer.body.decode("utf-8", "replace"))

    async def _document(self, target: str) -> dict[str, Any]:
        answer = await self._server.ask("GET", target, 3.0)
        if answer.status != 200:
            return {}
        document = answer.json()
        return document if isinstance(document, dict) else {}


def requests_by_service(text: str) -> dict[str, float]:
    """Sums of `traefik_service_requests_total` in Prometheus's text format."""
    sums: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith(REQUESTS):
            continue
        _, _, after = line.partition('service="')
        service, _, rest = after.partition('"')
        with suppress(ValueError, IndexError):
            sums[service] = sums.get(service, 0.0) + float(rest.rpartition("} ")[2].split()[0])
    return sums
