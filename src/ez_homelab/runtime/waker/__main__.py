"""`python3 -m waker`: the server that Traefik leads sleeping apps' names to, and what keeps the apps, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from contextlib import AsyncExitStack, suppress

from .admin import Administration
from .apps import Apps
from .descriptors import enough_for
from .docker import Docker
from .door import MOST, Door
from .held import Room
from .holds import Holds
from .metrics import MetricsFile
from .options import Options
from .pages import Pages
from .routes import RouteFiles
from .server import Server
from .settings import Settings, SettingsError
from .statistics import Statistics
from .telling import Telling
from .tools import Tools
from .traefik import Traefik

log = logging.getLogger("waker")


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises `SettingsError` and `OSError` where it cannot start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    told = MetricsFile(options.metrics)
    # Before anything can fail: what an earlier waker that was killed has told would pass for what is so now.
    told.remove()
    settings = Settings(options.config / "lazy.json")
    statistics = Statistics(options.data / "statistics.json")
    url = f"http://{options.address}:{options.port}"
    routes = RouteFiles(options.routes, url, options.nudge)
    tools = Tools(
        docker=Docker(options.docker),
        routes=routes,
        traefik=Traefik(options.traefik, url, routes.nudge),
        statistics=statistics,
        clock=time.monotonic,
        starts=asyncio.Semaphore(settings.lazy.starts_at_once),
        second_look=settings.lazy.second_look,
    )
    apps = Apps(settings, tools, Holds(options.data / "held.json"))
    telling = Telling(apps, statistics)
    door = Door(apps, Pages(), statistics, telling, Room(options.spool))
    async with AsyncExitStack() as closing:
        closing.push_async_callback(apps.stop)
        server = Server(door.handle, most=enough_for(MOST), beyond=door.turn_away)
        await server.start(options.address, options.port)
        closing.push_async_callback(server.stop)
        admin = Server(Administration(apps, telling).handle)
        await admin.start_unix(options.socket)
        closing.push_async_callback(admin.stop)
        log.info("ready: %d apps, on port %d", len(apps.keepers), options.port)
        keeping = asyncio.create_task(apps.run())
        waiting = asyncio.create_task(stop.wait())
        measuring = asyncio.create_task(told.keep(telling.metrics))
        await asyncio.wait({keeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (measuring, keeping):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    log.info("ended")


def main() -> int:
    """Exit 0 after SIGTERM, 1 where the waker could not start; the log says why."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(run(Options.from_environment()))
    except (SettingsError, OSError) as fault:
        log.error("the waker cannot start: %s", fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
