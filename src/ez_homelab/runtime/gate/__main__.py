"""`python3 -m gate`: the portal, the forward-auth server and the admin socket, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from aiohttp import web

from .accounts import Accounts
from .admin import Administration, listen
from .authorize import Authorizer
from .options import Options
from .policy import SettingsError
from .portal.app import SERVER_LIMITS, make_portal
from .settings import Settings
from .store import StoreError
from .wire import Wire

log = logging.getLogger("gate")

LOOK_EVERY = 1.0
MOST_FILES = 8_192
"""Docker may give a container 1024 (its own default since version 29). Connections of the portal and of forward-auth
come out of the same number, and without one left no app can be opened."""
CLOSING = 3.0
"""Seconds that a request of the portal may still take at the end."""


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `SettingsError`, `StoreError` and `OSError` where it cannot start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = Settings.load(options.config)
    accounts = Accounts.open(settings, options.data / "gate.db", options.read_key())
    async with AsyncExitStack() as closing:
        closing.callback(accounts.close)
        server = await listen(Administration(accounts, settings), options.socket)
        closing.callback(server.close)
        limits: dict[str, Any] = dict(SERVER_LIMITS)
        application = make_portal(accounts, settings)
        portal = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSING, **limits)
        await portal.setup()
        closing.push_async_callback(portal.cleanup)
        await web.TCPSite(portal, options.address, options.portal_port).start()
        wire = Wire(Authorizer(accounts, settings).answer)
        closing.push_async_callback(wire.stop)
        authorize_port = await wire.start(options.address, options.authorize_port)
        log.info("ready: portal on %d, forward-auth on %d", portal.addresses[0][1], authorize_port)
        await _look_until(stop, accounts)
    log.info("ended")


async def _look_until(stop: asyncio.Event, accounts: Accounts) -> None:
    while not stop.is_set():
        try:
            accounts.look()
        except Exception:
            log.exception("looking at what has changed failed; the gate goes on")
        try:
            await asyncio.wait_for(stop.wait(), LOOK_EVERY)
        except TimeoutError:
            continue


def _take_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, MOST_FILES), most))


def main() -> int:
    """Exit 0 after SIGTERM, 1 where the gate could not start; the log says why."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _take_files()
    try:
        uvloop.run(run(Options.from_environment()))
    except (SettingsError, StoreError, OSError) as fault:
        log.error("the gate cannot start: %s", fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
