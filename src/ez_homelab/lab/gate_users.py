"""What can be known and done about the people of a lab whose sign-on is the gate: it is asked, and answers."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ez_homelab import redaction
from ez_homelab.errors import UsageError
from ez_homelab.gate_admin import INVITE_HOURS, GateError, ask_gate
from ez_homelab.lab.accounts import Account, Link
from ez_homelab.lab.engine_users import noted
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Message

T = TypeVar("T")

LOGIN_MINUTES = 10
NEWS_PAUSES = (0.5, 0.5, 1.0, 1.0, 2.0)
"""Seconds between tries right after people came or went: the gate looks at the list of them every second."""


async def _when_it_has_looked(ask: Callable[[], Awaitable[T]]) -> T:
    for pause in NEWS_PAUSES:
        try:
            return await ask()
        except GateError:
            await asyncio.sleep(pause)
    return await ask()


@dataclass(frozen=True)
class GateUsers:
    """The running gate of one lab, asked about its people (see `EngineUsers`)."""

    lab: Homelab

    async def accounts(self) -> dict[str, Account]:
        """What it knows, by user name."""
        answer = await ask_gate(self.lab.core, "state")
        return {user: Account.of(told) for user, told in answer["users"].items()}

    async def message(self, user: str, _person: Person) -> Message:
        """Raises `UsageError`: it has no need of messages."""
        raise UsageError(
            "there are no codes: the gate sends no messages",
            cause="homelab.yaml says `sign_on: {engine: builtin}`, and there people use one-time links",
            fix=f"ez-homelab users invite {user}",
        )

    async def invite(self, user: str, _person: Person, *, hours: int | None = None) -> Link:
        """A link by which the person chooses a password; earlier ones no longer work."""
        return await self._link("invite", user, (hours or INVITE_HOURS) * 60)

    async def invite_when_known(self, user: str, person: Person) -> Link:
        """`invite`, tried until it has looked at the list of people again."""
        return await _when_it_has_looked(lambda: self.invite(user, person))

    async def invite_new(self, user: str, person: Person) -> Link:
        """`invite_when_known`; a password, second factors and sessions of an earlier person of that name go."""
        link = await self.invite_when_known(user, person)
        left = (await self.accounts()).get(user, Account())
        if not left.used:
            return link
        await self.set_password(user, person, Secret(secrets.token_urlsafe(32)))
        await self.reset_second_factor(user)
        await self.sign_out(user)
        return await self.invite(user, person)

    async def login_link(self, user: str) -> Link:
        """A link that signs the person in: no password and no second factor are asked for."""
        return await self._link("login-link", user, LOGIN_MINUTES)

    async def set_password(self, user: str, _person: Person, password: Secret) -> None:
        """Give the person a password; every session of theirs ends."""
        await self._order("passwd", user, password=password.reveal())

    async def reset_second_factor(self, user: str) -> None:
        """Take one-time codes, passkeys and recovery codes away."""
        await self._order("reset-second-factor", user)

    async def sign_out(self, user: str) -> None:
        """End every session of the person."""
        await self._order("sign-out", user)

    async def forget(self, user: str) -> None:
        """Remove password, second factors and links. Raises `GateError` also where it does not learn soon of that."""
        await _when_it_has_looked(lambda: self._order("forget", user))

    async def _link(self, do: str, user: str, minutes: int) -> Link:
        answer = await self._order(do, user, minutes=minutes)
        url = str(answer["link"])
        # From here on only who prints it on purpose shows it: no message and no log.
        redaction.know([url, url.rpartition("/")[2]])
        return Link(user, Secret(url), str(answer["expires"]))

    async def _order(self, do: str, user: str, **request: object) -> dict[str, Any]:
        async with noted(self.lab, do, user):
            return await ask_gate(self.lab.core, do, user=user, **request)
