"""What an engine of sign-on can be asked about the people of a lab, whichever engine it is.

Whatever is asked of it that changes something is written into the journal first, with who asked; what it answers never
is.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Protocol

from ez_homelab.config.users import USERS_FILE
from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Account, Link, Message, Way
    from ez_homelab.secrets.value import Secret


class EngineUsers(Protocol):
    """The running engine of one lab. People given to it are in users.yaml, except who is to be forgotten.

    Everything raises `UsageError` where the engine cannot do that at all, and its own error (`GateError`,
    `AutheliaError`) where it cannot be asked or says no.
    """

    async def accounts(self) -> dict[str, Account]:
        """What it knows, by user name."""
        ...

    async def message(self, user: str, person: Person) -> Message:
        """The last message that it wrote for the person into a file."""
        ...

    async def invite(self, user: str, person: Person, *, hours: int | None = None) -> Way:
        """A new way to a password, for somebody who may sign in."""
        ...

    async def invite_when_known(self, user: str, person: Person) -> Way:
        """`invite`, where the engine may still have to notice that there is such a person."""
        ...

    async def invite_new(self, user: str, person: Person) -> Way:
        """`invite_when_known`; what an earlier person of that name left is made useless."""
        ...

    async def login_link(self, user: str) -> Link:
        """A link that signs the person in, once and within minutes."""
        ...

    async def set_password(self, user: str, person: Person, password: Secret) -> None:
        """Give the person a password."""
        ...

    async def reset_second_factor(self, user: str) -> None:
        """Take the person's one-time codes, passkeys and recovery codes away."""
        ...

    async def sign_out(self, user: str) -> None:
        """End every session of the person."""
        ...

    async def forget(self, user: str) -> None:
        """Remove what it keeps of somebody who is no longer in users.yaml."""
        ...


@asynccontextmanager
async def noted(lab: Homelab, do: str, user: str) -> AsyncIterator[None]:
    """The lab's lock, with what is about to be done written down first."""
    from ez_homelab.apply.journal import Journal

    async with lab.locked():
        with closing(Journal(lab.journal_path)) as journal:
            journal.note(who=lab.who, command=lab.command, what=f"{do} {user}")
        yield


def require_enabled(user: str, person: Person) -> Person:
    """The person. Raises `UsageError` for somebody who may not sign in."""
    if person.disabled:
        raise UsageError(f"{user} is disabled in {USERS_FILE}", fix=f"ez-homelab users enable {user}")
    return person
