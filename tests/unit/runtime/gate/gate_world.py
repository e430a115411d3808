"""What the tests of the gate's core stand on: a small lab, people in it, and a clock that can be turned."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from ez_homelab.runtime.gate.accounts import Accounts
from ez_homelab.runtime.gate.kinds import Refused
from ez_homelab.runtime.gate.passwords import Effort
from ez_homelab.runtime.gate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

    from ez_homelab.runtime.gate.kinds import Session

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "staple paper candle"
WRONG = "not the right one"
HOME, ABROAD, STRANGE = "192.168.1.5", "203.0.113.7", "198.51.100.9"
DAY = 86_400.0
CHEAP = Effort(memory_kib=8, passes=1, lanes=1)
POLICY: dict[str, Any] = {
    "version": 1,
    "title": "EZ-Homelab",
    "domain": "lab.localhost",
    "portal": "auth.lab.localhost",
    "lan": ["192.168.0.0/16", "10.0.0.0/8", "fd00::/8"],
    "session": {"idle": 7200, "lifetime": 86400, "remembered": 2592000},
    "default": {"policy": "one_factor", "groups": []},
    "routes": [],
}
PEOPLE: dict[str, Any] = {
    "anna": {"name": "Anna Smith", "email": "anna@example.org", "groups": ["admins", "users"], "disabled": False},
    "ben": {"name": "Ben", "email": "ben@example.org", "groups": [], "disabled": False},
    "eve": {"name": "Eve", "email": "eve@example.org", "groups": ["admins"], "disabled": True},
}


class Clock:
    """Seconds since 1970, as a test sets them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Gate:
    """One gate: its files, its clock, and the accounts on them."""

    folder: Path
    clock: Clock
    settings: Settings
    accounts: Accounts

    def write_people(self, **changes: dict[str, Any] | None) -> None:
        """Change people.json; None takes somebody out. The gate has looked at it."""
        users = {user: entry for user, entry in {**PEOPLE, **changes}.items() if entry is not None}
        write_whole(self.folder / "people.json", json.dumps({"version": 1, "users": users}))
        self.accounts.look()

    async def sign_in(self, user: str = "anna", password: str = PASSWORD, **more: Any) -> tuple[str, Session]:
        """Sign in from home."""
        asked = {"address": HOME, "agent": "test", "remember": False, **more}
        return await self.accounts.sign_in(user, password, **asked)

    async def enrol(self, user: str = "anna") -> tuple[str, str, tuple[str, ...]]:
        """Give somebody an authenticator: its secret, a token of a session with two factors, recovery codes."""
        token, session = await self.sign_in(user)
        secret = self.accounts.begin_totp(session).secret
        token, _, codes = await self.accounts.finish_totp(token, self.code(secret))
        self.clock.now += 60
        return secret, token, codes

    def code(self, secret: str, steps: int = 0) -> str:
        """What an authenticator shows, so many steps of 30 seconds from now."""
        return pyotp.TOTP(secret).at(int(self.clock.now) + 30 * steps)

    def restart(self) -> None:
        """End it as SIGTERM does, and start again."""
        self.accounts.close()
        self.restart_after_close()

    def restart_after_close(self) -> None:
        """Start again on the same files."""
        self.settings = Settings.load(self.folder)
        self.accounts = open_accounts(self.settings, self.folder, self.clock)


async def refusal(asked: Awaitable[object]) -> Refused:
    """What somebody is refused for."""
    with pytest.raises(Refused) as refused:
        await asked
    return refused.value


def open_accounts(settings: Settings, folder: Path, clock: Clock) -> Accounts:
    """Accounts on the folder's database."""
    return Accounts.open(settings, folder / "gate.db", bytes(range(32)), clock=clock, effort=CHEAP)


def write_whole(path: Path, text: str) -> None:
    """As render's files arrive: written beside, then renamed into place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


@contextmanager
def open_gate(folder: Path) -> Iterator[Gate]:
    """A gate of a small lab."""
    write_whole(folder / "policy.json", json.dumps(POLICY))
    write_whole(folder / "people.json", json.dumps({"version": 1, "users": PEOPLE}))
    settings, clock = Settings.load(folder), Clock()
    gate = Gate(folder, clock, settings, open_accounts(settings, folder, clock))
    yield gate
    gate.accounts.close()
