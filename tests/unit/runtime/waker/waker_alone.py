"""One app's keeper by itself: Docker and Traefik are fakes that do as they are told, both clocks are the test's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ez_homelab.runtime.waker.apps import Apps
from ez_homelab.runtime.waker.docker import DockerError, Found
from ez_homelab.runtime.waker.holds import Holds
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import Settings
from ez_homelab.runtime.waker.statistics import Statistics
from ez_homelab.runtime.waker.tools import Tools

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.runtime.waker.keeper import Keeper
    from ez_homelab.runtime.waker.states import State

MEMORY = 64_000_000
NOON = 1_795_608_000.0


class Always:
    """Docker and Traefik that do all they are told, but for what a test says."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.up: set[str] = set()
        self.ready = True
        self.leads = True
        self.answering = True
        self.cannot = ""
        self.fault: DockerError | None = None
        self.started = asyncio.Event()

    async def start(self, name: str) -> bool:
        before = name in self.up
        self.done.append(f"start {name}")
        if name == self.cannot:
            raise DockerError(f"{name} cannot be started")
        self.up.add(name)
        self.started.set()
        return not before

    async def stop(self, name: str) -> None:
        self.done.append(f"stop {name}")
        self.up.discard(name)

    async def running(self) -> dict[str, bool]:
        if self.fault:
            raise self.fault
        return dict.fromkeys(self.up, True)

    async def find(self, _name: str) -> Found:
        return Found("running" if self.ready else "paused")

    async def log(self, _name: str, **_told: bool) -> list[str]:
        return ["its last line"]

    async def confirm(self, _app: object, **_told: bool) -> bool:
        return self.leads

    async def answers(self) -> bool:
        return self.answering


class World:
    def __init__(
        self,
        folder: Path,
        hours: list[dict[str, str]],
        extra: tuple[str, ...] = (),
        group: str = "wiki",
        host: str = "127.0.0.1",
    ) -> None:
        app = {
            "name": group,
            "title": "Wiki",
            "routes": [{"name": "wiki", "rule": "Host(`w`)", "url": f"http://{host}:9"}],
            "containers": [*({"name": name} for name in extra), {"name": "wiki"}],
            "idle": 600,
            "memory": MEMORY,
            "awake": hours,
        }
        (folder / "lazy.json").write_text(json.dumps({"version": 1, "title": "Lab", "apps": [app]}))
        self.monotonic, self.wall = 1000.0, NOON
        self.engine: Any = Always()
        self.folder = folder
        self.begin()

    def begin(self) -> None:
        """A waker that has just been started."""
        folder = self.folder
        self.statistics = Statistics(folder / "statistics.json")
        tools = Tools(
            self.engine,
            RouteFiles(folder, "http://127.0.0.1:9095"),
            self.engine,
            self.statistics,
            lambda: self.monotonic,
            asyncio.Semaphore(4),
            second_look=0,
        )
        holds = Holds(folder / "held.json", lambda: self.wall)
        self.apps = Apps(Settings(folder / "lazy.json"), tools, holds, lambda: self.wall)

    @property
    def keeper(self) -> Keeper:
        return self.apps.keepers["wiki"]

    async def tick(self, seconds: float) -> State:
        self.monotonic += seconds
        await self.apps._tick_once()
        await self.keeper.idle()
        return self.keeper.life.state
