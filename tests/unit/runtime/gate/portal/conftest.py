"""A running portal for the tests of its pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import TestClient, TestServer
from portal_world import PASSWORD, PEOPLE, POLICY, Browser, Clock, World

from ez_homelab.runtime.gate.accounts import Accounts
from ez_homelab.runtime.gate.passwords import Effort
from ez_homelab.runtime.gate.policy import read_people, read_policy
from ez_homelab.runtime.gate.portal.app import make_portal
from ez_homelab.runtime.gate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The portal of a small lab, with a password for anna and ben."""
    settings = Settings(read_policy(json.dumps(POLICY)), read_people(json.dumps(PEOPLE)))
    clock = Clock()
    effort = Effort(memory_kib=8, passes=1, lanes=1)
    accounts = Accounts.open(settings, tmp_path / "gate.db", bytes(32), clock=clock, effort=effort)
    for user in ("anna", "ben", "carl"):
        await accounts.set_password(user, PASSWORD)
    async with TestClient(TestServer(make_portal(accounts, settings, clock=clock, body_seconds=0.2))) as client:
        yield World(accounts, client, clock)
    accounts.close()


@pytest.fixture
def browser(world: World) -> Browser:
    """A browser at home that nobody is signed in with."""
    return world.browser()
