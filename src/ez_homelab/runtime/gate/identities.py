"""Temporary people for the proof: in memory only, gone at their time, when forgotten, or when the gate restarts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .policy import PROOF_PREFIX, Person

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .clock import Clock


class Identities:
    """The temporary people there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._people: dict[str, tuple[Person, float, float]] = {}

    def make(self, groups: Iterable[str], seconds: float) -> Person:
        """A person in these groups, for so long."""
        user, now = PROOF_PREFIX + secrets.token_hex(4), self._clock()
        person = Person(user, "Proof", f"{user}@localhost", tuple(groups))
        self._people[user] = (person, now, now + seconds)
        return person

    def find(self, user: str) -> Person | None:
        """The person, as long as it is time; not where the clock went back behind the beginning."""
        person, begins, ends = self._people.get(user, (None, 0.0, 0.0))
        return person if begins <= self._clock() < ends else None

    def forget(self, user: str) -> None:
        """Gone from now on."""
        self._people.pop(user, None)

    def ended(self) -> list[str]:
        """Those whose time is over."""
        return [user for user in self._people if self.find(user) is None]
