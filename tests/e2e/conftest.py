"""End-to-end tests run on the test fleet, and nowhere else."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from browsers import browser_folder, open_browser, playwright  # noqa: F401 - fixtures of the tests
from real_lab import LAB, SOURCES, RealLab, up_from_nothing
from xdist.scheduler import LoadScopeScheduling

from ez_homelab.testing.fleet import Fleet, Server, why_no_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HERE = Path(__file__).parent
SERVERS_OF_THEIR_OWN = frozenset(
    {
        *("test_browser_trust.py", "test_disk_full.py", "test_fleet.py", "test_images.py", "test_on_demand_engines.py"),
        *("test_on_demand_faults.py", "test_refusals.py", "test_registry_pull.py", "test_trixie.py"),
        "test_way_back_parts.py",
    }
)
APPS = frozenset(
    {
        *("test_app_calibre_web.py", "test_app_mediawiki.py", "test_apps_of_all_kinds.py", "test_broken_update.py"),
        *("test_browser_on_demand.py", "test_secrets_canary.py"),
    }
)
"""Tests of single apps, most of whose time is building them: in a second lab like the first, at the same time."""


class NewServer(Protocol):
    """Makes a fresh server in the session's fleet; it goes with the fleet, or earlier by its `remove()`."""

    def __call__(self, name: str = "", *, suite: str | None = None, packages: Sequence[str] = ()) -> Server: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_no_fleet()
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.e2e)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
    # First what is said of the lab as it came up, last what takes it away.
    places = {_HERE / "test_up.py": -1, _HERE / "test_purge.py": 1}
    items.sort(key=lambda item: places.get(item.path, 0))


class OneLab(LoadScopeScheduling):
    """One worker has the session's lab and all tests of it, in their order; another has a lab of its own for tests of
    single apps, and what makes its own servers.

    Not pytest-xdist's own `loadgroup`: it marks the groups in a place where pytest 9 no longer looks.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        if file in SERVERS_OF_THEIR_OWN:
            return file
        return "the apps" if file in APPS else "the lab"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneLab:
    return OneLab(config, log)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """The session's fleet, without servers yet. Gone at the end; after a SIGKILL the next session removes it."""
    with Fleet.up(names=()) as made:
        yield made


@pytest.fixture(scope="session")
def new_server(fleet: Fleet) -> NewServer:
    numbers = count(1)

    def make(name: str = "", *, suite: str | None = None, packages: Sequence[str] = ()) -> Server:
        return fleet.add(name or f"fresh{next(numbers)}", suite=suite, packages=packages)

    return make


@pytest.fixture(scope="session")
def bare_server(new_server: NewServer) -> Server:
    """One fresh Debian for the whole session, nothing installed. A test that changes it takes `new_server` instead."""
    return new_server("bare")


@pytest.fixture(scope="session")
def home(fleet: Fleet) -> RealLab:
    """A worker's lab: one server from bare to up by the one command; the images are built only here.

    `EZ_TEST_HOME=FLEET/SERVER` takes a server of a fleet that was started by hand (`ez-homelab fleet up`) instead, and
    `up` brings it up to date: minutes saved while a test is being written.
    """
    if kept := os.environ.get("EZ_TEST_HOME"):
        name, _, server = kept.partition("/")
        return up_from_nothing(Fleet.load(name).servers[server])
    return up_from_nothing(fleet.add("home"))


@pytest.fixture
def lab(home: RealLab) -> Iterator[RealLab]:
    """The same lab for a test that changes it: afterwards the lab file and all it names are as they were."""
    before = home.text
    yield home
    home.write(before)
    home.server.run(["rm", "-rf", f"{LAB}/overrides"])
    home.restore()


@pytest.fixture(scope="session")
def echo(home: RealLab) -> RealLab:
    """The lab with an app of its own catalog, which tells what it was asked; made with `add`, as a person would."""
    home.server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")
    added = "echo" in home.text
    home.ez(*(["apply"] if added else ["add", "echo", "--stack", "tools"]), "--yes")
    return home
