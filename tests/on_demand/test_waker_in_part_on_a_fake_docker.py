"""Apps of which only a part runs, or which never say that they are ready, while somebody is with them.

A real Traefik; Docker alone is a fake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from waker_world import World, says

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("part"), subfolder=True)
    try:
        for name in ("killed", "quiet", "broken"):
            made.add(name, extra=(f"{name}-db",))
        for name in ("first", "second", "slow", "left"):
            made.add(name)
        made.start()
        yield made
    finally:
        made.stop()


def wake(world: World, name: str) -> None:
    world.order("POST", f"/apps/{name}/wake")
    world.until_app(name, state="awake", leads_to="app")


def make_unready(world: World, name: str) -> None:
    """From now on its health page says 503."""
    entry = next(app for app in world.apps if app["name"] == name)
    entry["containers"][-1]["ready"]["url"] = entry["routes"][0]["url"] + "/status/503"
    entry["timeout"] = 1


def test_the_rest_is_started_while_somebody_is_with_what_runs(world: World) -> None:
    wake(world, "killed")
    connection = world.upgrade("killed")
    world.docker.stop("killed-db")
    world.until(lambda: world.docker.containers["killed-db"].starts == 2)
    world.until_app("killed", state="awake", leads_to="app")
    assert says(connection, b"still here") == b"still here"
    assert world.docker.containers["killed"].starts == 1
    assert world.app("killed")["wakes"]["count"] == 1
    connection.close()


def test_the_rest_is_stopped_where_nobody_is(world: World) -> None:
    wake(world, "quiet")
    world.docker.stop("quiet-db")
    world.until(lambda: not world.docker.running("quiet"))
    world.until_app("quiet", state="asleep", leads_to="waker")
    assert world.docker.containers["quiet-db"].starts == 1


def test_what_cannot_be_made_whole_is_left_to_those_who_are_with_it(world: World) -> None:
    wake(world, "broken")
    connection = world.upgrade("broken")
    database = world.docker.containers["broken-db"]
    database.cannot_start = "no space left on device"
    world.docker.stop("broken-db")
    world.until_app("broken", state="failed")
    assert "no space left on device" in world.app("broken")["reason"]
    world.docker.tell("broken-db", "die")
    assert says(connection, b"still here") == b"still here"
    assert world.docker.running("broken")
    connection.close()

    def stopped() -> bool:
        world.docker.tell("broken-db", "die")
        return not world.docker.running("broken")

    world.until(stopped)
    assert world.docker.containers["broken"].starts == 1


def test_an_app_in_use_and_one_that_sleeps_become_one_group(world: World) -> None:
    wake(world, "first")
    connection = world.upgrade("first")
    first, second = (next(app for app in world.apps if app["name"] == name) for name in ("first", "second"))
    both = {**first, "name": "both"}
    both |= {key: [*first[key], *second[key]] for key in ("routes", "containers")}
    world.apps[:] = [app for app in world.apps if app not in (first, second)] + [both]
    world.write()
    world.until(lambda: world.docker.running("second"))
    world.until_app("both", state="awake", leads_to="app")
    assert says(connection, b"still here") == b"still here"
    assert world.docker.containers["first"].starts == 1
    connection.close()


def test_what_a_new_waker_finds_in_use_is_left_running_although_it_is_not_seen_ready(world: World) -> None:
    wake(world, "slow")
    connection = world.upgrade("slow")
    make_unready(world, "slow")
    world.restart()
    world.until_app("slow", state="awake", leads_to="app")
    assert says(connection, b"still here") == b"still here"
    assert world.docker.containers["slow"].starts == 1
    connection.close()


def test_what_a_new_waker_finds_unready_and_left_alone_is_stopped(world: World) -> None:
    wake(world, "left")
    make_unready(world, "left")
    world.restart()
    world.until_app("left", state="failed", leads_to="waker")
    assert "not ready within 1 seconds" in world.app("left")["reason"]
    world.until(lambda: not world.docker.running("left"))
