"""What the admin socket asks for: links, passwords set from outside, the proof's identity, who there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .guarded import Guarded
from .links import LONGEST as LONGEST_LINK
from .policy import PROOF_PREFIX, Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kinds import Purpose
    from .throttle import Lock


class Administration(Guarded):
    """Done from outside any session, by whoever is root on the server."""

    def make_link(self, user: str, purpose: Purpose, minutes: int) -> tuple[str, float]:
        """A one-time link's token and when it expires; one of the same purpose from before is void. Raises
        `LookupError` for a person who is not in people.json or is disabled, `ValueError` for odd `minutes`."""
        if self._known(user).disabled:
            raise LookupError(f"{user} is disabled")
        if not 0 < minutes <= LONGEST_LINK:
            raise ValueError(f"a link is good for 1 to {LONGEST_LINK} minutes, not {minutes}")
        with self._store.transaction(durable=True):
            self._audit.note("link-made", user, detail=purpose)
            return self._links.make(user, purpose, minutes)

    async def set_password(self, user: str, password: str) -> None:
        """Set it from outside; every session and link of the person ends. Raises `Refused` (weak, busy) and
        `LookupError`."""
        self._known(user)
        self._check_strength(password, user)
        stored = await self._passwords.hash(password)
        with self._store.transaction(durable=True):
            self._credentials.keep(user, stored)
            self._links.remove(user)
            self.end_all(user)
            self._audit.note("password-set", user)

    def reset_second_factors(self, user: str) -> None:
        """Forget TOTP, passkeys and recovery codes; every session ends. Raises `LookupError`."""
        self._known(user)
        with self._store.transaction(durable=True):
            self._factors.forget(user)
            self.end_all(user)
            self._audit.note("second-factors-reset", user)

    def make_identity(self, groups: Iterable[str], factors: int, minutes: int) -> tuple[str, str]:
        """A temporary person of the proof and the token of its session; in memory only."""
        person = self._identities.make(groups, 60 * minutes)
        token, _ = self._sessions.start(person.user, factors, address="", agent="proof", seconds=60 * minutes)
        self._audit.note("identity-made", person.user, detail=",".join(person.groups))
        return person.user, token

    def forget(self, user: str) -> None:
        """Forget a temporary identity, or all that is kept of somebody who is no longer in people.json. Raises
        `LookupError` for somebody who still is."""
        if user in self._settings.people.users:
            raise LookupError(f"{user} is still one of the lab's people")
        self._sessions.end(*(one.id for one in self._sessions.of(user)))
        self._identities.forget(user)
        if user.startswith(PROOF_PREFIX):
            return
        with self._store.transaction(durable=True):
            self._factors.forget(user)
            self._links.remove(user)
            self._throttle.forget(user)
            self._credentials.remove(user)
            self._audit.note("forgotten", user)

    def people(self) -> tuple[str, ...]:
        """Every name in people.json."""
        return tuple(self._settings.people.users)

    def has_password(self, user: str) -> bool:
        """Whether the person has chosen one."""
        return self._credentials.of(user) is not None

    def invited_until(self, user: str) -> float | None:
        """When the person's invitation expires; None: there is none."""
        return self._links.expires(user, "invite")

    def locks(self) -> list[Lock]:
        """Who has to wait because of too many wrong tries."""
        return self._throttle.locks()

    def _known(self, user: str) -> Person:
        person = self._settings.people.users.get(user)
        if person is None:
            raise LookupError(f"{user!r} is none of the lab's people")
        return person
