"""Idle time goes by a clock that only goes forward; the wall clock may jump as it likes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.runtime.waker import activity
from ez_homelab.runtime.waker.apps import Apps
from ez_homelab.runtime.waker.keeper import Keeper, Tools
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import Settings
from ez_homelab.runtime.waker.states import State
from ez_homelab.runtime.waker.statistics import Statistics

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
NOON = 1_795_608_000.0


class Always:
    """Docker and Traefik that do all they are told."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def start(self, name: str) -> None:
        self.done.append(f"start {name}")

    async def stop(self, name: str) -> None:
        self.done.append(f"stop {name}")

    async def find(self, _name: str) -> Any:
        return type("Found", (), {"running": True, "over": False, "health": ""})

    async def confirm(self, _app: object, **_told: bool) -> bool:
        return True


class World:
    def __init__(self, folder: Path, hours: list[dict[str, str]]) -> None:
        app = {
            "name": "wiki",
            "title": "Wiki",
            "routes": [{"name": "wiki", "rule": "Host(`w`)", "url": "http://127.0.0.1:9"}],
            "containers": [{"name": "wiki"}],
            "idle": 600,
            "awake": hours,
        }
        (folder / "lazy.json").write_text(json.dumps({"version": 1, "title": "Lab", "apps": [app]}))
        self.monotonic, self.wall = 1000.0, NOON
        self.engine: Any = Always()
        tools = Tools(
            self.engine,
            RouteFiles(folder, "http://127.0.0.1:9095"),
            self.engine,
            Statistics(folder / "statistics.json"),
            lambda: self.monotonic,
            asyncio.Semaphore(4),
        )
        self.apps = Apps(Settings(folder / "lazy.json"), tools, lambda: self.wall)

    @property
    def keeper(self) -> Keeper:
        return self.apps.keepers["wiki"]

    async def tick(self, seconds: float) -> State:
        self.monotonic += seconds
        await self.apps._tick_once()
        await self.keeper.idle()
        return self.keeper.life.state


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: object) -> activity.Sight:
        return activity.Sight({}, Counter())

    monkeypatch.setattr(activity, "look", look)
    monkeypatch.setattr("ez_homelab.runtime.waker.keeper.SECOND_LOOK", 0)


@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY])
async def test_a_jump_of_the_wall_clock_changes_nothing(tmp_path: Path, jump: float) -> None:
    world = World(tmp_path, [])
    world.keeper.ask()
    await world.keeper.idle()
    assert await world.tick(200) is State.AWAKE
    world.wall += jump
    assert await world.tick(200) is State.AWAKE
    assert await world.tick(200) is State.AWAKE
    assert await world.tick(599) is State.ASLEEP
    assert world.engine.done == ["start wiki", "stop wiki"]


async def test_hours_go_by_the_wall_clock(tmp_path: Path) -> None:
    world = World(tmp_path, [{"from": "12:00", "until": "13:00"}])
    await world.tick(1)
    assert await world.tick(1) is State.AWAKE
    assert await world.tick(5000) is State.AWAKE
    world.wall += 3600
    assert await world.tick(10) is State.ASLEEP
    assert await world.tick(10) is State.ASLEEP
    assert world.engine.done == ["start wiki", "stop wiki"]


async def test_five_hundred_who_come_together_are_one_start(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    answers = Counter(world.keeper.ask().value for _ in range(500))
    await world.keeper.idle()
    assert answers == {"start": 1, "wait": 499}
    assert world.engine.done == ["start wiki"]
