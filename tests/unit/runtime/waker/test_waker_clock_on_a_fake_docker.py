"""Idle time goes by a clock that only goes forward; the wall clock may jump as it likes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from waker_alone import MEMORY, World

from ez_homelab.runtime.waker import activity
from ez_homelab.runtime.waker.admin import Administration
from ez_homelab.runtime.waker.holds import LONGEST, Hold, Holds
from ez_homelab.runtime.waker.states import State
from ez_homelab.runtime.waker.telling import Telling

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: object) -> activity.Sight:
        return activity.Sight({}, Counter())

    monkeypatch.setattr(activity, "look", look)


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


async def test_a_wake_by_its_hours_counts_and_the_figure_does_not_say_that_somebody_came(tmp_path: Path) -> None:
    world = World(tmp_path, [{"from": "12:00", "until": "13:00"}])
    await world.tick(1)
    assert await world.tick(1) is State.AWAKE
    lines = Telling(world.apps, world.statistics).metrics().splitlines()
    assert 'ez_homelab_group_wakes_total{group="wiki"} 1' in lines
    assert "# HELP ez_homelab_group_wakes_total How often it woke, for a visitor, by its hours or by an order." in lines


async def test_five_hundred_who_come_together_are_one_start(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    answers = Counter(world.keeper.ask().value for _ in range(500))
    await world.keeper.idle()
    assert answers == {"start": 1, "wait": 499}
    assert world.engine.done == ["start wiki"]


async def test_a_group_that_does_not_start_is_told_with_an_app_whose_log_can_be_read(tmp_path: Path) -> None:
    world = World(tmp_path, [], group="books")
    keeper = world.apps.keepers["books"]
    keeper.life.ask(keeper.now)
    keeper.life.fail(keeper.now, "it ended")
    telling = Telling(world.apps, world.statistics)
    told = await Administration(world.apps, telling)._wake(keeper)
    assert (told["error"], told["fix"]) == ("books has not started: it ended", "ez-homelab logs wiki")


async def test_only_an_app_that_sleeps_saves_memory(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    telling = Telling(world.apps, world.statistics)
    assert telling.memory_saved() == MEMORY
    world.keeper.life.ask(world.keeper.now)
    assert telling.memory_saved() == 0
    world.keeper.life.fail(world.keeper.now, "it ended")
    assert telling.memory_saved() == 0


async def test_a_hold_ends_by_itself(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    assert await world.apps.hold(world.keeper, 60)
    assert world.keeper.ask().value == "wait"
    world.wall += DAY
    assert await world.tick(59) is State.HELD
    assert await world.tick(2) is State.AWAKE
    assert world.engine.done == ["start wiki"]
    assert json.loads((tmp_path / "held.json").read_text()) == {}


async def test_what_slept_is_put_to_sleep_at_once_when_it_is_released(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    assert await world.apps.hold(world.keeper, 60)
    world.engine.up.add("wiki")
    await world.apps.release(world.keeper)
    await world.keeper.idle()
    assert world.keeper.life.state is State.ASLEEP
    assert world.engine.done == ["stop wiki"]
    await world.apps.release(world.keeper)
    assert world.keeper.life.state is State.ASLEEP


async def test_half_of_what_was_held_is_stopped(tmp_path: Path) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    assert await world.apps.hold(world.keeper, 60)
    world.engine.up.add("wiki-db")
    await world.apps.release(world.keeper)
    await world.keeper.idle()
    assert world.keeper.life.state is State.ASLEEP
    assert world.engine.done == ["stop wiki", "stop wiki-db"]


async def test_a_start_under_way_ends_when_the_app_is_held(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    world.engine.ready = False
    world.keeper.ask()
    await world.engine.started.wait()
    waiting = asyncio.create_task(world.keeper.settled())
    assert await world.apps.hold(world.keeper, 60)
    assert world.keeper.held
    assert world.engine.done == ["start wiki"]
    assert not waiting.done()
    world.engine.ready = True
    await world.apps.release(world.keeper)
    await waiting
    assert world.keeper.life.state is State.AWAKE


@pytest.mark.parametrize(("passed", "left"), [(0, 600), (599, 1), (601, None), (-DAY, LONGEST), (DAY, None)])
async def test_a_waker_that_is_restarted_holds_still(tmp_path: Path, passed: float, left: float | None) -> None:
    world = World(tmp_path, [])
    world.keeper.ask()
    await world.keeper.idle()
    assert await world.apps.hold(world.keeper, 600)
    await world.apps.stop()
    world.wall += passed
    world.begin()
    held = world.keeper.life.state is State.HELD
    assert (world.keeper.life.held_until - world.monotonic if held else None) == left
    await world.keeper.idle()
    await world.apps.release(world.keeper)
    await world.keeper.idle()
    assert not held or world.keeper.life.state is State.AWAKE
    assert "stop wiki" not in world.engine.done


async def test_an_app_that_leaves_lazy_json_is_waited_for_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    keeper = world.keeper
    assert await world.apps.hold(keeper, 600)
    waiting = asyncio.create_task(keeper.settled())
    (tmp_path / "lazy.json").write_text(json.dumps({"version": 1, "title": "Lab", "apps": []}))
    await world.apps._tick_once()
    await waiting
    assert not world.apps.keepers
    assert json.loads((tmp_path / "held.json").read_text()) == {}


def test_holds_that_cannot_be_read_or_written_are_none(tmp_path: Path) -> None:
    path = tmp_path / "held.json"
    for broken in ("{", "[]", '{"wiki": 1}', '{"wiki": {"until": "x", "slept": true}}'):
        path.write_text(broken)
        assert Holds(path).of("wiki") is None
    held = Holds(tmp_path / "nowhere" / "held.json", lambda: 0.0)
    held.add("wiki", Hold(9, slept=True))
    assert held.of("wiki") == Hold(9, slept=True)


async def test_what_docker_said_before_something_was_done_counts_no_more(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    asked = world.monotonic
    before = await world.engine.running()
    world.monotonic += 1
    world.keeper.ask()
    await world.keeper.idle()
    assert world.keeper.life.state is State.AWAKE
    world.keeper.found(before, asked)
    await world.keeper.idle()
    assert world.keeper.life.state is State.AWAKE
    assert world.engine.done == ["start wiki"]
    world.engine.up.clear()
    world.keeper.found(await world.engine.running(), world.monotonic)
    assert world.keeper.life.state is State.ASLEEP


async def test_waiting_for_other_starts_is_no_part_of_an_apps_own_time(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    world.keeper.app = replace(world.keeper.app, timeout=0.2)
    starts = world.keeper._tools.starts
    for _ in range(4):
        await starts.acquire()
    world.keeper.ask()
    await asyncio.sleep(0.4)
    assert world.keeper.life.state is State.WAKING
    for _ in range(4):
        starts.release()
    await world.keeper.idle()
    assert world.keeper.life.state is State.AWAKE


async def test_traefik_is_made_to_read_a_route_again_that_it_does_not_follow(tmp_path: Path) -> None:
    world = World(tmp_path, [])
    nudged: list[None] = []
    world.keeper._tools.routes.nudge = lambda: nudged.append(None)  # type: ignore[method-assign]
    world.keeper.ask()
    await world.keeper.idle()
    before = len(nudged)
    world.keeper.leading.direct = None
    world.monotonic += 60
    world.keeper.found(await world.engine.running(), world.monotonic)
    await world.keeper.idle()
    assert len(nudged) == before + 1
