"""The fronts that cases are asked of: one for all of a process, and one that a test may stop, pause and rewrite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from sso_lab import AUTHELIA, start

from ez_homelab.testing.front.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.testing.front import Front


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front with the gate, for tests that leave it as it is."""
    with start(tmp_path_factory.mktemp("front"), Gate()) as running:
        yield running


@pytest.fixture(scope="session")
def gate(front: Front) -> Gate:
    """The gate of `front`."""
    assert isinstance(front.engine, Gate)
    return front.engine


@pytest.fixture(scope="module")
def own_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front of this module's own, whose gate it may disturb."""
    with start(tmp_path_factory.mktemp("own"), Gate()) as running:
        yield running


@pytest.fixture(scope="session")
def authelia_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A front with the Authelia that EZ_TEST_AUTHELIA names."""
    program = os.environ.get(AUTHELIA)
    if not program:
        pytest.skip(f"{AUTHELIA} names no executable")
    from ez_homelab.testing.front.authelia import Authelia

    with start(tmp_path_factory.mktemp("authelia"), Authelia(program)) as running:
        yield running


@pytest.fixture(params=["builtin", "authelia"])
def any_front(request: pytest.FixtureRequest) -> Front:
    """The same front with each engine."""
    found: Front = request.getfixturevalue("front" if request.param == "builtin" else "authelia_front")
    return found
