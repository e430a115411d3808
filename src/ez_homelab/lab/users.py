"""The people of a lab: who may sign in, and what is asked of the engine of sign-on about them.

Who there is and in which groups stands in users.yaml. Passwords, second factors and sessions are the engine's, which
is asked about people who are in that file: the gate (`GateUsers`) or Authelia (`AutheliaUsers`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ez_homelab.config.edit_users import NEW, add_user, change_user, find_user, remove_user
from ez_homelab.config.users import ADMINS, USERS_FILE, enabled_admins, first_admin, starter_users
from ez_homelab.errors import EzError, PrerequisiteError, UsageError
from ez_homelab.lab.accounts import Account, UserList, UserRow
from ez_homelab.lab.engine_users import require_enabled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ez_homelab.config.files import Edit
    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Link, Message, Way
    from ez_homelab.lab.engine_users import EngineUsers
    from ez_homelab.secrets.value import Secret


def admin_name(wanted: str | None) -> str:
    """The first admin's user name: the one that is wanted, else that of whoever runs this program."""
    return first_admin(os.environ) if wanted is None else wanted


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
            known = await self.engine.accounts()
        except EzError as error:
            return UserList(tuple(UserRow(user, person, None) for user, person in people.items()), error.what)
        return UserList(tuple(UserRow(user, person, known.get(user, Account())) for user, person in people.items()))

    async def message(self, user: str) -> Message:
        """The last message that Authelia wrote for the person into a file, because the lab sends no mail.

        Raises `UsageError` where there is none, or the lab's sign-on is the gate, which has no need of messages.
        """
        return await self.engine.message(user, self.person(user))

    def person(self, user: str) -> Person:
        """The person of that user name. Raises `UsageError` with a suggestion where there is none."""
        return find_user(self.lab.people, user)

    # --- asking sign-on ----------------------------------------------------------------------------------------
    # Everything raises `UsageError` for who is not in users.yaml and for what the engine cannot do, and `GateError` or
    # `AutheliaError` where it cannot be asked or says no.

    async def invite(self, user: str, *, hours: int | None = None) -> Way:
        """A new way to a password, for somebody who may sign in; earlier links of the gate no longer work."""
        return await self.engine.invite(user, self._enabled(user), hours=hours)

    async def invite_new(self, user: str) -> Way:
        """`invite` for somebody who has just come. What an earlier person of that name left is made useless."""
        return await self.engine.invite_new(user, self._enabled(user))

    async def first_admin_way(self) -> Way | None:
        """A way in for the first admin as long as no admin has a password; None afterwards, and where there is none."""
        admins = enabled_admins(self.lab.people)
        known = await self.engine.accounts()
        if not admins or any(known.get(user, Account()).password for user in admins):
            return None
        return await self.engine.invite_when_known(admins[0], self.person(admins[0]))

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
        return await self.engine.login_link(user)

    async def set_password(self, user: str, password: Secret) -> None:
        """Give the person a password. The gate ends every session of theirs, Authelia none."""
        await self.engine.set_password(user, self.person(user), password)

    async def reset_second_factor(self, user: str) -> None:
        """Take the person's one-time codes, passkeys and recovery codes away."""
        self.person(user)
        await self.engine.reset_second_factor(user)

    async def sign_out(self, user: str) -> None:
        """End every session of the person, which Authelia cannot."""
        self.person(user)
        await self.engine.sign_out(user)

    async def forget(self, user: str) -> None:
        """Remove what sign-on keeps of somebody who is no longer in users.yaml: password, second factors, links."""
        await self.engine.forget(user)

    @cached_property
    def engine(self) -> EngineUsers:
        """The lab's engine of sign-on, as far as it knows of people."""
        from ez_homelab.lab.authelia_users import AutheliaUsers
        from ez_homelab.lab.gate_users import GateUsers

        return AutheliaUsers(self.lab) if self.lab.lab.sign_on.engine == "authelia" else GateUsers(self.lab)

    def _enabled(self, user: str) -> Person:
        return require_enabled(user, self.person(user))
