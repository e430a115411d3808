"""What can be known and done about the people of a lab whose sign-on is Authelia.

Its list of people and its second factors are changed on core, as root. A link for a new password comes from its portal,
as for anybody who chooses `Reset password?` there.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ez_homelab import redaction
from ez_homelab.authelia_people import AUTHELIA, AutheliaError, read_people, set_password
from ez_homelab.authelia_storage import forget_passkeys, forget_totp, passkeys, totp_users
from ez_homelab.config.users import USERS_FILE
from ez_homelab.errors import UsageError
from ez_homelab.lab.accounts import Account, FirstPassword, Link, Mailed, last_message
from ez_homelab.lab.engine_users import noted, require_enabled
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import with_password
from ez_homelab.sso.engine import PORTAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Message, Way
    from ez_homelab.verify.portal import Portal

LINK_MINUTES = 5
"""How long a link for a new password is valid (Authelia 4.39, `identity_validation.reset_password.jwt_lifespan`)."""

LOOKS = (0.0, 0.2, 0.3, 0.5, 1.0, 1.0)
"""Seconds before each look for the message that Authelia was asked to write."""

MIN_LENGTH = 8
"""Of a password that a person chooses for somebody else; the portal asks for more where people choose their own."""


@dataclass(frozen=True)
class AutheliaUsers:
    """The running Authelia of one lab, asked about its people (see `EngineUsers`)."""

    lab: Homelab

    async def accounts(self) -> dict[str, Account]:
        """What it knows, by user name. Whose sessions are open it tells nobody."""
        core = self.lab.core
        listed, codes, keys = await asyncio.gather(read_people(core), totp_users(core), passkeys(core))
        have_one = with_password(listed)
        return {user: Account(user in have_one, user in codes, keys[user], sessions=None) for user in self.lab.people}

    async def message(self, user: str, person: Person) -> Message:
        """The last message that it wrote for the person into a file, because the lab sends no mail."""
        if self.lab.lab.sign_on.smtp:
            raise UsageError(
                "there are no codes here: Authelia sends them by mail",
                cause="homelab.yaml has `sign_on.smtp`",
                fix=f"look into the mail of {person.email or f'{user}, who has no address in {USERS_FILE}'}",
            )
        found = last_message(await self._last_text(), user, person)
        if found is None:
            raise UsageError(
                f"there is no message for {user}",
                cause="Authelia keeps the last message alone, and it is for somebody else or there is none yet",
                fix=f"let it send one at https://{self._host}, then ask again",
            )
        return found

    async def invite(self, user: str, person: Person, *, hours: int | None = None) -> Way:
        """A way to a password: a link, a mail with one, or where there is no address a password."""
        if hours:
            raise UsageError("Authelia's links are valid for five minutes", fix="leave --hours away")
        async with noted(self.lab, "invite", user):
            return await self._link(user, person) if person.email else await self._first_password(user)

    async def invite_when_known(self, user: str, person: Person) -> Way:
        """`invite`: an apply that changes the list of people waits until it has read it."""
        return await self.invite(user, person)

    async def invite_new(self, user: str, person: Person) -> Way:
        """`invite`; second factors of an earlier person of that name go, as the password has with that person."""
        await self.reset_second_factor(user)
        return await self.invite(user, person)

    async def login_link(self, user: str) -> Link:
        """Raises `UsageError`: there is no such thing."""
        raise UsageError(
            "Authelia has no links that sign somebody in",
            cause="homelab.yaml says `sign_on: {engine: authelia}`",
            fix=f"ez-homelab users passwd {user}, and where the telephone is lost too: "
            f"ez-homelab users reset-second-factor {user}",
        )

    async def set_password(self, user: str, person: Person, password: Secret) -> None:
        """Give the person, who may sign in, a password; their sessions stay. Raises `UsageError` for a short one."""
        require_enabled(user, person)
        async with noted(self.lab, "passwd", user):
            if len(password.reveal()) < MIN_LENGTH:
                raise UsageError("the password is too short", fix=f"choose one of at least {MIN_LENGTH} characters")
            await set_password(self.lab.core, self.lab.people, user, password)

    async def reset_second_factor(self, user: str) -> None:
        """Take one-time codes and passkeys away."""
        await self._take_second_factors("reset-second-factor", user)

    async def sign_out(self, user: str) -> None:
        """Raises `UsageError`: it cannot."""
        raise UsageError(
            "Authelia cannot end the sessions of one person",
            cause="it keeps them sealed, and does not tell whose they are",
            fix=f"ez-homelab users disable {user}: nothing opens for them until they are enabled again, whatever "
            "sessions there are",
        )

    async def forget(self, user: str) -> None:
        """Remove second factors; the password has gone with the apply that took the person out of its list."""
        await self._take_second_factors("forget", user)

    async def _take_second_factors(self, do: str, user: str) -> None:
        async with noted(self.lab, do, user):
            await forget_totp(self.lab.core, user)
            await forget_passkeys(self.lab.core, user)

    async def _link(self, user: str, person: Person) -> Link | Mailed:
        before = await self._last_text()
        async with self._portal() as portal:
            await portal.start_reset(user)
        if self.lab.lab.sign_on.smtp:
            return Mailed(user, person.email)
        until = datetime.now(UTC) + timedelta(minutes=LINK_MINUTES)
        message = await self._new_message(user, person, before)
        redaction.know([message.link])
        return Link(user, Secret(message.link), until.isoformat(timespec="seconds"))

    async def _last_text(self) -> str:
        """The last message that it wrote into a file; empty where there was none yet."""
        from ez_homelab.hosts import command
        from ez_homelab.sso.authelia.configuration import MESSAGES

        read = await self.lab.core.run(command("docker", "exec", AUTHELIA, "cat", MESSAGES, changes=False))
        if not read.ok and "No such file" not in read.stderr:
            raise AutheliaError(
                "Authelia's messages could not be read", evidence=read.last_line, fix="ez-homelab status"
            )
        return read.stdout if read.ok else ""

    async def _first_password(self, user: str) -> FirstPassword:
        password = Secret(secrets.token_urlsafe(15))
        redaction.know([password.reveal()])
        await set_password(self.lab.core, self.lab.people, user, password)
        return FirstPassword(user, password)

    async def _new_message(self, user: str, person: Person, before: str) -> Message:
        for pause in LOOKS:
            await asyncio.sleep(pause)
            text = await self._last_text()
            found = last_message(text, user, person) if text != before else None
            if found and found.link:
                return found
        raise AutheliaError(
            f"Authelia wrote no link for {user}",
            evidence="its last message is the one before, or for somebody else",
            cause="it does not know the person yet, or somebody else asked for a message at the same moment",
            fix=f"ez-homelab apply, then ez-homelab users invite {user}; or ez-homelab users passwd {user}",
        )

    @asynccontextmanager
    async def _portal(self) -> AsyncIterator[Portal]:
        from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
        from ez_homelab.verify.dial import dialer
        from ez_homelab.verify.portal import Portal

        authority = await self.lab.core.read(AUTHORITY_CERTIFICATE)
        if authority is None:
            raise AutheliaError("the portal cannot be reached: there is no certificate yet", fix="ez-homelab apply")
        async with dialer(self.lab.lab.core.address, authority) as dial:
            yield Portal(dial, self._host)

    @property
    def _host(self) -> str:
        return f"{PORTAL}.{self.lab.lab.domain}"
