"""What one keeper does with an app that runs in part or is not seen ready, by what is seen of its use."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from waker_alone import World

from ez_homelab.runtime.waker import activity
from ez_homelab.runtime.waker.admin import Administration
from ez_homelab.runtime.waker.docker import DockerError
from ez_homelab.runtime.waker.states import State
from ez_homelab.runtime.waker.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVER = (IPv4Address("127.0.0.1"), 9)
NOBODY = activity.Sight({}, Counter())
SOMEBODY = activity.Sight({}, Counter({(40000, SERVER): 1}))


class Seen:
    """What every look sees; `meanwhile` happens during the next one."""

    def __init__(self) -> None:
        self.sight: activity.Sight | None = NOBODY
        self.meanwhile: Callable[[], object] = lambda: None

    async def look(self, _traefik: object) -> activity.Sight | None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return self.sight


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    made = Seen()
    monkeypatch.setattr(activity, "look", made.look)
    return made


async def find(world: World) -> State:
    """Docker says what runs, and the keeper does what it does about that."""
    world.keeper.found(await world.engine.running(), world.monotonic)
    await world.keeper.idle()
    return world.keeper.life.state


async def awake_in_part(world: World, ended: str = "wiki-db") -> None:
    world.keeper.ask()
    await world.keeper.idle()
    world.engine.up.discard(ended)
    world.engine.done.clear()


async def test_the_rest_is_started_for_those_who_are_with_it(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    seen.sight = SOMEBODY
    assert await find(world) is State.AWAKE
    assert world.engine.done == ["start wiki-db", "start wiki"]
    assert world.keeper.direct


@pytest.mark.usefixtures("seen")
async def test_what_the_waker_hands_on_itself_is_use(tmp_path: Path) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    world.keeper.in_flight = 1
    assert await find(world) is State.AWAKE
    assert world.engine.done == ["start wiki-db", "start wiki"]


async def test_whoever_comes_while_it_is_looked_at_has_the_rest_started(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    seen.meanwhile = world.keeper.ask
    assert await find(world) is State.AWAKE
    assert world.engine.done == ["start wiki-db", "start wiki"]


@pytest.mark.parametrize("fault", ["metrics", "route", "docker"])
async def test_what_cannot_be_seen_is_neither_stopped_nor_started(tmp_path: Path, seen: Seen, fault: str) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    running = await world.engine.running()
    if fault == "metrics":
        seen.sight = None
    elif fault == "route":
        world.engine.leads = False
    else:
        world.engine.fault = DockerError("Docker does not answer")
    world.keeper.found(running, world.monotonic)
    await world.keeper.idle()
    assert (world.keeper.life.state, world.engine.done) == (State.ASLEEP, [])
    seen.sight, world.engine.leads, world.engine.fault = NOBODY, True, None
    assert await find(world) is State.ASLEEP
    assert world.engine.done == ["stop wiki", "stop wiki-db"]


@pytest.mark.usefixtures("seen")
async def test_a_name_that_has_no_address_because_its_container_has_ended_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_address(_target: object) -> set[object]:
        raise OSError("Name or service not known")

    world = World(tmp_path, [], extra=("wiki-db",), host="wiki")
    monkeypatch.setattr(activity, "addresses", no_address)
    world.engine.up.add("wiki-db")
    assert await find(world) is State.ASLEEP
    assert world.engine.done == ["stop wiki", "stop wiki-db"]


async def test_what_ends_again_at_once_is_not_started_again_and_again(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    seen.sight = SOMEBODY
    assert await find(world) is State.AWAKE
    world.engine.done.clear()
    for _ in range(3):
        world.engine.up.discard("wiki-db")
        assert await find(world) is State.ASLEEP
        world.monotonic += 2
    assert world.engine.done == []
    world.monotonic += 10
    assert await find(world) is State.AWAKE


async def test_a_failed_start_of_the_rest_has_its_pause(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    await awake_in_part(world)
    seen.sight, world.engine.cannot = SOMEBODY, "wiki-db"
    assert await find(world) is State.FAILED
    assert world.engine.up == {"wiki"}
    world.monotonic += 12
    assert await find(world) is State.FAILED
    assert world.keeper.life.failures == 2
    world.monotonic += 9
    assert await find(world) is State.FAILED
    assert world.keeper.life.failures == 2
    assert world.engine.up == {"wiki"}
    seen.sight = NOBODY
    assert await find(world) is State.FAILED
    assert world.engine.up == set()


async def test_half_of_what_was_held_is_made_whole_for_those_who_are_with_it(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [], extra=("wiki-db",))
    assert await world.apps.hold(world.keeper, 60)
    world.engine.up.add("wiki")
    seen.sight = SOMEBODY
    await world.apps.release(world.keeper)
    await world.keeper.idle()
    assert world.keeper.life.state is State.AWAKE
    assert world.engine.done == ["start wiki-db", "start wiki"]


def unready(world: World) -> None:
    world.engine.up.update(container.name for container in world.keeper.app.containers)
    world.engine.ready = False
    world.keeper.app = replace(world.keeper.app, timeout=0.05)


@pytest.mark.parametrize(("sight", "state"), [(SOMEBODY, State.AWAKE), (None, State.AWAKE), (NOBODY, State.FAILED)])
async def test_what_is_found_and_not_seen_ready_stays_while_it_may_be_in_use(
    tmp_path: Path, seen: Seen, sight: activity.Sight | None, state: State
) -> None:
    world = World(tmp_path, [])
    unready(world)
    seen.sight = sight
    assert await find(world) is state
    assert world.engine.done == ["start wiki", *(["stop wiki"] if state is State.FAILED else [])]
    assert world.keeper.direct is (state is State.AWAKE)


async def test_what_was_used_while_it_was_waited_for_is_in_use(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [])
    unready(world)
    world.keeper.found(await world.engine.running(), world.monotonic)
    await world.engine.started.wait()
    seen.sight = activity.Sight({"wiki@file": 1.0}, Counter())
    await world.keeper.idle()
    assert (world.keeper.life.state, world.engine.up) == (State.AWAKE, {"wiki"})


async def test_a_start_that_fails_is_nobodys_use(tmp_path: Path, seen: Seen) -> None:
    world = World(tmp_path, [])
    unready(world)
    world.engine.up.clear()
    seen.sight = SOMEBODY
    world.keeper.ask()
    await world.keeper.idle()
    assert (world.keeper.life.state, world.engine.done) == (State.FAILED, ["start wiki", "stop wiki"])


@pytest.mark.parametrize(
    ("answering", "says"), [(True, "Traefik does not confirm the route"), (False, "Traefik does not answer")]
)
@pytest.mark.usefixtures("seen")
async def test_a_hold_that_nobody_confirms_says_whether_traefik_answers(
    tmp_path: Path, answering: bool, says: str
) -> None:
    world = World(tmp_path, [])
    world.engine.leads, world.engine.answering = False, answering
    orders = Administration(world.apps, Telling(world.apps, world.statistics))
    told = await orders._hold(world.keeper, 60)
    assert (told["kind"], told["error"].startswith(f"wiki cannot be held: {says}")) == ("route", True)
    await asyncio.wait_for(world.keeper.idle(), 5)
    assert world.keeper.life.state is State.ASLEEP
