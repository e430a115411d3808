"""Guessing gets slower with every wrong try: by address, by person and address, and never for a person as a whole
where that would lock the owner out.

Second factors have one limit more. Whoever gets as far as guessing codes knows the password, and a million codes are
few for many addresses at once; so all addresses from which a person never finished signing in share one count. The
person's own addresses have theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from .kinds import Refused

if TYPE_CHECKING:
    from .clock import Clock
    from .store import Store

KEPT = 10_000
TRIM_EVERY = 500
KNOWN_ADDRESSES = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` wrong tries, then a wait of `first` seconds that doubles up to `longest`; forgotten after `forget`
    seconds without another."""

    free: int
    first: int
    longest: int
    forget: int

    def wait(self, failures: int) -> int:
        """Seconds to wait after so many failures."""
        beyond = failures - self.free
        return 0 if beyond <= 0 else min(self.first << min(beyond - 1, 30), self.longest)


PASSWORD = Rule(free=5, first=15, longest=900, forget=86_400)
ADDRESS = Rule(free=30, first=15, longest=900, forget=3_600)
CODE = Rule(free=5, first=30, longest=3_600, forget=86_400)
CODE_OF_STRANGERS = Rule(free=20, first=30, longest=3_600, forget=86_400)
RULES = {"password": PASSWORD, "address": ADDRESS, "code": CODE, "strangers": CODE_OF_STRANGERS}


@dataclass(frozen=True, slots=True)
class Lock:
    """Somebody who has to wait: `kind` is a key of `RULES`, `user` is empty where the whole address waits."""

    kind: str
    user: str
    address: str
    until: float


class Throttle:
    """Counts tries in the database, so that a restart forgives nothing.

    A try counts as wrong from its start and is taken back when it was right: many at once get no more tries than one
    after another.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counted = 0

    def password_try(self, user: str, address: str) -> Try:
        """Begin one. Raises `Refused` (locked)."""
        place = bucket(address)
        return self._begin(_name("password", user, place), _name("address", "", place))

    def code_try(self, user: str, address: str) -> Try:
        """Begin one with a code of a second factor. Raises `Refused` (locked)."""
        place = bucket(address)
        names = [_name("code", user, place), _name("address", "", place)]
        if not self.is_known(user, address):
            names.append(_name("strangers", user, ""))
        return self._begin(*names)

    def is_known(self, user: str, address: str) -> bool:
        """Whether the person once signed in with two factors from there."""
        question = "SELECT 1 FROM known_addresses WHERE user = ? AND address = ?"
        return self._store.row(question, user, bucket(address)) is not None

    def remember_address(self, user: str, address: str) -> None:
        """The person is signed in there with two factors."""
        with self._store.transaction():
            self._store.change(
                "INSERT OR REPLACE INTO known_addresses VALUES (?, ?, ?)", user, bucket(address), self._clock()
            )
            self._store.change(
                "DELETE FROM known_addresses WHERE user = ?1 AND address NOT IN "
                "(SELECT address FROM known_addresses WHERE user = ?1 ORDER BY seen DESC LIMIT ?2)",
                *(user, KNOWN_ADDRESSES),
            )

    def locks(self) -> list[Lock]:
        """Who has to wait right now."""
        rows = self._store.rows("SELECT name, until FROM tries WHERE until > ? ORDER BY until", self._clock())
        return [_lock(name, until) for name, until in rows]

    def forget(self, user: str) -> None:
        """Start anew for a person."""
        with self._store.transaction():
            for kind in ("password", "code", "strangers"):
                first = _name(kind, user, "")
                self._store.change("DELETE FROM tries WHERE name >= ? AND name < ?", first, first[:-1] + "}")
            self._store.change("DELETE FROM known_addresses WHERE user = ?", user)

    def _begin(self, *names: str) -> Try:
        now = self._clock()
        with self._store.transaction():
            wait = max(self._remaining(name, now) for name in names)
            if wait <= 0:
                for name in names:
                    self._count(name, now)
        if wait > 0:
            raise Refused("locked", math.ceil(wait))
        return Try(self._store, names)

    def _remaining(self, name: str, now: float) -> float:
        found = self._store.row("SELECT until FROM tries WHERE name = ?", name)
        remaining = float(found[0] - now) if found else 0.0
        longest = _rule(name).longest
        if remaining > longest:
            # The clock was put back: nobody waits longer than the rule says.
            self._store.change("UPDATE tries SET until = ?, last = ? WHERE name = ?", now + longest, now, name)
        return min(remaining, longest)

    def _count(self, name: str, now: float) -> None:
        rule = _rule(name)
        found = self._store.row("SELECT failures FROM tries WHERE name = ? AND last > ?", name, now - rule.forget)
        failures = (found[0] if found else 0) + 1
        self._store.change(
            "INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)", name, failures, now, now + rule.wait(failures)
        )
        self._counted += 1
        if self._counted % TRIM_EVERY == 0:
            # One row for each person, which a flood of made-up names must not wash away.
            self._store.change(
                "DELETE FROM tries WHERE name NOT GLOB 'strangers|*' AND name NOT IN "
                "(SELECT name FROM tries ORDER BY last DESC LIMIT ?)",
                KEPT,
            )


@dataclass(frozen=True, slots=True)
class Try:
    """One try that has begun. The first of its counts is the person's own at that address."""

    _store: Store
    _names: tuple[str, ...]

    def was_right(self) -> None:
        """The person's own count starts anew; the others lose this try only, or an account of one's own would be
        enough to go on guessing those of others."""
        with self._store.transaction():
            self._store.change("DELETE FROM tries WHERE name = ?", self._names[0])
            self._take_back(self._names[1:])

    def did_not_happen(self) -> None:
        """Nothing was compared (no room, or the session went): it counts for nothing."""
        with self._store.transaction():
            self._take_back(self._names)

    def _take_back(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._store.change("UPDATE tries SET failures = max(failures - 1, 0), until = 0 WHERE name = ?", name)


def bucket(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which one customer has whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def _name(kind: str, user: str, place: str) -> str:
    return f"{kind}|{user.replace('|', '/')}|{place}"


def _lock(name: str, until: float) -> Lock:
    kind, user, place = name.split("|", 2)
    return Lock(kind, user, place, until)


def _rule(name: str) -> Rule:
    return RULES[name.partition("|")[0]]
