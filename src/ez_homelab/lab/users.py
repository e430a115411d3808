"""The people of a lab: who may sign in, and what is asked of the engine of sign-on about them.

Who there is and in which groups stands in users.yaml. Passwords, second factors and sessions are the engine's: the
gate, asked here, or Authelia (`AutheliaUsers`). Whatever is asked of it that changes something is written into the
journal first, with who asked; what it answers never is.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ez_homelab.config.edit_users import NEW, add_user, change_user, find_user, remove_user
from ez_homelab.config.users import ADMINS, USERS_FILE, enabled_admins, first_admin, starter_users
from ez_homelab.errors import EzError, PrerequisiteError, UsageError
from ez_homelab.gate_admin import INVITE_HOURS, GateError, ask_gate
from ez_homelab.lab.accounts import Account, Link, Message, UserList, UserRow, last_message
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.engine import PORTAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from ez_homelab.config.files import Edit
    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Way
    from ez_homelab.lab.authelia_users import AutheliaUsers

T = TypeVar("T")

LOGIN_MINUTES = 10
NEWS_PAUSES = (0.5, 0.5, 1.0, 1.0, 2.0)
"""Seconds between tries right after people came or went: the gate looks at the list of them every second."""


def admin_name(wanted: str | None) -> str:
    """The first admin's user name: the one that is wanted, else that of whoever runs this program."""
    return first_admin(os.environ) if wanted is None else wanted


async def _when_it_has_looked(ask: Callable[[], Awaitable[T]]) -> T:
    for pause in NEWS_PAUSES:
        try:
            return await ask()
        except GateError:
            await asyncio.sleep(pause)
    return await ask()


@dataclass(frozen=True)
class LabUsers:
    """What can be told and done about the people of one lab."""

    lab: Homelab

    # --- users.yaml --------------------------------------------------------------------------------------------

    def adding(self, user: str, person: Person) -> tuple[Edit, Homelab]:
        """The edit that puts a person into users.yaml, not written yet, and the lab as it would be.

        Raises `UsageError` where something of the person cannot be, or the name is taken.
        """
        return self._edited(add_user(self._text() or NEW, user, person))

    def changing(self, user: str, change: Callable[[Person], Person], *, force: bool = False) -> tuple[Edit, Homelab]:
        """The edit that changes a person's groups, or whether the person may sign in; as `adding`.

        Raises `UsageError` where no admin could sign in any more, unless `force`.
        """
        after = change(self.person(user))
        self._require_admin_left(user, {**self.lab.people, user: after}, force=force)
        return self._edited(change_user(self._text(), user, after))

    def removing(self, user: str, *, force: bool = False) -> tuple[Edit, Homelab]:
        """The edit that takes a person out of users.yaml; as `changing`."""
        self.person(user)
        others = {name: person for name, person in self.lab.people.items() if name != user}
        self._require_admin_left(user, others, force=force)
        return self._edited(remove_user(self._text(), user))

    def starting(self, admin: str | None = None) -> tuple[Edit, Homelab]:
        """The edit that makes a users.yaml with its first admin (None: who runs this) where there is none."""
        return self._edited(starter_users(admin_name(admin)))

    def _text(self) -> str:
        from ez_homelab.config.files import read_text

        return read_text(self.lab.folder / USERS_FILE) if self.lab.has_users else ""

    def _edited(self, text: str) -> tuple[Edit, Homelab]:
        from ez_homelab.config.files import Edit

        return Edit(self.lab.folder / USERS_FILE, self._text(), text), self.lab.with_users(text)

    def _require_admin_left(self, user: str, after: Mapping[str, Person], *, force: bool) -> None:
        if enabled_admins(self.lab.people) and not enabled_admins(after) and not force:
            raise UsageError(
                f"{user} is the last admin who may sign in",
                cause="without one nobody may open the admin tools",
                fix=f"make somebody else one first: ez-homelab users groups NAME +{ADMINS}; or say --force",
            )

    # --- looking -----------------------------------------------------------------------------------------------

    async def look(self) -> UserList:
        """Everybody, with what sign-on knows of each."""
        people = self.lab.people
        try:
            known = await self.accounts()
        except EzError as error:
            return UserList(tuple(UserRow(user, person, None) for user, person in people.items()), error.what)
        return UserList(tuple(UserRow(user, person, known.get(user, Account())) for user, person in people.items()))

    async def accounts(self) -> dict[str, Account]:
        """What sign-on knows, by user name. Raises `GateError` or `AutheliaError` where it cannot be asked."""
        if self._authelia:
            return await self._authelia.accounts()
        answer = await self._ask("state")
        return {user: Account.of(told) for user, told in answer["users"].items()}

    async def message(self, user: str) -> Message:
        """The last message that Authelia wrote for the person into a file, because the lab sends no mail.

        Raises `UsageError` where there is none, or the lab's sign-on is the gate, which has no need of messages.
        """
        person = self.person(user)
        if not self._authelia:
            raise UsageError(
                "there are no codes: the gate sends no messages",
                cause="homelab.yaml says `sign_on: {engine: builtin}`, and there people use one-time links",
                fix=f"ez-homelab users invite {user}",
            )
        if self.lab.lab.sign_on.smtp:
            raise UsageError(
                "there are no codes here: Authelia sends them by mail",
                cause="homelab.yaml has `sign_on.smtp`",
                fix=f"look into the mail of {person.email or f'{user}, who has no address in {USERS_FILE}'}",
            )
        found = last_message(await self._authelia.last_text(), user, person)
        if found is None:
            raise UsageError(
                f"there is no message for {user}",
                cause="Authelia keeps the last message alone, and it is for somebody else or there is none yet",
                fix=f"let it send one at https://{self._portal}, then ask again",
            )
        return found

    # --- asking sign-on ----------------------------------------------------------------------------------------

    async def invite(self, user: str, *, hours: int | None = None) -> Way:
        """A new one-time link by which the person chooses a password; earlier ones of the gate no longer work.

        Where Authelia asks: see `AutheliaUsers.invite`. Raises `UsageError` where there is no such person or one who
        may not sign in, `GateError`, `AutheliaError`.
        """
        person = self._enabled(user)
        if not self._authelia:
            return await self._link("invite", user, (hours or INVITE_HOURS) * 60)
        if hours:
            raise UsageError("Authelia's links are valid for five minutes", fix="leave --hours away")
        async with self._noted("invite", user):
            return await self._authelia.invite(user, person)

    async def invite_new(self, user: str) -> Way:
        """`invite` for somebody who has just come. What an earlier person of that name left is made useless."""
        if self._authelia:
            await self.reset_second_factor(user)
            return await self.invite(user)
        link = await self._invite_when_known(user)
        left = (await self.accounts()).get(user, Account())
        if not left.used:
            return link
        await self._change("passwd", user, password=secrets.token_urlsafe(32))
        await self._change("reset-second-factor", user)
        await self._change("sign-out", user)
        return await self.invite(user)

    async def first_admin_way(self) -> Way | None:
        """A way in for the first admin as long as no admin has a password; None afterwards, and where there is none."""
        admins = enabled_admins(self.lab.people)
        known = await self.accounts()
        if not admins or any(known.get(user, Account()).password for user in admins):
            return None
        return await self._invite_when_known(admins[0])

    async def login_link(self, user: str) -> Link:
        """A link that signs an admin in, once and within minutes: the way in when sign-on itself is in the way.

        Raises `PrerequisiteError` unless this program runs as root, `UsageError` for who is no admin.
        """
        person = self._enabled(user)
        if ADMINS not in person.groups:
            admins = ", ".join(enabled_admins(self.lab.people)) or "nobody"
            raise UsageError(f"{user} is not in the group {ADMINS}", fix=f"in it and able to sign in: {admins}")
        if os.geteuid() != 0:
            raise PrerequisiteError(
                "only root on the core server may make a login link",
                cause="whoever has it is signed in without password and second factor",
                fix=f"sudo ez-homelab users login-link {user}",
            )
        if self._authelia:
            raise UsageError(
                "Authelia has no links that sign somebody in",
                cause="homelab.yaml says `sign_on: {engine: authelia}`",
                fix=f"ez-homelab users passwd {user}, and where the telephone is lost too: "
                f"ez-homelab users reset-second-factor {user}",
            )
        return await self._link("login-link", user, LOGIN_MINUTES)

    async def set_password(self, user: str, password: Secret) -> None:
        """Give the person a password. Raises `UsageError` for no such person, `GateError` where the gate refuses it.

        The gate ends every session of theirs, Authelia none.
        """
        if self._authelia:
            self._enabled(user)
            async with self._noted("passwd", user):
                await self._authelia.set_password(user, password)
            return
        await self._change("passwd", user, password=password.reveal())

    async def reset_second_factor(self, user: str) -> None:
        """Take the person's one-time codes, passkeys and recovery codes away. Raises as `set_password`."""
        if self._authelia:
            self.person(user)
            async with self._noted("reset-second-factor", user):
                await self._authelia.reset_second_factor(user)
            return
        await self._change("reset-second-factor", user)

    async def sign_out(self, user: str) -> None:
        """End every session of the person. Raises as `set_password`, and `UsageError` where Authelia keeps them."""
        if self._authelia:
            self.person(user)
            raise UsageError(
                "Authelia cannot end the sessions of one person",
                cause="it keeps them sealed, and does not tell whose they are",
                fix=f"ez-homelab users disable {user}: nothing opens for them until they are enabled again, whatever "
                "sessions there are",
            )
        await self._change("sign-out", user)

    async def forget(self, user: str) -> None:
        """Remove what sign-on keeps of somebody who is no longer in users.yaml: password, second factors, links.

        Raises `AutheliaError`, and `GateError`, also where the gate does not learn soon that the person is gone.
        """
        if self._authelia:
            # The password has gone with the apply that took the person out of its list.
            async with self._noted("forget", user):
                await self._authelia.reset_second_factor(user)
            return
        await _when_it_has_looked(lambda: self._order("forget", user))

    async def _invite_when_known(self, user: str) -> Way:
        return await _when_it_has_looked(lambda: self.invite(user))

    async def _link(self, do: str, user: str, minutes: int) -> Link:
        from ez_homelab import redaction

        answer = await self._change(do, user, minutes=minutes)
        url = str(answer["link"])
        # From here on only who prints it on purpose shows it: no message and no log.
        redaction.know([url, url.rpartition("/")[2]])
        return Link(user, Secret(url), str(answer["expires"]))

    async def _change(self, do: str, user: str, **request: object) -> dict[str, Any]:
        self.person(user)
        return await self._order(do, user, **request)

    async def _order(self, do: str, user: str, **request: object) -> dict[str, Any]:
        async with self._noted(do, user):
            return await self._ask(do, user=user, **request)

    @asynccontextmanager
    async def _noted(self, do: str, user: str) -> AsyncIterator[None]:
        """The lab's lock, with what is about to be done written down first."""
        from ez_homelab.apply.journal import Journal

        async with self.lab.locked():
            with closing(Journal(self.lab.journal_path)) as journal:
                journal.note(who=self.lab.who, command=self.lab.command, what=f"{do} {user}")
            yield

    async def _ask(self, do: str, **request: object) -> dict[str, Any]:
        return await ask_gate(self.lab.core, do, **request)

    @cached_property
    def _authelia(self) -> AutheliaUsers | None:
        """The lab's Authelia; None where its sign-on is the gate."""
        from ez_homelab.lab.authelia_users import AutheliaUsers

        return AutheliaUsers(self.lab) if self.lab.lab.sign_on.engine == "authelia" else None

    @property
    def _portal(self) -> str:
        return f"{PORTAL}.{self.lab.lab.domain}"

    def person(self, user: str) -> Person:
        """The person of that user name. Raises `UsageError` with a suggestion where there is none."""
        return find_user(self.lab.people, user)

    def _enabled(self, user: str) -> Person:
        person = self.person(user)
        if person.disabled:
            raise UsageError(f"{user} is disabled in {USERS_FILE}", fix=f"ez-homelab users enable {user}")
        return person
