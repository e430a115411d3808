"""End-to-end tests run on the test fleet, and nowhere else."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from ez_homelab.testing.fleet import Fleet, Server, why_no_fleet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HERE = Path(__file__).parent


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
